/* SPDX-License-Identifier: Apache-2.0 */
/* A series without a label, folded into columns. */
#include "aggregator/query/internal.h"

enum { ROWS_DEFAULT = 60, ROWS_OF_DAYS = 7 };

/* From the finest to what 400 days can be shown in. */
static const struct {
	int64_t step_ms;
	uint32_t n_rows;
} shapes[] = {
	{1000, ROWS_DEFAULT}, {10000, ROWS_DEFAULT}, {60000, ROWS_DEFAULT},
	{600000, 144},	      {3600000, 24},
};

static int64_t align_down(int64_t ms, int64_t column_ms)
{
	return ms - ms % column_ms;
}

static int64_t align_up(int64_t ms, int64_t column_ms)
{
	return align_down(ms + column_ms - 1, column_ms);
}

static bool fits(const struct ap_query *q, int64_t step_ms, uint32_t n_rows)
{
	int64_t column_ms = step_ms * n_rows;

	return (align_up(q->to_ms, column_ms) - align_down(q->from_ms, column_ms)) / step_ms <
	       AP_SERIES_STEPS_MAX;
}

static int choose(const struct ap_query *q, int64_t *step_ms, uint32_t *n_rows)
{
	if (*step_ms) {
		*n_rows = *n_rows ?: ROWS_DEFAULT;
		return fits(q, *step_ms, *n_rows) ? 0 : -EINVAL;
	}
	for (size_t i = 0; i < AP_ARRAY_SIZE(shapes); i++) {
		uint32_t rows = *n_rows ?: shapes[i].n_rows;

		if (!fits(q, shapes[i].step_ms, rows))
			continue;
		*step_ms = shapes[i].step_ms;
		*n_rows = rows;
		return 0;
	}
	return -EINVAL;
}

static uint64_t largest(const struct ap_series *s)
{
	uint64_t max = 0;

	for (uint32_t i = 0; i < s->n_steps; i++)
		if (s->rows[0].values[i] != AP_SERIES_NONE)
			max = AP_MAX(max, s->rows[0].values[i]);
	return max;
}

static uint32_t rows_of(int64_t step_ms)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(shapes); i++)
		if (step_ms <= shapes[i].step_ms)
			return shapes[i].n_rows;
	return ROWS_OF_DAYS;
}

int ap_query_heatmap(struct ap_query_engine *e, const struct ap_query *q, int64_t step_ms,
		     uint32_t n_rows, struct ap_heatmap *ret, struct ap_coverage *ret_cov,
		     struct ap_error *err)
{
	struct ap_query whole = *q;
	uint32_t asked = n_rows;
	struct ap_series *s;
	int r;

	if (step_ms < 0 || step_ms > AP_QUERY_TIME_MAX_MS || step_ms % 1000 ||
	    n_rows > AP_HEATMAP_ROWS_MAX)
		return ap_error_set(err, -EINVAL,
				    "a cell is a whole number of seconds, and a column has at most "
				    "%d of them",
				    AP_HEATMAP_ROWS_MAX);
	if (choose(q, &step_ms, &n_rows) < 0)
		return ap_error_set(err, -EINVAL,
				    "the range has more than %d cells: take a longer step, fewer "
				    "rows or a shorter range",
				    AP_SERIES_STEPS_MAX);
	for (;;) {
		whole.from_ms = align_down(q->from_ms, step_ms * n_rows);
		whole.to_ms = align_up(q->to_ms, step_ms * n_rows);
		r = ap_series_ask(e, AP_QUERY_HEATMAP, &whole, AP_STR(""), step_ms, 1, &s, ret_cov,
				  err);
		if (r < 0)
			return r;
		if (s->step_ms == step_ms)
			break;
		/* Samples have gone, and cells are as long as what is left of them. */
		step_ms = s->step_ms;
		n_rows = asked ?: rows_of(step_ms);
		ap_series_free(s);
	}
	*ret = (struct ap_heatmap){
		.series = s, .n_rows = n_rows, .n_columns = s->n_steps / n_rows, .max = largest(s)};
	return 0;
}

void ap_heatmap_free(struct ap_heatmap *h)
{
	ap_series_free(h->series);
	h->series = NULL;
}

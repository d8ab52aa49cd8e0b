/* SPDX-License-Identifier: Apache-2.0 */
/* Top functions and values over time. */
#include "aggregator/api/answer.h"
#include "base/clock.h"

static void answer_function(struct ap_buf *b, const struct ap_top_row *f)
{
	ap_answer_element(b);
	ap_answer_str(b, "function", f->name);
	ap_answer_str(b, "module", f->module);
	ap_answer_str(b, "file", f->file);
	ap_answer_u64(b, "line", f->line);
	ap_answer_u64(b, "kind", f->kind);
	ap_answer_u64(b, "self", f->self[0]);
	ap_answer_u64(b, "total", f->total[0]);
	ap_answer_u64(b, "place", f->place);
	ap_buf_byte(b, '}');
}

void ap_api_top(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, "limit", "sort", NULL};
	static const char *const sorts[] = {"self", "total", "place", NULL};
	static const enum ap_top_sort by[] = {AP_TOP_SELF, AP_TOP_TOTAL, AP_TOP_PLACE};
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL;
	_cleanup_answer_ struct ap_answer a = {0};
	const struct ap_query *q = &a.selection.query;
	unsigned int sort;
	uint64_t limit;
	int r;

	if (!ap_answer_ask(&a, req, ctx, names) ||
	    !ap_params_uint(&a.params, "limit", 1, 10000, 100, &limit) ||
	    !ap_params_choice(&a.params, "sort", sorts, &sort))
		return;
	r = ap_query_top(a.api->query, q, by[sort], (uint32_t)limit, &top, &a.coverage, &a.err);
	if (!ap_answer_open(&a, r))
		return;
	ap_answer_selection(&a.b, q);
	ap_answer_array(&a.b, "functions");
	for (uint32_t i = 0; i < top->n; i++)
		answer_function(&a.b, &top->rows[i]);
	ap_buf_byte(&a.b, ']');
	ap_answer_u64(&a.b, "total", top->total[0]);
	if (!a.coverage.truncated && top->n < top->n_functions) {
		a.coverage.truncated = "functions";
		a.coverage.cut = top->n_functions - top->n;
	}
	ap_answer_close(&a);
}

void ap_answer_values(struct ap_buf *b, const char *key, const uint64_t *values, uint32_t n)
{
	ap_answer_array(b, key);
	for (uint32_t i = 0; i < n; i++) {
		ap_json_next(b);
		if (values[i] == AP_SERIES_NONE)
			ap_buf_puts(b, "null");
		else
			ap_json_u64(b, values[i]);
	}
	ap_buf_byte(b, ']');
}

static void answer_series(struct ap_buf *b, const struct ap_series *s)
{
	ap_answer_i64(b, "step_ms", s->step_ms);
	ap_answer_i64(b, "from", s->from_ms);
	ap_answer_i64(b, "to", s->to_ms);
	ap_answer_array(b, "times");
	for (uint32_t i = 0; i < s->n_steps; i++) {
		ap_json_next(b);
		ap_json_i64(b, s->from_ms + (int64_t)i * s->step_ms);
	}
	ap_buf_byte(b, ']');
	ap_answer_array(b, "series");
	for (uint32_t i = 0; i < s->n_rows; i++) {
		ap_answer_element(b);
		ap_answer_str(b, "value", s->rows[i].value);
		ap_answer_values(b, "values", s->rows[i].values, s->n_steps);
		ap_answer_u64(b, "total", s->rows[i].total);
		ap_buf_byte(b, '}');
	}
	ap_buf_byte(b, ']');
	if (s->n_other == 0) {
		ap_answer_null(b, "other");
		return;
	}
	ap_answer_object(b, "other");
	ap_answer_u64(b, "count", s->n_other);
	ap_answer_values(b, "values", s->other.values, s->n_steps);
	ap_buf_byte(b, '}');
}

void ap_api_series(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, "by", "step", "top", NULL};
	_cleanup_(ap_cleanup_series) struct ap_series *series = NULL;
	_cleanup_answer_ struct ap_answer a = {0};
	const struct ap_query *q = &a.selection.query;
	struct ap_str by;
	uint64_t top;
	int64_t step;
	int r;

	if (!ap_answer_ask(&a, req, ctx, names) || !ap_params_label(&a.params, "by", false, &by) ||
	    !ap_params_step(&a.params, q, &step) ||
	    !ap_params_uint(&a.params, "top", 1, 1000, 10, &top))
		return;
	r = ap_query_series(a.api->query, q, by, step, (uint32_t)top, &series, &a.coverage, &a.err);
	if (!ap_answer_open(&a, r))
		return;
	ap_answer_str(&a.b, "type", ap_str_of(q->type->name));
	ap_answer_str(&a.b, "unit", ap_str_of(q->type->unit));
	answer_series(&a.b, series);
	ap_answer_close(&a);
}

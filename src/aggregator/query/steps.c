/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of a series, and in which of them hosts reported. */
#include <stdio.h>

#include "aggregator/query/internal.h"
#include "aggregator/store/schema.h"
#include "base/clock.h"

enum { STEPS_WANTED = 300 };

int64_t ap_steps_round(int64_t range_ms)
{
	static const int64_t steps_s[] = {1,   2,   5,	  10,	15,   30,    60,    120,   300,
					  600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400};

	for (size_t i = 0; i < AP_ARRAY_SIZE(steps_s); i++)
		if (range_ms / (steps_s[i] * 1000) <= STEPS_WANTED)
			return steps_s[i] * 1000;
	return 7 * 86400 * 1000;
}

struct marker {
	const struct ap_range *range;
	struct ap_steps *s;
};

static void mark(struct marker *m, uint64_t from, uint64_t until)
{
	uint64_t first = AP_MAX(from, (uint64_t)m->range->from) - m->range->from;
	uint64_t last = AP_MIN(until, (uint64_t)m->range->to);

	if (last <= m->range->from)
		return;
	last -= m->range->from + 1ull;
	for (uint64_t i = first / m->s->step; i <= last / m->s->step && i < m->s->n_steps; i++)
		m->s->reported[i] = 1;
}

static int take_spans(void *ctx, const struct ap_native_view *v)
{
	if (v->n_columns != 2)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++)
		mark(ctx, ap_native_uint(&v->columns[0], row), ap_native_uint(&v->columns[1], row));
	return 0;
}

static int take_batch(void *ctx, const struct ap_batch_meta *m)
{
	mark(ctx, ap_store_second(m->start_ns),
	     (uint64_t)ap_store_second(m->end_ns + (int64_t)AP_NSEC_PER_SEC - 1));
	return 0;
}

int ap_steps_collect(struct ap_question *q, const struct ap_range *range, struct ap_steps *s)
{
	struct marker m = {range, s};
	struct ap_select what = {.family = AP_ROLLUP_LEDGER, .group = AP_STR("a, b")};
	struct ap_range by_step = *range;
	char columns[192], where[32];
	int r = 0;

	if (q->use_store) {
		/* Cut to steps first: a few rows a step, however many batches there are. */
		snprintf(columns, sizeof(columns),
			 "toUInt64(intDiv(toUInt32(time), %u) * %u) AS a, "
			 "toUInt64(intDiv(toUInt32(until) - 1, %u) * %u + 1) AS b",
			 s->step, s->step, s->step, s->step);
		snprintf(where, sizeof(where), " AND kind = %d", AP_LEDGER_ROW_BATCH);
		what.columns = ap_str_of(columns);
		what.where = ap_str_of(where);
		by_step.grain = s->step;
		r = ap_range_select(q, &by_step, &what, take_spans, &m);
	}
	return r < 0 ? r : ap_range_batches(q, range, take_batch, &m);
}

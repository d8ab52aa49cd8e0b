/* SPDX-License-Identifier: Apache-2.0 */
/* System calls: a table, and one or all of them over time. */
#include "aggregator/api/answer.h"
#include "base/clock.h"

static void answer_row(struct ap_buf *b, const struct ap_syscall_row *r, bool by, uint64_t seconds)
{
	ap_answer_element(b);
	ap_answer_str(b, "syscall", r->syscall);
	ap_answer_str(b, "abi", r->abi);
	if (by)
		ap_answer_str(b, "value", r->value);
	ap_syscall_stat_json(b, &r->stat);
	ap_answer_share(b, "rate", seconds ? (double)r->stat.count / (double)seconds : -1);
	ap_answer_u64(b, "in_flight", r->in_flight);
	ap_answer_u64(b, "oldest_ns", r->oldest_ns);
	ap_buf_byte(b, '}');
}

enum column { STEP_COUNT, STEP_ERRORS, STEP_SUM, STEP_MAX, STEP_P50, STEP_P90, STEP_P99 };

static void answer_step(struct ap_buf *b, const struct ap_syscall_step *s, enum column column)
{
	const double values[] = {
		[STEP_COUNT] = (double)s->count, [STEP_ERRORS] = (double)s->errors,
		[STEP_SUM] = (double)s->sum_ns,	 [STEP_MAX] = s->count ? (double)s->max_ns : -1,
		[STEP_P50] = s->p50_ns,		 [STEP_P90] = s->p90_ns,
		[STEP_P99] = s->p99_ns,
	};

	if (!s->reported || values[column] < 0)
		ap_buf_puts(b, "null");
	else
		ap_json_u64(b, (uint64_t)values[column]);
}

static void answer_steps(struct ap_buf *b, const struct ap_syscall_table *t)
{
	static const char *const columns[] = {
		[STEP_COUNT] = "count", [STEP_ERRORS] = "errors", [STEP_SUM] = "sum_ns",
		[STEP_MAX] = "max_ns",	[STEP_P50] = "p50_ns",	  [STEP_P90] = "p90_ns",
		[STEP_P99] = "p99_ns",
	};

	if (!t->steps) {
		ap_answer_null(b, "series");
		return;
	}
	ap_answer_object(b, "series");
	ap_answer_i64(b, "step_ms", t->step_ms);
	ap_answer_array(b, "times");
	for (uint32_t i = 0; i < t->n_steps; i++) {
		ap_json_next(b);
		ap_json_i64(b, t->from_ms + (int64_t)i * t->step_ms);
	}
	ap_buf_byte(b, ']');
	for (uint32_t c = 0; c < AP_ARRAY_SIZE(columns); c++) {
		ap_answer_array(b, columns[c]);
		for (uint32_t i = 0; i < t->n_steps; i++) {
			ap_json_next(b);
			answer_step(b, &t->steps[i], (enum column)c);
		}
		ap_buf_byte(b, ']');
	}
	ap_buf_byte(b, '}');
}

static void answer_table(struct ap_answer *a, const struct ap_syscall_query *s,
			 const struct ap_syscall_table *t)
{
	struct ap_buf *b = &a->b;

	ap_answer_i64(b, "from", a->selection.query.from_ms);
	ap_answer_i64(b, "to", a->selection.query.to_ms);
	ap_answer_u64(b, "covered_s", t->covered_s);
	ap_answer_str(b, "by", s->by);
	ap_answer_u64(b, "count", t->count);
	ap_answer_u64(b, "errors", t->errors);
	ap_answer_u64(b, "sum_ns", t->sum_ns);
	ap_answer_array(b, "syscalls");
	for (uint32_t i = 0; i < t->n; i++)
		answer_row(b, &t->rows[i], s->by.n, t->covered_s);
	ap_buf_byte(b, ']');
	answer_steps(b, t);
	ap_answer_close(a);
}

void ap_api_syscalls(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"from", "to",   "filter", "by",   "syscall",
					    "abi",  "sort", "limit",  "step", NULL};
	static const char *const sorts[] = {"time", "count",	 "errors", "max",
					    "p99",  "in_flight", NULL}; /* enum ap_syscall_sort */
	_cleanup_(ap_cleanup_syscall_table) struct ap_syscall_table *t = NULL;
	_cleanup_answer_ struct ap_answer a = {0};
	const struct ap_query *q = &a.selection.query;
	struct ap_syscall_query s = {0};
	unsigned int sort;
	uint64_t limit;
	int r;

	if (!ap_answer_ask(&a, req, ctx, names) ||
	    !ap_params_label(&a.params, "by", false, &s.by) ||
	    !ap_params_choice(&a.params, "sort", sorts, &sort) ||
	    !ap_params_uint(&a.params, "limit", 1, 10000, 500, &limit) ||
	    !ap_params_step(&a.params, q, &s.step_ms))
		return;
	ap_params_get(&a.params, "syscall", &s.syscall);
	ap_params_get(&a.params, "abi", &s.abi);
	s.sort = (enum ap_syscall_sort)sort;
	s.limit = (uint32_t)limit;
	s.steps = s.step_ms > 0;
	r = ap_query_syscalls(a.api->query, q, &s, &t, &a.coverage, &a.err);
	if (ap_answer_open(&a, r))
		answer_table(&a, &s, t);
}

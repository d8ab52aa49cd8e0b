/* SPDX-License-Identifier: Apache-2.0 */
/* Top functions and values over time. */
#include "aggregator/api/answer.h"
#include "base/clock.h"

static void answer_function(struct ap_buf *b, const struct ap_top_row *f)
{
	ap_buf_byte(b, '{');
	ap_answer_str(b, "function", f->name);
	ap_answer_str(b, "module", f->module);
	ap_answer_str(b, "file", f->file);
	ap_answer_u64(b, "line", f->line);
	ap_answer_u64(b, "kind", f->kind);
	ap_answer_u64(b, "self", f->self[0]);
	ap_answer_u64(b, "total", f->total[0]);
	ap_buf_byte(b, '}');
}

void ap_api_top(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, "limit", "sort", NULL};
	static const char *const sorts[] = {"self", "total", NULL};
	_cleanup_selection_ struct ap_selection s = {0};
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_coverage cov;
	struct ap_error err = {0};
	struct ap_params p;
	unsigned int sort;
	uint64_t limit;
	int r;

	if (!ap_params_query(req, names, &p) || !ap_params_selection(&p, "", &s) ||
	    !ap_params_uint(&p, "limit", 1, 10000, 100, &limit) ||
	    !ap_params_choice(&p, "sort", sorts, &sort))
		return;
	r = ap_query_top(api->query, &s.query, sort ? AP_TOP_TOTAL : AP_TOP_SELF, (uint32_t)limit,
			 &top, &cov, &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	ap_answer_expect_hosts(api, &s.query, &cov);
	ap_buf_byte(&b, '{');
	ap_answer_selection(&b, &s.query);
	ap_json_key(&b, "functions");
	ap_buf_byte(&b, '[');
	for (uint32_t i = 0; i < top->n; i++) {
		if (i)
			ap_buf_byte(&b, ',');
		answer_function(&b, &top->rows[i]);
	}
	ap_buf_byte(&b, ']');
	ap_answer_u64(&b, "total", top->total[0]);
	if (!cov.truncated && top->n < top->n_functions) {
		cov.truncated = "functions";
		cov.cut = top->n_functions - top->n;
	}
	ap_answer_coverage(&b, &cov);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

static void answer_values(struct ap_buf *b, const uint64_t *values, uint32_t n)
{
	ap_json_key(b, "values");
	ap_buf_byte(b, '[');
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			ap_buf_byte(b, ',');
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
	ap_json_key(b, "times");
	ap_buf_byte(b, '[');
	for (uint32_t i = 0; i < s->n_steps; i++) {
		if (i)
			ap_buf_byte(b, ',');
		ap_json_i64(b, s->from_ms + (int64_t)i * s->step_ms);
	}
	ap_buf_byte(b, ']');
	ap_json_key(b, "series");
	ap_buf_byte(b, '[');
	for (uint32_t i = 0; i < s->n_rows; i++) {
		ap_buf_puts(b, i ? ",{" : "{");
		ap_answer_str(b, "value", s->rows[i].value);
		answer_values(b, s->rows[i].values, s->n_steps);
		ap_answer_u64(b, "total", s->rows[i].total);
		ap_buf_byte(b, '}');
	}
	ap_buf_byte(b, ']');
	ap_json_key(b, "other");
	if (s->n_other == 0) {
		ap_buf_puts(b, "null");
		return;
	}
	ap_buf_byte(b, '{');
	ap_answer_u64(b, "count", s->n_other);
	answer_values(b, s->other.values, s->n_steps);
	ap_buf_byte(b, '}');
}

void ap_api_series(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, "by", "step", "top", NULL};
	_cleanup_selection_ struct ap_selection s = {0};
	_cleanup_(ap_cleanup_series) struct ap_series *series = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_coverage cov;
	struct ap_error err = {0};
	struct ap_params p;
	struct ap_str by;
	uint64_t top;
	int64_t step;
	int r;

	if (!ap_params_query(req, names, &p) || !ap_params_selection(&p, "", &s) ||
	    !ap_params_label(&p, "by", false, &by) || !ap_params_step(&p, &s.query, &step) ||
	    !ap_params_uint(&p, "top", 1, 1000, 10, &top))
		return;
	r = ap_query_series(api->query, &s.query, by, step, (uint32_t)top, &series, &cov, &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	ap_answer_expect_hosts(api, &s.query, &cov);
	ap_buf_byte(&b, '{');
	ap_answer_str(&b, "type", ap_str_of(s.query.type->name));
	ap_answer_str(&b, "unit", ap_str_of(s.query.type->unit));
	answer_series(&b, series);
	ap_answer_coverage(&b, &cov);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

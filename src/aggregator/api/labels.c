/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked for: profile types, labels and their values. */
#include "aggregator/api/answer.h"

void ap_api_profile_types(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, NULL};
	_cleanup_selection_ struct ap_selection s = {0};
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_error err = {0};
	struct ap_params p;
	uint32_t events;
	int r;

	if (!ap_params_query(req, names, &p) || !ap_params_selection(&p, "", &s))
		return;
	r = ap_query_events(api->query, &s.query, &events, &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	ap_buf_puts(&b, "{\"types\":[");
	for (size_t i = 0; i < ap_profile_type_count; i++) {
		const struct ap_profile_type *t = &ap_profile_types[i];

		ap_buf_puts(&b, i ? ",{" : "{");
		ap_answer_str(&b, "name", ap_str_of(t->name));
		ap_answer_str(&b, "unit", ap_str_of(t->unit));
		ap_answer_str(&b, "title", ap_str_of(t->text));
		ap_answer_bool(&b, "available", (events & t->events) == t->events);
		ap_buf_byte(&b, '}');
	}
	ap_buf_puts(&b, "]}");
	ap_http_reply_json(req, 200, &b);
}

void ap_api_labels(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, NULL};
	_cleanup_selection_ struct ap_selection s = {0};
	_cleanup_(ap_cleanup_label_values) struct ap_label_values *labels = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_coverage cov;
	struct ap_error err = {0};
	struct ap_params p;
	int r;

	if (!ap_params_query(req, names, &p) || !ap_params_selection(&p, "", &s))
		return;
	r = ap_query_label_names(api->query, &s.query, &labels, &cov, &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	ap_answer_expect_hosts(api, &s.query, &cov);
	ap_buf_puts(&b, "{\"labels\":[");
	for (uint32_t i = 0; i < labels->n; i++) {
		if (i)
			ap_buf_byte(&b, ',');
		ap_json_string(&b, labels->rows[i].value);
	}
	ap_buf_byte(&b, ']');
	ap_answer_coverage(&b, &cov);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

void ap_api_label_values(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, "label", "limit", NULL};
	_cleanup_selection_ struct ap_selection s = {0};
	_cleanup_(ap_cleanup_label_values) struct ap_label_values *values = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_coverage cov;
	struct ap_error err = {0};
	struct ap_params p;
	struct ap_str label;
	uint64_t limit;
	int r;

	if (!ap_params_query(req, names, &p) || !ap_params_selection(&p, "", &s) ||
	    !ap_params_label(&p, "label", true, &label) ||
	    !ap_params_uint(&p, "limit", 1, 100000, 1000, &limit))
		return;
	r = ap_query_label_values(api->query, &s.query, label, (uint32_t)limit, &values, &cov,
				  &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	ap_answer_expect_hosts(api, &s.query, &cov);
	ap_buf_byte(&b, '{');
	ap_answer_str(&b, "label", label);
	ap_json_key(&b, "values");
	ap_buf_byte(&b, '[');
	for (uint32_t i = 0; i < values->n; i++) {
		ap_buf_puts(&b, i ? ",{" : "{");
		ap_answer_str(&b, "value", values->rows[i].value);
		ap_answer_u64(&b, "samples", values->rows[i].samples);
		ap_buf_byte(&b, '}');
	}
	ap_buf_byte(&b, ']');
	ap_answer_coverage(&b, &cov);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

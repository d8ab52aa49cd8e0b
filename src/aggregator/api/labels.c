/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked for: profile types, labels and their values. */
#include "aggregator/api/answer.h"

void ap_api_profile_types(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, NULL};
	_cleanup_answer_ struct ap_answer a = {0};
	uint32_t events;
	int r;

	if (!ap_answer_ask(&a, req, ctx, names))
		return;
	r = ap_query_events(a.api->query, &a.selection.query, &events, &a.err);
	if (!ap_answer_open(&a, r))
		return;
	ap_answer_array(&a.b, "types");
	for (size_t i = 0; i < ap_profile_type_count; i++) {
		const struct ap_profile_type *t = &ap_profile_types[i];

		ap_answer_element(&a.b);
		ap_answer_str(&a.b, "name", ap_str_of(t->name));
		ap_answer_str(&a.b, "unit", ap_str_of(t->unit));
		ap_answer_str(&a.b, "title", ap_str_of(t->text));
		ap_answer_bool(&a.b, "available", (events & t->events) == t->events);
		ap_buf_byte(&a.b, '}');
	}
	ap_buf_puts(&a.b, "]}");
	ap_http_reply_json(req, 200, &a.b);
}

void ap_api_labels(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, NULL};
	_cleanup_(ap_cleanup_label_values) struct ap_label_values *labels = NULL;
	_cleanup_answer_ struct ap_answer a = {0};
	int r;

	if (!ap_answer_ask(&a, req, ctx, names))
		return;
	r = ap_query_label_names(a.api->query, &a.selection.query, &labels, &a.coverage, &a.err);
	if (!ap_answer_open(&a, r))
		return;
	ap_answer_array(&a.b, "labels");
	for (uint32_t i = 0; i < labels->n; i++) {
		ap_json_next(&a.b);
		ap_json_string(&a.b, labels->rows[i].value);
	}
	ap_buf_byte(&a.b, ']');
	ap_answer_close(&a);
}

void ap_api_label_values(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, "label", "limit", NULL};
	_cleanup_(ap_cleanup_label_values) struct ap_label_values *values = NULL;
	_cleanup_answer_ struct ap_answer a = {0};
	struct ap_str label;
	uint64_t limit;
	int r;

	if (!ap_answer_ask(&a, req, ctx, names) ||
	    !ap_params_label(&a.params, "label", true, &label) ||
	    !ap_params_uint(&a.params, "limit", 1, 100000, 1000, &limit))
		return;
	r = ap_query_label_values(a.api->query, &a.selection.query, label, (uint32_t)limit, &values,
				  &a.coverage, &a.err);
	if (!ap_answer_open(&a, r))
		return;
	ap_answer_str(&a.b, "label", label);
	ap_answer_array(&a.b, "values");
	for (uint32_t i = 0; i < values->n; i++) {
		ap_answer_element(&a.b);
		ap_answer_str(&a.b, "value", values->rows[i].value);
		ap_answer_u64(&a.b, "samples", values->rows[i].samples);
		ap_buf_byte(&a.b, '}');
	}
	ap_buf_byte(&a.b, ']');
	ap_answer_close(&a);
}

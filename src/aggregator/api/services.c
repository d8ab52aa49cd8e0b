/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/answer.h"

/* null: no host reported then. */
static void answer_previous(struct ap_buf *b, const char *key, bool has, uint64_t v)
{
	if (has)
		ap_answer_u64(b, key, v);
	else
		ap_answer_null(b, key);
}

static void answer_riser(struct ap_buf *b, const struct ap_service *s)
{
	if (!s->has_riser) {
		ap_answer_null(b, "largest_riser");
		return;
	}
	ap_answer_object(b, "largest_riser");
	ap_answer_str(b, "function", s->riser.function);
	ap_answer_str(b, "module", s->riser.module);
	ap_answer_u64(b, "value", s->riser.value);
	ap_answer_u64(b, "previous_value", s->riser.previous_value);
	ap_buf_byte(b, '}');
}

static void answer_service(struct ap_buf *b, const struct ap_service *s, uint64_t total)
{
	ap_answer_element(b);
	ap_answer_str(b, "service", s->service);
	ap_answer_u64(b, "value", s->value);
	ap_answer_u64(b, "samples", s->samples);
	ap_answer_share(b, "share", total ? (double)s->value / (double)total : 0);
	ap_answer_u64(b, "hosts", s->hosts);
	ap_answer_share(b, "complete_share",
			s->samples ? (double)s->complete / (double)s->samples : -1);
	answer_previous(b, "previous_value", s->has_previous, s->previous_value);
	answer_previous(b, "previous_day_value", s->has_previous_day, s->previous_day_value);
	answer_riser(b, s);
	ap_buf_byte(b, '}');
}

void ap_api_services(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, NULL};
	_cleanup_(ap_cleanup_services) struct ap_services *services = NULL;
	_cleanup_answer_ struct ap_answer a = {0};
	const struct ap_query *q = &a.selection.query;
	int r;

	if (!ap_answer_ask(&a, req, ctx, names))
		return;
	r = ap_query_services(a.api->query, q, &services, &a.coverage, &a.err);
	if (!ap_answer_open(&a, r))
		return;
	ap_answer_selection(&a.b, q);
	ap_answer_array(&a.b, "services");
	for (uint32_t i = 0; i < services->n; i++)
		answer_service(&a.b, &services->rows[i], services->total);
	ap_buf_byte(&a.b, ']');
	ap_answer_u64(&a.b, "total_value", services->total);
	ap_answer_object(&a.b, "previous");
	ap_answer_i64(&a.b, "from", services->previous_from_ms);
	ap_answer_i64(&a.b, "to", services->previous_to_ms);
	ap_buf_byte(&a.b, '}');
	ap_answer_close(&a);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/answer.h"

/* null: no host reported then. */
static void answer_previous(struct ap_buf *b, const char *key, bool has, uint64_t v)
{
	ap_json_key(b, key);
	if (has)
		ap_json_u64(b, v);
	else
		ap_buf_puts(b, "null");
}

static void answer_riser(struct ap_buf *b, const struct ap_service *s)
{
	ap_json_key(b, "largest_riser");
	if (!s->has_riser) {
		ap_buf_puts(b, "null");
		return;
	}
	ap_buf_byte(b, '{');
	ap_answer_str(b, "function", s->riser.function);
	ap_answer_str(b, "module", s->riser.module);
	ap_answer_u64(b, "value", s->riser.value);
	ap_answer_u64(b, "previous_value", s->riser.previous_value);
	ap_buf_byte(b, '}');
}

static void answer_service(struct ap_buf *b, const struct ap_service *s, uint64_t total)
{
	ap_buf_byte(b, '{');
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
	_cleanup_selection_ struct ap_selection s = {0};
	_cleanup_(ap_cleanup_services) struct ap_services *services = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_coverage cov;
	struct ap_error err = {0};
	struct ap_params p;
	int r;

	if (!ap_params_query(req, names, &p) || !ap_params_selection(&p, "", &s))
		return;
	r = ap_query_services(api->query, &s.query, &services, &cov, &err);
	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	ap_answer_expect_hosts(api, &s.query, &cov);
	ap_buf_byte(&b, '{');
	ap_answer_selection(&b, &s.query);
	ap_json_key(&b, "services");
	ap_buf_byte(&b, '[');
	for (uint32_t i = 0; i < services->n; i++) {
		if (i)
			ap_buf_byte(&b, ',');
		answer_service(&b, &services->rows[i], services->total);
	}
	ap_buf_byte(&b, ']');
	ap_answer_u64(&b, "total_value", services->total);
	ap_json_key(&b, "previous");
	ap_buf_byte(&b, '{');
	ap_answer_i64(&b, "from", services->previous_from_ms);
	ap_answer_i64(&b, "to", services->previous_to_ms);
	ap_buf_byte(&b, '}');
	ap_answer_coverage(&b, &cov);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

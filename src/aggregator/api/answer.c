/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/answer.h"

void ap_answer_query_error(struct ap_http_request *req, int code, const struct ap_error *err)
{
	static const struct {
		int code;
		unsigned int status;
		const char *word;
	} table[] = {
		{-EINVAL, 400, "invalid_argument"},    {-E2BIG, 422, "too_expensive"},
		{-ENOMEM, 422, "too_expensive"},       {-EBUSY, 503, "busy"},
		{-ETIMEDOUT, 503, "timeout"},	       {-ECANCELED, 503, "cancelled"},
		{-ENOTCONN, 503, "store_unreachable"},
	};
	const char *text = err->msg[0] ? err->msg : ap_strerror(code);

	for (size_t i = 0; i < AP_ARRAY_SIZE(table); i++) {
		if (table[i].code != code)
			continue;
		if (table[i].status == 503)
			ap_http_header_set(req, "Retry-After", "2");
		ap_http_reply_error(req, table[i].status, table[i].word, NULL, "%s", text);
		return;
	}
	ap_http_reply_error(req, 500, "internal", NULL, "%s", text);
}

bool ap_answer_ask(struct ap_answer *a, struct ap_http_request *req, void *ctx,
		   const char *const *names)
{
	*a = (struct ap_answer){.req = req, .api = ctx};
	return ap_params_query(req, names, &a->params) &&
	       ap_params_selection(&a->params, "", &a->selection);
}

bool ap_answer_open(struct ap_answer *a, int r)
{
	if (r < 0) {
		ap_answer_query_error(a->req, r, &a->err);
		return false;
	}
	ap_coverage_expect_hosts(a->api->agents, &a->selection.query, &a->coverage);
	ap_buf_byte(&a->b, '{');
	return true;
}

void ap_answer_close(struct ap_answer *a)
{
	ap_answer_coverage(&a->b, &a->coverage);
	ap_buf_byte(&a->b, '}');
	ap_http_reply_json(a->req, 200, &a->b);
}

void ap_answer_free(struct ap_answer *a)
{
	ap_selection_free(&a->selection);
	ap_buf_free(&a->b);
}

void ap_answer_object(struct ap_buf *b, const char *key)
{
	ap_json_key(b, key);
	ap_buf_byte(b, '{');
}

void ap_answer_array(struct ap_buf *b, const char *key)
{
	ap_json_key(b, key);
	ap_buf_byte(b, '[');
}

void ap_answer_element(struct ap_buf *b)
{
	ap_json_next(b);
	ap_buf_byte(b, '{');
}

void ap_answer_null(struct ap_buf *b, const char *key)
{
	ap_json_key(b, key);
	ap_buf_puts(b, "null");
}

void ap_answer_str(struct ap_buf *b, const char *key, struct ap_str v)
{
	ap_json_key(b, key);
	ap_json_string(b, v);
}

void ap_answer_u64(struct ap_buf *b, const char *key, uint64_t v)
{
	ap_json_key(b, key);
	ap_json_u64(b, v);
}

void ap_answer_i64(struct ap_buf *b, const char *key, int64_t v)
{
	ap_json_key(b, key);
	ap_json_i64(b, v);
}

void ap_answer_bool(struct ap_buf *b, const char *key, bool v)
{
	ap_json_key(b, key);
	ap_buf_puts(b, v ? "true" : "false");
}

void ap_answer_share(struct ap_buf *b, const char *key, double v)
{
	ap_json_key(b, key);
	if (v < 0)
		ap_buf_puts(b, "null");
	else
		ap_json_double(b, v);
}

void ap_answer_reasons(struct ap_buf *b, const uint64_t counts[AP_REASONS_MAX])
{
	ap_answer_object(b, "reasons");
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		if (counts[i])
			ap_answer_u64(b, ap_reason_name(i), counts[i]);
	}
	ap_buf_byte(b, '}');
}

static void answer_range(struct ap_buf *b, const struct ap_coverage *cov)
{
	ap_answer_object(b, "range");
	ap_answer_i64(b, "from", cov->from_ms);
	ap_answer_i64(b, "to", cov->to_ms);
	ap_answer_u64(b, "resolution_s", cov->resolution_s);
	if (cov->unanswered_to_ms)
		ap_answer_i64(b, "unanswered_to", cov->unanswered_to_ms);
	else
		ap_answer_null(b, "unanswered_to");
	ap_buf_byte(b, '}');
}

void ap_answer_coverage(struct ap_buf *b, const struct ap_coverage *cov)
{
	ap_answer_object(b, "coverage");
	ap_answer_u64(b, "hosts_reporting", cov->hosts_reporting);
	ap_answer_u64(b, "hosts_expected", cov->hosts_expected);
	ap_answer_u64(b, "samples", cov->samples);
	ap_answer_share(b, "complete_share", cov->complete_share);
	ap_answer_u64(b, "lost", cov->lost);
	ap_answer_u64(b, "pending", cov->pending);
	if (cov->truncated) {
		ap_answer_object(b, "truncated");
		ap_answer_str(b, "what", ap_str_of(cov->truncated));
		ap_answer_u64(b, "cut", cov->cut);
		ap_buf_byte(b, '}');
	} else {
		ap_answer_null(b, "truncated");
	}
	ap_answer_reasons(b, cov->reasons);
	if (cov->resolution_s)
		answer_range(b, cov);
	ap_buf_byte(b, '}');
}

void ap_answer_selection(struct ap_buf *b, const struct ap_query *q)
{
	ap_answer_str(b, "type", ap_str_of(q->type->name));
	ap_answer_str(b, "unit", ap_str_of(q->type->unit));
	ap_answer_i64(b, "from", q->from_ms);
	ap_answer_i64(b, "to", q->to_ms);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/answer.h"

void ap_answer_query_error(struct ap_http_request *req, int code, const struct ap_error *err)
{
	static const struct {
		int code;
		unsigned int status;
		const char *word;
	} table[] = {
		{-EINVAL, 400, "invalid_argument"}, {-E2BIG, 422, "too_expensive"},
		{-ENOMEM, 422, "too_expensive"},    {-EBUSY, 503, "busy"},
		{-ETIMEDOUT, 503, "timeout"},	    {-ECANCELED, 503, "stopping"},
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

void ap_answer_expect_hosts(const struct ap_api *api, const struct ap_query *q,
			    struct ap_coverage *cov)
{
	uint32_t reporting, expected;

	for (uint32_t i = 0; q->filter && i < q->filter->n; i++) {
		struct ap_str label = q->filter->matchers[i].label;

		/* Which of the silent ones the filter means is not known here. */
		if (ap_str_is(label, "host") || ap_str_is(label, "agent"))
			return;
	}
	ap_agents_hosts(api->agents, q->from_ms * 1000000, q->to_ms * 1000000, &reporting,
			&expected);
	cov->hosts_expected = AP_MAX(cov->hosts_expected, expected);
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
	ap_json_key(b, "reasons");
	ap_buf_byte(b, '{');
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		if (counts[i])
			ap_answer_u64(b, ap_reason_name(i), counts[i]);
	}
	ap_buf_byte(b, '}');
}

void ap_answer_coverage(struct ap_buf *b, const struct ap_coverage *cov)
{
	ap_json_key(b, "coverage");
	ap_buf_byte(b, '{');
	ap_answer_u64(b, "hosts_reporting", cov->hosts_reporting);
	ap_answer_u64(b, "hosts_expected", cov->hosts_expected);
	ap_answer_u64(b, "samples", cov->samples);
	ap_answer_share(b, "complete_share", cov->complete_share);
	ap_answer_u64(b, "lost", cov->lost);
	ap_json_key(b, "truncated");
	if (cov->truncated) {
		ap_buf_byte(b, '{');
		ap_answer_str(b, "what", ap_str_of(cov->truncated));
		ap_answer_u64(b, "cut", cov->cut);
		ap_buf_byte(b, '}');
	} else {
		ap_buf_puts(b, "null");
	}
	ap_answer_reasons(b, cov->reasons);
	ap_buf_byte(b, '}');
}

void ap_answer_selection(struct ap_buf *b, const struct ap_query *q)
{
	ap_answer_str(b, "type", ap_str_of(q->type->name));
	ap_answer_str(b, "unit", ap_str_of(q->type->unit));
	ap_answer_i64(b, "from", q->from_ms);
	ap_answer_i64(b, "to", q->to_ms);
}

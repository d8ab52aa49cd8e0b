/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "aggregator.pb-c.h"
#include "wire/batch.h"
#include "wire/utf8.h"

typedef Aperture__Aggregator__V1__PushResponse PushResponse;

int ap_push_result_encode(const struct ap_push_result *r, struct ap_buf *out)
{
	PushResponse m = APERTURE__AGGREGATOR__V1__PUSH_RESPONSE__INIT;
	uint8_t *at;

	m.status = (Aperture__Aggregator__V1__PushResponse__Status)r->status;
	m.code = (Aperture__Aggregator__V1__PushResponse__Code)r->code;
	m.text = (char *)r->text;
	m.retry_after_ms = r->retry_after_ms;
	m.config_version = r->config_version;
	at = ap_buf_reserve(out, protobuf_c_message_get_packed_size(&m.base));
	if (!at)
		return -ENOMEM;
	out->n += protobuf_c_message_pack(&m.base, at);
	return 0;
}

int ap_push_result_decode(struct ap_str response, struct ap_push_result *ret)
{
	_cleanup_buf_ struct ap_buf text = {0};
	PushResponse *m = aperture__aggregator__v1__push_response__unpack(
		NULL, response.n, (const uint8_t *)response.p);

	if (!m)
		return -EBADMSG;
	*ret = (struct ap_push_result){
		.status = (enum ap_push_status)m->status,
		.code = (enum ap_push_code)m->code,
		.retry_after_ms = m->retry_after_ms,
		.config_version = m->config_version,
	};
	ap_utf8_repair(ap_str_of(m->text), &text);
	snprintf(ret->text, sizeof(ret->text), "%.*s", (int)text.n,
		 text.p ? (const char *)text.p : "");
	aperture__aggregator__v1__push_response__free_unpacked(m, NULL);
	return ap_buf_error(&text);
}

const char *ap_push_status_name(enum ap_push_status status)
{
	static const char *const names[] = {
		[AP_PUSH_UNSPECIFIED] = "unknown", [AP_PUSH_OK] = "ok",
		[AP_PUSH_DUPLICATE] = "duplicate", [AP_PUSH_BACKPRESSURE] = "backpressure",
		[AP_PUSH_ERROR] = "error",
	};

	return (size_t)status < AP_ARRAY_SIZE(names) ? names[status] : "unknown";
}

const char *ap_push_code_name(enum ap_push_code code)
{
	static const char *const names[] = {
		[AP_PUSH_CODE_NONE] = "none",
		[AP_PUSH_CODE_UNSUPPORTED_VERSION] = "unsupported_version",
		[AP_PUSH_CODE_MALFORMED] = "malformed",
		[AP_PUSH_CODE_INVALID_ARGUMENT] = "invalid_argument",
		[AP_PUSH_CODE_TOO_OLD] = "too_old",
		[AP_PUSH_CODE_TOO_NEW] = "too_new",
		[AP_PUSH_CODE_TOO_LARGE] = "too_large",
	};

	return (size_t)code < AP_ARRAY_SIZE(names) ? names[code] : "unknown";
}

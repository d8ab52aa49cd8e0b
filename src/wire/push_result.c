/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "aggregator.pb-c.h"
#include "wire/batch.h"
#include "wire/utf8.h"

typedef Aperture__Aggregator__V1__PushResponse PushResponse;
typedef Aperture__Aggregator__V1__Settings Settings;

int ap_push_result_encode(const struct ap_push_result *r, struct ap_buf *out)
{
	PushResponse m = APERTURE__AGGREGATOR__V1__PUSH_RESPONSE__INIT;
	Settings settings = APERTURE__AGGREGATOR__V1__SETTINGS__INIT;
	char *modes[AP_MODES_MAX];
	uint8_t *at;
	size_t n;

	m.status = (Aperture__Aggregator__V1__PushResponse__Status)r->status;
	m.code = (Aperture__Aggregator__V1__PushResponse__Code)r->code;
	m.text = (char *)r->text;
	m.retry_after_ms = r->retry_after_ms;
	m.config_version = r->config_version;
	if (r->has_settings) {
		for (uint32_t i = 0; i < r->settings.n_modes; i++)
			modes[i] = (char *)r->settings.modes[i];
		settings.modes = modes;
		settings.n_modes = r->settings.n_modes;
		settings.frequency_hz = r->settings.frequency_hz;
		settings.wait_threshold_ns = r->settings.wait_threshold_ns;
		settings.remaining_ns = r->settings.remaining_ns;
		m.settings = &settings;
	}
	n = protobuf_c_message_get_packed_size(&m.base);
	if (n == 0) /* all is as by default */
		return 0;
	at = ap_buf_reserve(out, n);
	if (!at)
		return -ENOMEM;
	out->n += protobuf_c_message_pack(&m.base, at);
	return 0;
}

static int decode_settings(const Settings *m, struct ap_settings *ret)
{
	if (m->n_modes > AP_MODES_MAX)
		return -EBADMSG;
	ret->n_modes = (uint32_t)m->n_modes;
	ret->frequency_hz = m->frequency_hz;
	ret->wait_threshold_ns = m->wait_threshold_ns;
	ret->remaining_ns = m->remaining_ns;
	for (size_t i = 0; i < m->n_modes; i++) {
		_cleanup_buf_ struct ap_buf text = {0};

		ap_utf8_repair(ap_str_of(m->modes[i]), &text);
		if (ap_buf_error(&text) < 0)
			return -ENOMEM;
		if (text.n >= sizeof(ret->modes[i]))
			return -EBADMSG;
		if (text.n)
			memcpy(ret->modes[i], text.p, text.n);
	}
	return 0;
}

int ap_push_result_decode(struct ap_str response, struct ap_push_result *ret)
{
	_cleanup_buf_ struct ap_buf text = {0};
	PushResponse *m = aperture__aggregator__v1__push_response__unpack(
		NULL, response.n, (const uint8_t *)response.p);
	int r = 0;

	if (!m)
		return -EBADMSG;
	*ret = (struct ap_push_result){
		.status = (enum ap_push_status)m->status,
		.code = (enum ap_push_code)m->code,
		.retry_after_ms = m->retry_after_ms,
		.config_version = m->config_version,
		.has_settings = m->settings != NULL,
	};
	ap_utf8_repair(ap_str_of(m->text), &text);
	snprintf(ret->text, sizeof(ret->text), "%.*s", (int)text.n,
		 text.p ? (const char *)text.p : "");
	if (m->settings)
		r = decode_settings(m->settings, &ret->settings);
	aperture__aggregator__v1__push_response__free_unpacked(m, NULL);
	return r < 0 ? r : ap_buf_error(&text);
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

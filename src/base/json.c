/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <math.h>
#include <stdio.h>

/* Bytes at the head of `s` that stand for themselves in a JSON string. */
static size_t plain_run(struct ap_str s)
{
	size_t i = 0;

	while (i < s.n) {
		unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == '"' || c == '\\' || c >= 0x7f)
			break;
		i++;
	}
	return i;
}

static void escape(struct ap_buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		ap_buf_puts(b, "\\\"");
		break;
	case '\\':
		ap_buf_puts(b, "\\\\");
		break;
	case '\n':
		ap_buf_puts(b, "\\n");
		break;
	case '\t':
		ap_buf_puts(b, "\\t");
		break;
	case '\r':
		ap_buf_puts(b, "\\r");
		break;
	default:
		ap_buf_printf(b, "\\u%04x", c);
	}
}

void ap_json_string(struct ap_buf *b, struct ap_str s)
{
	ap_buf_byte(b, '"');
	while (s.n) {
		size_t n = plain_run(s);

		if (!n && (unsigned char)s.p[0] < 0x80) {
			escape(b, (unsigned char)s.p[0]);
			n = 1;
		} else if (!n) {
			n = ap_str_utf8_len(s);
			if (n)
				ap_buf_append(b, s.p, n);
			else
				ap_buf_puts(b, "\xef\xbf\xbd");
			n = AP_MAX(n, (size_t)1);
		} else {
			ap_buf_append(b, s.p, n);
		}
		s.p += n;
		s.n -= n;
	}
	ap_buf_byte(b, '"');
}

uint8_t *ap_json_digits(uint8_t *at, uint64_t v)
{
	uint8_t *end = at + 1;

	for (uint64_t rest = v; rest >= 10; rest /= 10)
		end++;
	for (uint8_t *p = end; p > at; v /= 10)
		*--p = (uint8_t)('0' + v % 10);
	return end;
}

void ap_json_u64(struct ap_buf *b, uint64_t v)
{
	uint8_t *at = ap_buf_reserve(b, AP_JSON_DIGITS_MAX);

	if (at)
		b->n += (size_t)(ap_json_digits(at, v) - at);
}

void ap_json_i64(struct ap_buf *b, int64_t v)
{
	if (v < 0)
		ap_buf_byte(b, '-');
	ap_json_u64(b, v < 0 ? -(uint64_t)v : (uint64_t)v);
}

void ap_json_double(struct ap_buf *b, double v)
{
	char tmp[40];

	if (!isfinite(v)) {
		ap_buf_puts(b, "null");
		return;
	}
	for (int digits = 6; digits <= 17; digits++) {
		/* + 0.0 takes the sign from zero: a reader may take "-0" for a whole number. */
		snprintf(tmp, sizeof(tmp), "%.*g", digits, v + 0.0);
		if (strtod(tmp, NULL) == v)
			break;
	}
	ap_buf_puts(b, tmp);
}

void ap_json_next(struct ap_buf *b)
{
	uint8_t last = b->n ? b->p[b->n - 1] : '{';

	if (last != '{' && last != '[')
		ap_buf_byte(b, ',');
}

void ap_json_key(struct ap_buf *b, const char *key)
{
	ap_json_next(b);
	ap_json_string(b, ap_str_of(key));
	ap_buf_byte(b, ':');
}

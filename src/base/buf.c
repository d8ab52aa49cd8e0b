/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>

void ap_buf_free(struct ap_buf *b)
{
	free(b->p);
	*b = (struct ap_buf){0};
}

void ap_buf_clear(struct ap_buf *b)
{
	b->n = 0;
	b->err = 0;
}

uint8_t *ap_buf_reserve(struct ap_buf *b, size_t n)
{
	size_t need, cap;
	uint8_t *p;

	if (b->err)
		return NULL;
	if (!ap_size_add(b->n, n, &need) || need > SIZE_MAX / 2) {
		b->err = -ENOMEM;
		return NULL;
	}
	if (need > b->cap) {
		cap = AP_MAX(b->cap * 2, (size_t)64);
		while (cap < need)
			cap *= 2;
		p = realloc(b->p, cap);
		if (!p) {
			b->err = -ENOMEM;
			return NULL;
		}
		b->p = p;
		b->cap = cap;
	}
	return b->p + b->n;
}

void ap_buf_append(struct ap_buf *b, const void *p, size_t n)
{
	uint8_t *d;

	if (n == 0)
		return;
	d = ap_buf_reserve(b, n);
	if (!d)
		return;
	memcpy(d, p, n);
	b->n += n;
}

void ap_buf_vprintf(struct ap_buf *b, const char *fmt, va_list ap)
{
	va_list again;
	char *d;
	int n;

	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	if (n < 0) {
		b->err = -ENOMEM;
		return;
	}
	d = (char *)ap_buf_reserve(b, (size_t)n + 1);
	if (!d)
		return;
	vsnprintf(d, (size_t)n + 1, fmt, ap);
	b->n += (size_t)n;
}

void ap_buf_printf(struct ap_buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	ap_buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void ap_buf_utf8(struct ap_buf *b, struct ap_str s)
{
	while (s.n) {
		size_t n = 0, len;

		while (n < s.n && (len = ap_str_utf8_len((struct ap_str){s.p + n, s.n - n})) > 0)
			n += len;
		ap_buf_append(b, s.p, n);
		if (n < s.n) {
			ap_buf_puts(b, "\xef\xbf\xbd");
			n++;
		}
		s.p += n;
		s.n -= n;
	}
}

void ap_buf_varint(struct ap_buf *b, uint64_t v)
{
	uint8_t tmp[10];
	size_t n = 0;

	do {
		tmp[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	ap_buf_append(b, tmp, n);
}

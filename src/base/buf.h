/* SPDX-License-Identifier: Apache-2.0 */
/* A growable byte buffer. Errors are sticky: after one failed growth every further append is
 * ignored and ap_buf_error() tells, so that writers check once, at the end. */
#ifndef AP_BASE_BUF_H
#define AP_BASE_BUF_H

#include <stdarg.h>

#include "base/str.h"

struct ap_buf {
	uint8_t *p;
	size_t n;   /* bytes in use */
	size_t cap; /* bytes allocated */
	int err;    /* 0 or -ENOMEM */
};

void ap_buf_free(struct ap_buf *b);  /* frees the bytes, leaves an empty buffer */
void ap_buf_clear(struct ap_buf *b); /* n = 0, err = 0; keeps the allocation */
/* Room for `n` more bytes; returns where they begin, NULL on failure. `n` is not advanced. */
uint8_t *ap_buf_reserve(struct ap_buf *b, size_t n);
void ap_buf_append(struct ap_buf *b, const void *p, size_t n);
void ap_buf_printf(struct ap_buf *b, const char *fmt, ...) AP_PRINTF(2, 3);
void ap_buf_vprintf(struct ap_buf *b, const char *fmt, va_list ap) AP_PRINTF(2, 0);

static inline int ap_buf_error(const struct ap_buf *b)
{
	return b->err;
}

static inline void ap_buf_str(struct ap_buf *b, struct ap_str s)
{
	ap_buf_append(b, s.p, s.n);
}

static inline void ap_buf_puts(struct ap_buf *b, const char *s)
{
	ap_buf_append(b, s, strlen(s));
}

static inline void ap_buf_byte(struct ap_buf *b, uint8_t c)
{
	ap_buf_append(b, &c, 1);
}

/* Appends `s` as valid UTF-8: each byte that is no part of a valid sequence becomes U+FFFD. */
void ap_buf_utf8(struct ap_buf *b, struct ap_str s);

/* A little-endian base-128 varint, as protobuf and ClickHouse use it. */
void ap_buf_varint(struct ap_buf *b, uint64_t v);

static inline struct ap_str ap_buf_view(const struct ap_buf *b)
{
	return (struct ap_str){(const char *)b->p, b->n};
}

#define _cleanup_buf_ _cleanup_(ap_buf_free)

#endif

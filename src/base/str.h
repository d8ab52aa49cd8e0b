/* SPDX-License-Identifier: Apache-2.0 */
/* Strings as pointer and length. Bytes from outside are never taken to end in NUL. */
#ifndef AP_BASE_STR_H
#define AP_BASE_STR_H

#include <string.h>

#include "base/macro.h"

/* A borrowed run of bytes; `p` may be NULL only when `n` is 0. */
struct ap_str {
	const char *p;
	size_t n;
};

#define AP_STR(lit) ((struct ap_str){"" lit, sizeof(lit) - 1})
/* For printf's "%.*s". */
#define AP_STR_ARG(s) ((int)(s).n), ((s).p ? (s).p : "")

static inline struct ap_str ap_str_of(const char *cstr)
{
	return (struct ap_str){cstr, cstr ? strlen(cstr) : 0};
}

static inline bool ap_str_eq(struct ap_str a, struct ap_str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool ap_str_is(struct ap_str a, const char *cstr)
{
	return ap_str_eq(a, ap_str_of(cstr));
}

/* Byte order; a prefix sorts first. */
int ap_str_cmp(struct ap_str a, struct ap_str b);
bool ap_str_starts(struct ap_str s, struct ap_str prefix);
bool ap_str_ends(struct ap_str s, struct ap_str suffix);
/* Strips ASCII white space from both ends. */
struct ap_str ap_str_trim(struct ap_str s);
/* Cuts `*s` at the first `sep`: returns what stands before it and leaves the rest in `*s`. Without
 * a `sep` all of it is returned and `*s` is empty with p = NULL, so that a loop can stop there. */
struct ap_str ap_str_cut(struct ap_str *s, char sep);
/* Position of `c`, or -1. */
ssize_t ap_str_find(struct ap_str s, char c);
/* Whether the bytes are valid UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool ap_str_utf8_ok(struct ap_str s);
/* Bytes in the UTF-8 sequence that `s` begins with; 0 where it is malformed or `s` is empty. */
size_t ap_str_utf8_len(struct ap_str s);

/* A NUL-terminated copy, the caller's to free; NULL = out of memory. */
char *ap_str_dup(struct ap_str s);

/* Whole-string number parsing: 0, -EINVAL (not a number, trailing bytes) or -ERANGE. */
int ap_parse_u64(struct ap_str s, uint64_t *ret);
int ap_parse_i64(struct ap_str s, int64_t *ret);
int ap_parse_double(struct ap_str s, double *ret);
/* "512", "64KiB", "10 MiB", "1G": bytes; K, M, G, T are powers of 1024. */
int ap_parse_bytes(struct ap_str s, uint64_t *ret);
/* "250ms", "10s", "5m", "1h", "7d"; a bare number is seconds. Nanoseconds. */
int ap_parse_duration(struct ap_str s, uint64_t *ret_ns);
/* "1", "0.5%": thousandths of a percent. */
int ap_parse_percent(struct ap_str s, uint64_t *ret);

#endif

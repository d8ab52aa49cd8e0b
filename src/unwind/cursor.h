/* SPDX-License-Identifier: Apache-2.0 */
/* Reads little-endian DWARF data from bytes that nobody vouches for. Errors are sticky: past the
 * end every value is 0 and `bad` stays set, so that parsers check once per group of fields. */
#ifndef AP_UNWIND_CURSOR_H
#define AP_UNWIND_CURSOR_H

#include <string.h>

#include "base/macro.h"

struct ap_cursor {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct ap_cursor ap_cursor_over(const uint8_t *p, size_t n)
{
	return (struct ap_cursor){p, p + n, false};
}

static inline size_t ap_cursor_left(const struct ap_cursor *c)
{
	return (size_t)(c->end - c->p);
}

/* The place of the next `n` bytes, which are passed over; NULL where there are fewer. */
static inline const uint8_t *ap_cursor_take(struct ap_cursor *c, uint64_t n)
{
	const uint8_t *p = c->p;

	if (AP_UNLIKELY(n > ap_cursor_left(c))) {
		c->p = c->end;
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return p;
}

static inline uint64_t ap_cursor_uint(struct ap_cursor *c, size_t bytes)
{
	const uint8_t *p = ap_cursor_take(c, bytes);
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, bytes);
	return v;
}

static inline uint8_t ap_cursor_u8(struct ap_cursor *c)
{
	return (uint8_t)ap_cursor_uint(c, 1);
}

static inline int64_t ap_cursor_sint(struct ap_cursor *c, size_t bytes)
{
	unsigned int unused = (unsigned int)(64 - 8 * bytes);

	return (int64_t)(ap_cursor_uint(c, bytes) << unused) >> unused;
}

/* LEB128; `ret_shift` is the number of bits that were given. Bits past the 64th are dropped. */
static inline uint64_t ap_cursor_leb(struct ap_cursor *c, unsigned int *ret_shift,
				     uint8_t *ret_last)
{
	unsigned int shift = 0;
	uint64_t v = 0;
	uint8_t byte;

	do {
		byte = ap_cursor_u8(c);
		if (shift < 64)
			v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while ((byte & 0x80) && !c->bad);
	*ret_shift = shift;
	*ret_last = byte;
	return v;
}

static inline uint64_t ap_cursor_uleb(struct ap_cursor *c)
{
	unsigned int shift;
	uint8_t last;

	return ap_cursor_leb(c, &shift, &last);
}

static inline int64_t ap_cursor_sleb(struct ap_cursor *c)
{
	unsigned int shift;
	uint8_t last;
	uint64_t v = ap_cursor_leb(c, &shift, &last);

	if (shift < 64 && (last & 0x40))
		v |= ~0ull << shift;
	return (int64_t)v;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Call frame information written by hand, and the rules that it leads to. */
#ifndef AP_TESTS_UNWIND_CFI_SECTION_H
#define AP_TESTS_UNWIND_CFI_SECTION_H

#include "base/buf.h"
#include "unwind/cfi.h"
#include "unwind/encoding.h"

enum { VADDR = 0x500000, CODE = 0x401000, CODE_BYTES = 0x10000, CODE_AT = 0x1000 };

/* A section being written. */
struct section {
	struct ap_buf b;
	struct ap_cfi_options o;
	size_t cie, entry; /* where the CIE, and the entry in the works, begin */
};

static inline void put(struct section *s, uint64_t v, size_t bytes)
{
	ap_buf_append(&s->b, &v, bytes);
}

#define PUT(s, ...)                                                   \
	do {                                                          \
		const uint8_t put_bytes[] = {__VA_ARGS__};            \
		ap_buf_append(&(s)->b, put_bytes, sizeof(put_bytes)); \
	} while (0)

static inline void begin(struct section *s)
{
	s->entry = s->b.n;
	put(s, 0, 4);
}

static inline void end(struct section *s)
{
	uint32_t n = (uint32_t)(s->b.n - s->entry - 4);

	memcpy(s->b.p + s->entry, &n, sizeof(n));
}

/* CFA = rsp + 8, the return address below it, as every CIE of x86-64 has it. */
#define USUAL 0x0c, 7, 8, 0x90, 1

static inline void cie(struct section *s, uint8_t version, const char *augmentation)
{
	begin(s);
	s->cie = s->entry;
	put(s, s->o.eh ? 0 : UINT32_MAX, 4);
	put(s, version, 1);
	ap_buf_append(&s->b, augmentation, strlen(augmentation) + 1);
	if (strcmp(augmentation, "eh") == 0)
		put(s, 0x1234, 8);
	if (version == 4)
		put(s, 8, 2);
	PUT(s, 1, 0x78, 16); /* factors 1 and -8; the return address's column */
}

/* The beginning of an FDE up to its pointers. */
static inline void fde(struct section *s)
{
	begin(s);
	put(s, s->o.eh ? s->b.n - s->cie : s->cie, 4);
}

/* A section of one CIE "zR" with plain addresses. */
static inline struct section usual(void)
{
	struct section s = {.o = {.eh = true, .vaddr = VADDR}};

	cie(&s, 1, "zR");
	PUT(&s, 1, 0x00, USUAL);
	end(&s);
	return s;
}

/* A function at CODE + `at` of `bytes`, to be followed by instructions. */
static inline void function(struct section *s, uint64_t at, uint64_t bytes)
{
	fde(s);
	put(s, CODE + at, 8);
	put(s, bytes, 8);
	put(s, 0, 1);
}

static inline struct ap_unwind_table *finish(struct section *s)
{
	struct ap_unwind_segment code = {CODE, CODE_AT, CODE_BYTES};
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b =
		ap_table_builder_new(&code, 1);
	_cleanup_(ap_cleanup_cfi) struct ap_cfi *c = ap_cfi_new(&s->o, b);
	struct ap_unwind_table *t = NULL;
	uint64_t used;

	assert_true(ap_cfi_feed(c, s->b.p, s->b.n, &used) >= 0);
	if (ap_table_builder_finish(b, &t) < 0)
		t = NULL;
	ap_buf_free(&s->b);
	return t;
}

static inline struct ap_rule at(const struct ap_unwind_table *t, uint64_t offset)
{
	assert_non_null(t);
	return *ap_unwind_table_find(t, CODE_AT + offset);
}

static inline void is_cfa(struct ap_rule r, int kind, int reg, int offset)
{
	assert_int_equal(r.cfa, kind);
	assert_int_equal(r.cfa_register, reg);
	assert_int_equal(r.cfa_offset, offset);
}

static inline void is_fp(struct ap_rule r, int saved, int offset)
{
	assert_int_equal(r.fp_tracked & 15, saved);
	assert_int_equal(r.fp_offset, offset);
}

static inline void is_tracked(struct ap_rule r, int saved, int offset)
{
	assert_int_equal(r.fp_tracked >> 4, saved);
	assert_int_equal(r.tracked_offset, offset);
}

static inline void is_ra(struct ap_rule r, int saved, int offset)
{
	assert_int_equal(r.ra, saved);
	assert_int_equal(r.ra_offset, offset);
}

#define TABLE _cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Entries and instructions assembled by hand: what each of them makes of the rows. */
#include "../test.h"
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

static void put(struct section *s, uint64_t v, size_t bytes)
{
	ap_buf_append(&s->b, &v, bytes);
}

#define PUT(s, ...)                                                   \
	do {                                                          \
		const uint8_t put_bytes[] = {__VA_ARGS__};            \
		ap_buf_append(&(s)->b, put_bytes, sizeof(put_bytes)); \
	} while (0)

static void begin(struct section *s)
{
	s->entry = s->b.n;
	put(s, 0, 4);
}

static void end(struct section *s)
{
	uint32_t n = (uint32_t)(s->b.n - s->entry - 4);

	memcpy(s->b.p + s->entry, &n, sizeof(n));
}

/* CFA = rsp + 8, the return address below it, as every CIE of x86-64 has it. */
#define USUAL 0x0c, 7, 8, 0x90, 1

static void cie(struct section *s, uint8_t version, const char *augmentation)
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
static void fde(struct section *s)
{
	begin(s);
	put(s, s->o.eh ? s->b.n - s->cie : s->cie, 4);
}

/* A section of one CIE "zR" with plain addresses. */
static struct section usual(void)
{
	struct section s = {.o = {.eh = true, .tracked = true, .vaddr = VADDR}};

	cie(&s, 1, "zR");
	PUT(&s, 1, 0x00, USUAL);
	end(&s);
	return s;
}

/* A function at CODE + `at` of `bytes`, to be followed by instructions. */
static void function(struct section *s, uint64_t at, uint64_t bytes)
{
	fde(s);
	put(s, CODE + at, 8);
	put(s, bytes, 8);
	put(s, 0, 1);
}

static struct ap_unwind_table *finish(struct section *s)
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

static struct ap_rule at(const struct ap_unwind_table *t, uint64_t offset)
{
	assert_non_null(t);
	return *ap_unwind_table_find(t, CODE_AT + offset);
}

static void is_cfa(struct ap_rule r, int kind, int reg, int offset)
{
	assert_int_equal(r.cfa, kind);
	assert_int_equal(r.cfa_register, reg);
	assert_int_equal(r.cfa_offset, offset);
}

static void is_fp(struct ap_rule r, int saved, int offset)
{
	assert_int_equal(r.fp_tracked & 15, saved);
	assert_int_equal(r.fp_offset, offset);
}

static void is_tracked(struct ap_rule r, int saved, int offset)
{
	assert_int_equal(r.fp_tracked >> 4, saved);
	assert_int_equal(r.tracked_offset, offset);
}

static void is_ra(struct ap_rule r, int saved, int offset)
{
	assert_int_equal(r.ra, saved);
	assert_int_equal(r.ra_offset, offset);
}

#define TABLE _cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table

static void follows_an_ordinary_function(void **state)
{
	struct section s = usual();
	struct ap_rule r;

	function(&s, 0, 0x40);
	PUT(&s, 0x41, 0x0e, 16, 0x86, 2);	     /* push %rbp */
	PUT(&s, 0x43, 0x0d, 6);			     /* mov %rsp,%rbp */
	PUT(&s, 0x02, 4, 0x83, 3, 0x0a);	     /* rbx; remember */
	PUT(&s, 0x03, 8, 0, 0x0c, 7, 8, 0xc6, 0xc3); /* leave: restored */
	PUT(&s, 0x04, 1, 0, 0, 0, 0x0b);	     /* ret; recall */
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_REGISTER, 7, 8);
	is_ra(at(t, 0), AP_SAVED_CFA, -8);
	is_fp(at(t, 0), AP_SAVED_SAME, 0);
	is_cfa(at(t, 1), AP_CFA_REGISTER, 7, 16);
	is_fp(at(t, 3), AP_SAVED_CFA, -16);
	r = at(t, 8);
	is_cfa(r, AP_CFA_REGISTER, 6, 16);
	is_fp(r, AP_SAVED_CFA, -16);
	is_tracked(r, AP_SAVED_CFA, -24);
	is_cfa(at(t, 16), AP_CFA_REGISTER, 7, 8);
	is_fp(at(t, 16), AP_SAVED_SAME, 0);
	is_tracked(at(t, 16), AP_SAVED_SAME, 0);
	is_cfa(at(t, 0x3f), AP_CFA_REGISTER, 6, 16);
	is_cfa(at(t, 0x40), AP_CFA_NONE, 0, 0);
	assert_int_equal(t->n_unsupported, 0);
}

static void knows_the_other_instructions(void **state)
{
	struct section s = usual();

	function(&s, 0, 0x100);
	PUT(&s, 0x12, 7, 0x7e, 0x41);	       /* def_cfa_sf rsp 16 */
	PUT(&s, 0x13, 0x7d, 0x41);	       /* def_cfa_offset_sf 24 */
	PUT(&s, 0x05, 6, 2, 0x41);	       /* offset_extended */
	PUT(&s, 0x11, 6, 0x7f, 0x41);	       /* offset_extended_sf: +8 */
	PUT(&s, 0x2f, 6, 4, 0x41);	       /* negative_offset_extended: +32 */
	PUT(&s, 0x06, 6, 0x41);		       /* restore_extended */
	PUT(&s, 0x09, 6, 12, 0x41);	       /* register r12 */
	PUT(&s, 0x08, 6, 0x41);		       /* same_value */
	PUT(&s, 0x07, 6, 0x41);		       /* undefined */
	PUT(&s, 0x14, 7, 0, 0x15, 7, 0, 0x41); /* val_offset(_sf): rsp is the CFA */
	PUT(&s, 0x2e, 16, 0x2d, 0x2c, 0x00, 0x05, 12, 2, 0x41); /* say nothing of ours */
	PUT(&s, 0x1d, 4, 0, 0, 0, 0, 0, 0, 0, 0x0e, 32);	/* MIPS_advance_loc8 */
	PUT(&s, 0x01);						/* set_loc */
	put(&s, CODE + 0x20, 8);
	PUT(&s, 0x0e, 40);
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_REGISTER, 7, 16);
	is_cfa(at(t, 1), AP_CFA_REGISTER, 7, 24);
	is_fp(at(t, 2), AP_SAVED_CFA, -16);
	is_fp(at(t, 3), AP_SAVED_CFA, 8);
	is_fp(at(t, 4), AP_SAVED_CFA, 32);
	is_fp(at(t, 5), AP_SAVED_SAME, 0);
	is_fp(at(t, 6), AP_SAVED_REGISTER, 12);
	is_fp(at(t, 7), AP_SAVED_SAME, 0);
	is_fp(at(t, 8), AP_SAVED_UNDEFINED, 0);
	is_cfa(at(t, 10), AP_CFA_REGISTER, 7, 24);
	is_cfa(at(t, 14), AP_CFA_REGISTER, 7, 24);
	is_cfa(at(t, 15), AP_CFA_REGISTER, 7, 32);
	is_cfa(at(t, 0x20), AP_CFA_REGISTER, 7, 40);
	assert_int_equal(t->n_unsupported, 0);
}

static void reads_expressions(void **state)
{
	struct section s = usual();

	function(&s, 0, 0x10);
	PUT(&s, 0x0f, 3, 0x76, 0x78, 0x06, 0x10, 6, 2, 0x76, 0); /* realigned: CFA *(rbp - 8) */
	PUT(&s, 0x10, 3, 2, 0x76, 0x70, 0x41);
	PUT(&s, 0x0f, 6, 0x77, 0x98, 0x01, 0x06, 0x23, 8, 0x41); /* *(rsp + 152) + 8 */
	PUT(&s, 0x0e, 48, 0x41); /* an offset does not end an expression, */
	PUT(&s, 0x0d, 7, 0x41);	 /* a register does, and takes that offset */
	PUT(&s, 0x0f, 11, 0x77, 8, 0x80, 0, 0x3f, 0x1a, 0x3b, 0x2a, 0x33, 0x24, 0x22, 0x41);
	PUT(&s, 0x0f, 2, 0x77, 16, 0x16, 6, 2, 0x76, 8, 0x41); /* a value that is no register's */
	PUT(&s, 0x0f, 2, 0x77, 16, 0x16, 6, 2, 0x7c, 0, 0x41); /* that of r12 */
	PUT(&s, 0x0f, 3, 0x77, 0, 0x1e);
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_DEREF, 6, -8);
	is_fp(at(t, 0), AP_SAVED_FP, 0);
	is_tracked(at(t, 0), AP_SAVED_FP, -16);
	is_cfa(at(t, 1), AP_CFA_DEREF, 7, 152);
	assert_int_equal(at(t, 1).cfa_add, 8);
	is_cfa(at(t, 2), AP_CFA_DEREF, 7, 152);
	is_cfa(at(t, 3), AP_CFA_REGISTER, 7, 48);
	is_cfa(at(t, 4), AP_CFA_PLT, 7, 11);
	is_cfa(at(t, 5), AP_CFA_REGISTER, 7, 16);
	is_fp(at(t, 5), AP_SAVED_UNDEFINED, 0);
	is_fp(at(t, 6), AP_SAVED_REGISTER, 12);
	is_cfa(at(t, 7), AP_CFA_UNSUPPORTED, 0, 0);
	assert_int_equal(t->n_unsupported, 1);
}

static void finds_return_addresses_and_ends(void **state)
{
	struct section s = usual();

	function(&s, 0, 0x10);
	PUT(&s, 0x07, 16, 0x41);	      /* _start: undefined */
	PUT(&s, 0x09, 16, 5, 0x41);	      /* vfork: in rdi */
	PUT(&s, 0x08, 16, 0x41);	      /* unchanged: there is no such register */
	PUT(&s, 0x10, 16, 2, 0x77, 24, 0x41); /* *(rsp + 24) */
	PUT(&s, 0xd0, 0x41);
	PUT(&s, 0x80 + 7, 2); /* another stack pointer than the CFA */
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_END, 0, 0);
	is_ra(at(t, 1), AP_SAVED_REGISTER, 5);
	is_cfa(at(t, 2), AP_CFA_UNSUPPORTED, 0, 0);
	is_ra(at(t, 3), AP_SAVED_SP, 24);
	is_ra(at(t, 4), AP_SAVED_CFA, -8);
	is_cfa(at(t, 5), AP_CFA_UNSUPPORTED, 0, 0);
}

static void finds_signal_frames(void **state)
{
	struct section s = usual();

	cie(&s, 1, "zRS");
	PUT(&s, 1, 0x00, USUAL);
	end(&s);
	function(&s, 0, 0x10);
	PUT(&s, 0x0f, 4, 0x77, 0xa0, 1, 0x06, 0x10, 16, 3, 0x77, 0xa8, 1); /* rsp + 160, + 168 */
	PUT(&s, 0x41, 0x10, 16, 3, 0x77, 0xb0, 1); /* no sigcontext is like this */
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_SIGNAL, 7, 40);
	is_cfa(at(t, 1), AP_CFA_DEREF, 7, 160);
	is_ra(at(t, 1), AP_SAVED_SP, 176);
}

static void reads_all_kinds_of_cies(void **state)
{
	static const struct {
		bool eh;
		uint8_t version;
		const char *augmentation;
		bool ok;
	} cases[] = {
		{false, 1, "", true},  {false, 3, "", true},   {false, 4, "", true},
		{false, 3, "S", true}, {true, 1, "eh", true},  {true, 1, "z", true},
		{true, 1, "zQ", true}, {false, 2, "", false},  {false, 3, "armcc+", false},
		{true, 1, "", true},   {true, 1, "zRQ", true}, {false, 5, "", false},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		struct section s = {.o = {.eh = cases[i].eh, .vaddr = VADDR}};
		bool z = cases[i].augmentation[0] == 'z';

		cie(&s, cases[i].version, cases[i].augmentation);
		if (z)
			PUT(&s, 2, 0x00, 0x55);
		PUT(&s, USUAL);
		end(&s);
		fde(&s);
		put(&s, CODE, 8);
		put(&s, 0x10, 8);
		if (z)
			PUT(&s, 3, 1, 2, 3);
		PUT(&s, 0x41, 0x0e, 16);
		end(&s);
		TABLE *t = finish(&s);

		if (!cases[i].ok) {
			assert_null(t);
			continue;
		}
		is_cfa(at(t, 0), AP_CFA_REGISTER, 7, 8);
		is_cfa(at(t, 1), AP_CFA_REGISTER, 7, 16);
	}
}

static void refuses_other_address_sizes(void **state)
{
	static const uint8_t sizes[][2] = {{4, 0}, {8, 4}};

	for (size_t i = 0; i < AP_ARRAY_SIZE(sizes); i++) {
		struct section s = {.o = {.eh = false}};

		cie(&s, 4, "");
		memcpy(s.b.p + 10, sizes[i], 2);
		PUT(&s, USUAL);
		end(&s);
		fde(&s);
		put(&s, CODE, 8);
		put(&s, 0x10, 8);
		end(&s);
		assert_null(finish(&s));
	}
}

/* `encoding` is how the address CODE is written; the pointer is `bytes` long. */
static struct ap_unwind_table *encoded(uint8_t encoding, size_t bytes)
{
	struct section s = {.o = {.eh = true, .vaddr = VADDR}};
	uint64_t place;

	cie(&s, 1, "zPLR");
	/* An aligned pointer, so that it matters where the entry is. */
	put(&s, 1 + (-(s.b.n + 2) & 7) + 8 + 2, 1);
	put(&s, AP_PE_ALIGNED, 1);
	while (s.b.n & 7)
		put(&s, 0, 1);
	put(&s, 0x1122334455667788, 8);
	PUT(&s, 0x1b, encoding, USUAL);
	end(&s);
	fde(&s);
	place = VADDR + s.b.n;
	if ((encoding & 0x70) == 0x50)
		while (s.b.n & 7)
			put(&s, 0, 1);
	put(&s, (encoding & 0x70) == 0x10 ? CODE - place : CODE, bytes);
	put(&s, 0x20, bytes);
	put(&s, 0, 1);
	end(&s);
	return finish(&s);
}

static void reads_all_kinds_of_pointers(void **state)
{
	static const struct {
		uint8_t encoding;
		size_t bytes;
		bool ok;
	} cases[] = {
		{0x00, 8, true},  {0x03, 4, true},  {0x04, 8, true}, {0x0b, 4, true},
		{0x0c, 8, true},  {0x10, 8, true},  {0x1b, 4, true}, {0x1c, 8, true},
		{0x20, 8, true},  {0x3b, 4, true},  {0x50, 8, true}, {0x43, 4, false},
		{0x9b, 4, false}, {0x07, 8, false},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		TABLE *t = encoded(cases[i].encoding, cases[i].bytes);

		if (!cases[i].ok) {
			assert_null(t);
			continue;
		}
		is_cfa(at(t, 0), AP_CFA_REGISTER, 7, 8);
		is_cfa(at(t, 0x1f), AP_CFA_REGISTER, 7, 8);
		is_cfa(at(t, 0x20), AP_CFA_NONE, 0, 0);
	}
}

static void reads_64_bit_dwarf(void **state)
{
	for (int eh = 0; eh < 2; eh++) {
		struct section s = {.o = {.eh = eh, .vaddr = VADDR}};

		put(&s, UINT32_MAX, 4);
		put(&s, (eh ? 4 : 8) + 10, 8);
		put(&s, eh ? 0 : UINT64_MAX, eh ? 4 : 8);
		PUT(&s, 1, 0, 1, 0x78, 16, USUAL);
		put(&s, UINT32_MAX, 4);
		put(&s, (eh ? 4 : 8) + 16, 8);
		put(&s, eh ? s.b.n : 0, eh ? 4 : 8);
		put(&s, CODE, 8);
		put(&s, 0x10, 8);
		TABLE *t = finish(&s);

		is_cfa(at(t, 0), AP_CFA_REGISTER, 7, 8);
	}
}

/* Instructions that go wrong: the function is described up to there. */
static void marks_what_it_cannot_follow(void **state)
{
	static const uint8_t bad[][4] = {
		{0x0b},			  /* recall without remember */
		{0x3f},			  /* no such instruction */
		{0x0f, 200, 0x77, 0},	  /* an expression past the end */
		{0x0e, 0x80, 0x80, 0x80}, /* a number without an end */
		{0x01, 0, 0, 0},	  /* set_loc, cut off */
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++) {
		struct section s = usual();

		function(&s, 0, 0x20);
		PUT(&s, 0x44);
		ap_buf_append(&s.b, bad[i], sizeof(bad[i]));
		end(&s);
		TABLE *t = finish(&s);

		is_cfa(at(t, 3), AP_CFA_REGISTER, 7, 8);
		is_cfa(at(t, 4), AP_CFA_UNSUPPORTED, 0, 0);
		is_cfa(at(t, 0x1f), AP_CFA_UNSUPPORTED, 0, 0);
		is_cfa(at(t, 0x20), AP_CFA_NONE, 0, 0);
	}
}

static void bounds_what_is_remembered(void **state)
{
	for (int depth = 16; depth <= 4096; depth *= 16) {
		struct section s = usual();

		function(&s, 0, 0x20);
		for (int i = 0; i < depth; i++)
			PUT(&s, 0x0a);
		PUT(&s, 0x41, 0x0e, 16);
		end(&s);
		TABLE *t = finish(&s);

		is_cfa(at(t, 1), depth > 16 ? AP_CFA_UNSUPPORTED : AP_CFA_REGISTER,
		       depth > 16 ? 0 : 7, depth > 16 ? 0 : 16);
	}
}

static void holds_offsets_that_no_rule_can(void **state)
{
	struct section s = usual();

	function(&s, 0, 0x20);
	PUT(&s, 0x0e, 0xff, 0xff, 0xff, 0xff, 0x07, 0x41);	       /* 2^31 - 1 */
	PUT(&s, 0x0e, 0x80, 0x80, 0x80, 0x80, 0x08, 0x41, 0x0c, 7, 8); /* 2^31 */
	PUT(&s, 0x86, 0x80, 0x20, 0x41);			       /* rbp at CFA - 2^15 */
	PUT(&s, 0x86, 0x81, 0x20, 0x41);			       /* and 8 bytes lower */
	PUT(&s, 0x86, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x41);
	PUT(&s, 0x0c, 16, 8, 0x41); /* a register past the known ones */
	PUT(&s, 0x0c, 12, 8);
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_REGISTER, 7, INT32_MAX);
	is_cfa(at(t, 1), AP_CFA_UNSUPPORTED, 0, 0);
	is_fp(at(t, 2), AP_SAVED_CFA, INT16_MIN);
	is_fp(at(t, 3), AP_SAVED_UNDEFINED, 0);
	is_fp(at(t, 4), AP_SAVED_UNDEFINED, 0);
	is_cfa(at(t, 5), AP_CFA_UNSUPPORTED, 0, 0);
	is_cfa(at(t, 6), AP_CFA_REGISTER, 12, 8);
}

static void skips_entries_that_lie(void **state)
{
	struct section s = usual();

	s.cie = 4; /* no entry begins there */
	function(&s, 0, 0x10);
	end(&s);
	s.cie = s.b.n; /* itself */
	function(&s, 0x20, 0x10);
	end(&s);
	s.cie = 0;
	begin(&s);
	end(&s);				/* of length 0: goes on after it */
	function(&s, (uint64_t)0 - CODE, 0x10); /* thrown away by the linker: at 0 */
	end(&s);
	function(&s, 0x40, UINT64_MAX); /* past the end of addresses */
	end(&s);
	function(&s, 0x60, 0); /* empty */
	end(&s);
	begin(&s);
	for (int i = 0; i < 70000; i++) /* longer than any entry is */
		put(&s, s.cie, 4);
	end(&s);
	function(&s, 0x80, 0x10);
	end(&s);
	TABLE *t = finish(&s);

	assert_int_equal(t->n_functions, 1);
	is_cfa(at(t, 0x80), AP_CFA_REGISTER, 7, 8);
}

static void stops_at_zero_where_the_size_is_unknown(void **state)
{
	struct section s = usual();

	s.o.stop_at_zero = true;
	function(&s, 0, 0x10);
	end(&s);
	put(&s, 0, 4);
	function(&s, 0x20, 0x10);
	end(&s);
	TABLE *t = finish(&s);

	is_cfa(at(t, 0), AP_CFA_REGISTER, 7, 8);
	is_cfa(at(t, 0x20), AP_CFA_NONE, 0, 0);
}

/* Shown byte by byte more, a section gives the same as at once. */
static void takes_any_piece(void **state)
{
	struct ap_unwind_segment code = {CODE, CODE_AT, CODE_BYTES};
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b =
		ap_table_builder_new(&code, 1);
	struct section s = usual();
	TABLE *t = NULL;
	uint64_t used, from = 0;

	s.o.stop_at_zero = true;
	for (uint64_t i = 0; i < 3; i++) {
		function(&s, i * 0x20, 0x10);
		end(&s);
	}
	put(&s, 0, 4);
	_cleanup_(ap_cleanup_cfi) struct ap_cfi *c = ap_cfi_new(&s.o, b);
	for (size_t n = 0; n <= s.b.n; n++) {
		assert_int_equal(ap_cfi_feed(c, s.b.p + from, n - from, &used), n == s.b.n);
		from += used;
	}
	assert_int_equal(from, s.b.n - 4);
	assert_int_equal(ap_table_builder_finish(b, &t), 0);
	assert_int_equal(t->n_functions, 3);
	ap_buf_free(&s.b);
}

/* Cut off anywhere, a section gives the functions before the cut. */
static void survives_truncation(void **state)
{
	for (size_t cut = 0;; cut++) {
		struct section s = usual();
		size_t first, all;

		function(&s, 0, 0x10);
		end(&s);
		first = s.b.n;
		function(&s, 0x20, 0x10);
		PUT(&s, 0x41, 0x0e, 16);
		end(&s);
		all = s.b.n;
		s.b.n = cut;
		TABLE *t = finish(&s);

		assert_int_equal(t ? t->n_functions : 0, (cut >= first) + (cut >= all));
		if (cut == all)
			break;
	}
}

/* As many FDEs as a section can have, and every one with a rule of its own. */
static void bounds_many_functions(void **state)
{
	struct section s = usual();

	for (uint32_t i = 0; i < CODE_BYTES; i++) {
		function(&s, CODE_BYTES - 1 - i, 1);
		PUT(&s, 0x0e, 0x80 | (i & 0x7f), 0x80 | (i >> 7 & 0x7f), i >> 14 & 0x7f);
		end(&s);
	}
	TABLE *t = finish(&s);

	assert_int_equal(t->n_functions, CODE_BYTES);
	assert_int_equal(t->n_rules, AP_TABLE_RULES_MAX);
	assert_true(t->cut);
	is_cfa(at(t, CODE_BYTES - 1 - 100), AP_CFA_REGISTER, 7, 100);
	is_cfa(at(t, 0), AP_CFA_UNSUPPORTED, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_an_ordinary_function),
		cmocka_unit_test(knows_the_other_instructions),
		cmocka_unit_test(reads_expressions),
		cmocka_unit_test(finds_return_addresses_and_ends),
		cmocka_unit_test(finds_signal_frames),
		cmocka_unit_test(reads_all_kinds_of_cies),
		cmocka_unit_test(refuses_other_address_sizes),
		cmocka_unit_test(reads_all_kinds_of_pointers),
		cmocka_unit_test(reads_64_bit_dwarf),
		cmocka_unit_test(marks_what_it_cannot_follow),
		cmocka_unit_test(bounds_what_is_remembered),
		cmocka_unit_test(holds_offsets_that_no_rule_can),
		cmocka_unit_test(skips_entries_that_lie),
		cmocka_unit_test(stops_at_zero_where_the_size_is_unknown),
		cmocka_unit_test(takes_any_piece),
		cmocka_unit_test(survives_truncation),
		cmocka_unit_test(bounds_many_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

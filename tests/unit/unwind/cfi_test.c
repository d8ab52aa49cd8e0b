/* SPDX-License-Identifier: Apache-2.0 */
/* Entries: all that CIEs, FDEs and their pointers may look like, and what they may lie. */
#include "../test.h"
#include "cfi_section.h"

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
		cmocka_unit_test(reads_all_kinds_of_cies),
		cmocka_unit_test(refuses_other_address_sizes),
		cmocka_unit_test(reads_all_kinds_of_pointers),
		cmocka_unit_test(reads_64_bit_dwarf),
		cmocka_unit_test(skips_entries_that_lie),
		cmocka_unit_test(stops_at_zero_where_the_size_is_unknown),
		cmocka_unit_test(takes_any_piece),
		cmocka_unit_test(survives_truncation),
		cmocka_unit_test(bounds_many_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

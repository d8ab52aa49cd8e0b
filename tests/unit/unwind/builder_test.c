/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "unwind/builder.h"

/* Virtual addresses and file offsets differ, as in the programs of today's linkers. */
static const struct ap_unwind_segment text[] = {{0x401000, 0x1000, 0x40000},
						{0x801000, 0x61000, 0x1000}};

static struct ap_rule sp_plus(int32_t offset)
{
	return (struct ap_rule){.cfa = AP_CFA_REGISTER,
				.cfa_register = 7,
				.cfa_offset = offset,
				.ra = AP_SAVED_CFA,
				.ra_offset = -8};
}

static void function(struct ap_table_builder *b, uint64_t begin, uint64_t end, int32_t offset)
{
	struct ap_rule r = sp_plus(offset);

	assert_int_equal(ap_table_builder_function(b, begin, end), 0);
	assert_int_equal(ap_table_builder_row(b, begin, &r), 0);
}

/* The CFA's offset that is in force there; 0: no rule. */
static int at(const struct ap_unwind_table *t, uint64_t offset)
{
	return ap_unwind_table_find(t, offset)->cfa_offset;
}

static struct ap_table_builder *new_builder(void)
{
	return ap_table_builder_new(text, AP_ARRAY_SIZE(text));
}

static void sorts_and_fills_gaps(void **state)
{
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b = new_builder();
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	struct ap_rule r = sp_plus(16);

	function(b, 0x801010, 0x801020, 80);
	function(b, 0x402000, 0x402040, 24);
	function(b, 0x401100, 0x401140, 8);
	assert_int_equal(ap_table_builder_row(b, 0x401101, &r), 0);
	assert_true(ap_table_builder_covers(b, 0x40113f));
	assert_false(ap_table_builder_covers(b, 0x401140));
	assert_int_equal(ap_table_builder_finish(b, &t), 0);
	assert_int_equal(at(t, 0), 0);
	assert_int_equal(at(t, 0x10ff), 0);
	assert_int_equal(at(t, 0x1100), 8);
	assert_int_equal(at(t, 0x1101), 16);
	assert_int_equal(at(t, 0x113f), 16);
	assert_int_equal(at(t, 0x1140), 0);
	assert_int_equal(at(t, 0x1fff), 0);
	assert_int_equal(at(t, 0x2000), 24);
	assert_int_equal(at(t, 0x2040), 0);
	assert_int_equal(at(t, 0x6100f), 0);
	assert_int_equal(at(t, 0x61010), 80);
	assert_int_equal(at(t, 0x61020), 0);
	assert_int_equal(at(t, UINT64_MAX), 0);
	assert_int_equal(t->n_functions, 3);
	assert_int_equal(t->n_rows, 7);
	assert_int_equal(t->n_rules, 5);
	assert_false(t->cut);
}

static void merges_equal_neighbours_and_padding(void **state)
{
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b = new_builder();
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	struct ap_rule r = sp_plus(8);

	function(b, 0x401000, 0x401011, 8);
	assert_int_equal(ap_table_builder_row(b, 0x401008, &r), 0);
	function(b, 0x401020, 0x401031, 8); /* after 15 bytes of padding */
	function(b, 0x401041, 0x401050, 8); /* not aligned: no padding */
	function(b, 0x401060, 0x401070, 8); /* 16 bytes: no padding */
	assert_int_equal(ap_table_builder_finish(b, &t), 0);
	assert_int_equal(at(t, 0x1018), 8);
	assert_int_equal(at(t, 0x1031), 0);
	assert_int_equal(at(t, 0x1050), 0);
	assert_int_equal(t->n_rows, 6);
}

static void decides_between_functions_that_overlap(void **state)
{
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b = new_builder();
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	struct ap_rule r = sp_plus(99);

	function(b, 0x401000, 0x401100, 8);
	assert_int_equal(ap_table_builder_row(b, 0x401090, &r), 0);
	function(b, 0x401080, 0x4010a0, 16);
	function(b, 0x401000, 0x401200, 24); /* as the first one: came later */
	assert_int_equal(ap_table_builder_finish(b, &t), 0);
	assert_int_equal(at(t, 0x1000), 8);
	assert_int_equal(at(t, 0x107f), 8);
	assert_int_equal(at(t, 0x1080), 16);
	assert_int_equal(at(t, 0x1090), 16);
	assert_int_equal(at(t, 0x10a0), 0);
}

static void keeps_to_segments_and_order(void **state)
{
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b = new_builder();
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	struct ap_rule r = sp_plus(16);

	function(b, 0x1000, 0x2000, 8); /* in no segment: left out, and its rows */
	assert_int_equal(ap_table_builder_row(b, 0x1010, &r), 0);
	assert_int_equal(ap_table_builder_finish(b, &t), -ENODATA);
	assert_int_equal(ap_table_builder_function(b, 0x401000, 0x401000), -EINVAL);
	function(b, 0x801f00, 0x803000, 8); /* past the segment's end */
	assert_int_equal(ap_table_builder_row(b, 0x801f10, &r), 0);
	assert_int_equal(ap_table_builder_row(b, 0x801f08, &r), -EINVAL);
	assert_int_equal(ap_table_builder_row(b, 0x801e00, &r), -EINVAL);
	assert_int_equal(ap_table_builder_row(b, 0x803000, &r), 0);
	assert_int_equal(ap_table_builder_finish(b, &t), 0);
	assert_int_equal(at(t, 0x61f00), 8);
	assert_int_equal(at(t, 0x61fff), 16);
	assert_int_equal(at(t, 0x62000), 0);
	/* Of rows at one address the last one holds, and a function begins without one. */
	ap_unwind_table_free(AP_TAKE_PTR(t));
	assert_int_equal(ap_table_builder_function(b, 0x401000, 0x401100), 0);
	assert_int_equal(ap_table_builder_row(b, 0x401010, &r), 0);
	r = sp_plus(32);
	assert_int_equal(ap_table_builder_row(b, 0x401010, &r), 0);
	assert_int_equal(ap_table_builder_finish(b, &t), 0);
	assert_int_equal(at(t, 0x100f), 0);
	assert_int_equal(at(t, 0x1010), 32);
}

static void sizes_pages_by_rows(void **state)
{
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b = new_builder();
	uint32_t steps[] = {1, 16, 64, 4096};

	for (size_t i = 0; i < AP_ARRAY_SIZE(steps); i++) {
		_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
		uint32_t n = 0;

		function(b, 0x401000, 0x441000, 8);
		for (uint64_t a = 0x401000; a < 0x441000; a += steps[i], n++) {
			struct ap_rule r = sp_plus(n % 1000 + 1);

			assert_int_equal(ap_table_builder_row(b, a, &r), 0);
		}
		assert_int_equal(ap_table_builder_finish(b, &t), 0);
		assert_int_equal(t->n_rows, n + 1);
		for (uint64_t a = 0; a < 0x40000; a += AP_MAX(steps[i] / 2, 1u))
			assert_int_equal(at(t, 0x1000 + a), a / steps[i] % 1000 + 1);
		/* The directory is less than a tenth of the rows, but for the smallest pages. */
		assert_true(t->shift == AP_PAGE_SHIFT_MAX || t->n_pages * 10 < t->n_rows);
		assert_true(t->shift == AP_PAGE_SHIFT_MIN || t->n_pages * 30 > t->n_rows);
	}
}

static void survives_segments_far_apart(void **state)
{
	const struct ap_unwind_segment far[] = {{0x1000, 0x1000, 0x1000},
						{0x100000000000, 0x7000000000, 0x1000},
						{0x200000000000, 0x70000000000, 0x1000},
						{UINT64_MAX - 10, 0x1000, 100},
						{0x300000000000, UINT64_MAX - 10, 100}};
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b =
		ap_table_builder_new(far, AP_ARRAY_SIZE(far));
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;

	function(b, 0x1000, 0x1100, 8);
	function(b, 0x100000000000, 0x100000000100, 16);
	function(b, 0x200000000000, 0x200000000100, 24);
	assert_int_equal(ap_table_builder_finish(b, &t), 0);
	assert_int_equal(at(t, 0x1000), 8);
	assert_true(t->cut);
	assert_true(t->n_words < 1 << 17);
	/* An offset whose page has no 32-bit number. */
	ap_unwind_table_free(AP_TAKE_PTR(t));
	function(b, 0x200000000000, 0x200000000100, 24);
	assert_int_equal(ap_table_builder_finish(b, &t), -ENODATA);
}

static void says_unsupported_past_the_limit_of_rules(void **state)
{
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b = new_builder();
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;

	function(b, 0x401000, 0x441000, 1);
	for (int32_t i = 1; i < 0x10000; i++) {
		struct ap_rule r = sp_plus(i + 1);

		assert_int_equal(ap_table_builder_row(b, 0x401000 + (uint64_t)i, &r), 0);
	}
	assert_int_equal(ap_table_builder_finish(b, &t), 0);
	assert_int_equal(t->n_rules, AP_TABLE_RULES_MAX);
	assert_true(t->cut);
	assert_int_equal(at(t, 0x1000 + 4000), 4001);
	assert_int_equal(ap_unwind_table_find(t, 0x1000 + 0x8000)->cfa, AP_CFA_UNSUPPORTED);
	assert_int_equal(t->n_unsupported, 1);
}

static void stops_at_the_limit_of_rows(void **state)
{
	const struct ap_unwind_segment big = {0x10000, 0x10000, 1ull << 32};
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b =
		ap_table_builder_new(&big, 1);
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	struct ap_rule r[] = {sp_plus(8), sp_plus(16)};
	uint64_t i = 0;
	int err = 0;

	assert_int_equal(ap_table_builder_function(b, 0x10000, 0xffff0000), 0);
	for (; err == 0 && i < 2 * AP_TABLE_ROWS_MAX; i++)
		err = ap_table_builder_row(b, 0x10000 + i, &r[i % 2]);
	assert_int_equal(err, -EFBIG);
	assert_int_equal(ap_table_builder_function(b, 0xffff0000, 0xffff0010), -EFBIG);
	assert_int_equal(ap_table_builder_finish(b, &t), 0);
	assert_true(t->cut);
	assert_int_equal(t->n_rows, AP_TABLE_ROWS_MAX + 1);
	assert_int_equal(at(t, 0x10000 + AP_TABLE_ROWS_MAX - 1), 16);
	assert_int_equal(at(t, 0x10000 + AP_TABLE_ROWS_MAX), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sorts_and_fills_gaps),
		cmocka_unit_test(merges_equal_neighbours_and_padding),
		cmocka_unit_test(decides_between_functions_that_overlap),
		cmocka_unit_test(keeps_to_segments_and_order),
		cmocka_unit_test(sizes_pages_by_rows),
		cmocka_unit_test(survives_segments_far_apart),
		cmocka_unit_test(says_unsupported_past_the_limit_of_rules),
		cmocka_unit_test(stops_at_the_limit_of_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "profile/top.h"

static uint32_t symbol(struct ap_tree_builder *b, const char *name, enum ap_frame_kind kind,
		       uint32_t line)
{
	struct ap_tree_symbol s = {.name = ap_str_of(name),
				   .module = AP_STR("prog"),
				   .file = line ? AP_STR("prog.c") : AP_STR(""),
				   .line = line,
				   .kind = kind};
	uint32_t id = UINT32_MAX;

	assert_int_equal(ap_tree_symbol(b, &s, &id), 0);
	return id;
}

static void assert_row(const struct ap_top_row *r, const char *name, uint64_t self, uint64_t total)
{
	assert_true(ap_str_is(r->name, name));
	assert_int_equal(r->self[0], self);
	assert_int_equal(r->total[0], total);
}

static void recursion_counts_a_stack_once(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_top) struct ap_top *t = NULL;
	uint32_t m = symbol(b, "main", AP_FRAME_NATIVE, 1),
		 f = symbol(b, "fib", AP_FRAME_NATIVE, 9), g = symbol(b, "g", AP_FRAME_NATIVE, 0);

	ap_tree_add(b, (uint32_t[]){m, f, f, f}, 4, 10, 0);
	ap_tree_add(b, (uint32_t[]){m, f, g, f}, 4, 5, 0);
	ap_tree_add(b, (uint32_t[]){m, f}, 2, 1, 0);
	assert_int_equal(ap_top_build(b, AP_TOP_TOTAL, 0, &t), 0);
	assert_int_equal(t->n, 3);
	assert_row(&t->rows[0], "fib", 16, 16);
	assert_row(&t->rows[1], "main", 0, 16);
	assert_row(&t->rows[2], "g", 0, 5);
	assert_true(ap_str_is(t->rows[0].file, "prog.c"));
	assert_int_equal(t->rows[0].line, 9);
	assert_int_equal(t->total[0], 16);
}

static void inlined_copies_count_with_their_function(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_top) struct ap_top *t = NULL;
	uint32_t in = symbol(b, "f", AP_FRAME_INLINED, 0), out = symbol(b, "f", AP_FRAME_NATIVE, 3);

	ap_tree_add(b, &in, 1, 2, 0);
	ap_tree_add(b, &out, 1, 3, 0);
	ap_tree_add(b, (uint32_t[]){out, in}, 2, 4, 0);
	assert_int_equal(ap_top_build(b, AP_TOP_SELF, 0, &t), 0);
	assert_int_equal(t->n, 1);
	assert_row(&t->rows[0], "f", 9, 9);
	assert_int_equal(t->rows[0].kind, AP_FRAME_NATIVE);
	assert_int_equal(t->rows[0].line, 3);
}

/* Each stack has one place, so the places of all functions add up to everything. */
static void places_divide_the_whole(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_top) struct ap_top *t = NULL;
	uint32_t m = symbol(b, "main", AP_FRAME_NATIVE, 1),
		 f = symbol(b, "load", AP_FRAME_NATIVE, 9),
		 r = symbol(b, "read", AP_FRAME_NATIVE, 0),
		 k = symbol(b, "vfs", AP_FRAME_KERNEL, 0);

	ap_tree_add(b, (uint32_t[]){m, f, r, k}, 4, 10, 0);
	ap_tree_add(b, (uint32_t[]){m, f, r}, 3, 5, 0);
	ap_tree_add(b, (uint32_t[]){m, f, r, f, k}, 5, 2, 0);
	ap_tree_add(b, (uint32_t[]){m, k}, 2, 3, 0);
	ap_tree_add(b, &k, 1, 1, 0);
	ap_tree_add(b, (uint32_t[]){m, f}, 2, 50, 1);
	assert_int_equal(ap_top_build(b, AP_TOP_PLACE, 0, &t), 0);
	assert_int_equal(t->n, 4);
	assert_true(ap_str_is(t->rows[0].name, "load"));
	assert_int_equal(t->rows[0].place, 17);
	assert_true(ap_str_is(t->rows[1].name, "main"));
	assert_int_equal(t->rows[1].place, 3);
	assert_true(ap_str_is(t->rows[2].name, "vfs"));
	assert_int_equal(t->rows[2].place, 1);
	assert_int_equal(t->rows[3].place, 0);
	assert_int_equal(t->total[0], 21);
}

static void limits_with_a_count_and_sorts_by_change(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_top) struct ap_top *self = NULL, *change = NULL;
	uint32_t x = symbol(b, "x", AP_FRAME_NATIVE, 0), y = symbol(b, "y", AP_FRAME_NATIVE, 0),
		 z = symbol(b, "z", AP_FRAME_NATIVE, 0);

	ap_tree_add(b, &x, 1, 500, 0);
	ap_tree_add(b, &y, 1, 300, 0);
	ap_tree_add(b, &z, 1, 200, 0);
	ap_tree_add(b, &x, 1, 5, 1);
	ap_tree_add(b, &z, 1, 5, 1);
	assert_int_equal(ap_top_build(b, AP_TOP_SELF, 2, &self), 0);
	assert_int_equal(self->n, 2);
	assert_int_equal(self->n_functions, 3);
	assert_row(&self->rows[0], "x", 500, 500);
	assert_int_equal(ap_top_build(b, AP_TOP_CHANGE, 0, &change), 0);
	assert_row(&change->rows[0], "y", 300, 300);
	assert_row(&change->rows[1], "z", 200, 200);
	assert_int_equal(change->rows[1].self[1], 5);
	assert_row(&change->rows[2], "x", 500, 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recursion_counts_a_stack_once),
		cmocka_unit_test(inlined_copies_count_with_their_function),
		cmocka_unit_test(places_divide_the_whole),
		cmocka_unit_test(limits_with_a_count_and_sorts_by_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

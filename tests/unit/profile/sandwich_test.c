/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/sandwich.h"

#include "../test.h"

static uint32_t symbol(struct ap_tree_builder *b, const char *name, const char *module,
		       enum ap_frame_kind kind)
{
	struct ap_tree_symbol s = {
		.name = ap_str_of(name), .module = ap_str_of(module), .kind = kind};
	uint32_t id = UINT32_MAX;

	assert_int_equal(ap_tree_symbol(b, &s, &id), 0);
	return id;
}

/* Adds a stack of one-letter functions, outermost first: those of module "prog" in lower case, their
 * inlined copies in upper case. */
static void add(struct ap_tree_builder *b, const char *path, uint64_t value)
{
	uint32_t syms[16], n = 0;

	for (; path[n]; n++) {
		char name[2] = {(char)(path[n] | 0x20), '\0'};

		syms[n] =
			symbol(b, name, "prog", path[n] < 'a' ? AP_FRAME_INLINED : AP_FRAME_NATIVE);
	}
	assert_int_equal(ap_tree_add(b, syms, n, value, 0), 0);
}

/* The tree as "f 10/2 >g 8/8": names by depth, total/self. */
static void expect(const struct ap_tree_builder *b, const char *module, enum ap_sandwich_side side,
		   const char *want)
{
	const struct ap_tree_function f = {AP_STR("f"), ap_str_of(module)};
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *part = NULL;
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	_cleanup_buf_ struct ap_buf text = {0};

	assert_int_equal(ap_sandwich_build(b, &f, side, &part), 0);
	assert_int_equal(ap_tree_finish(part, 0, false, &t), 0);
	for (uint32_t i = 1; i < t->n; i++)
		ap_buf_printf(&text, "%s%.*s%.*s %llu/%llu", i > 1 ? " " : "", (int)t->depth[i] - 1,
			      ">>>>>>>>", AP_STR_ARG(t->strings[t->name[i]]),
			      (unsigned long long)t->total[0][i],
			      (unsigned long long)t->self[0][i]);
	ap_buf_byte(&text, '\0');
	assert_string_equal((const char *)text.p, want);
	if (t->n > 1)
		assert_int_equal(t->total[0][0], t->total[0][1]);
}

static void each_stack_counts_once(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();

	add(b, "mafg", 8);
	add(b, "mbf", 4);
	add(b, "mag", 100);  /* is not in it */
	add(b, "mafgfh", 2); /* comes back to itself through g */
	add(b, "mbfff", 1);  /* calls itself */
	add(b, "f", 16);
	expect(b, NULL, AP_SANDWICH_CALLERS, "f 31/16 >a 10/0 >>m 10/10 >b 5/0 >>m 5/5");
	expect(b, NULL, AP_SANDWICH_CALLEES, "f 31/21 >g 10/8 >>f 2/0 >>>h 2/2");
}

static void inlined_copies_are_the_function(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();

	add(b, "maF", 1);
	add(b, "mbf", 2);
	add(b, "mbfFg", 4);
	expect(b, "prog", AP_SANDWICH_CALLERS, "f 7/0 >b 6/0 >>m 6/6 >a 1/0 >>m 1/1");
	expect(b, "prog", AP_SANDWICH_CALLEES, "f 7/3 >g 4/4");
}

static void a_module_tells_functions_apart(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	uint32_t other = symbol(b, "f", "lib", AP_FRAME_NATIVE);

	add(b, "mf", 2);
	assert_int_equal(ap_tree_add(b, &other, 1, 5, 0), 0);
	expect(b, "lib", AP_SANDWICH_CALLEES, "f 5/5");
	expect(b, "prog", AP_SANDWICH_CALLEES, "f 2/2");
	expect(b, NULL, AP_SANDWICH_CALLEES, "f 7/7");
	expect(b, "none", AP_SANDWICH_CALLERS, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_stack_counts_once),
		cmocka_unit_test(inlined_copies_are_the_function),
		cmocka_unit_test(a_module_tells_functions_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include "../test.h"

static void add(struct ap_tree_builder *b, const char *stack, uint64_t value)
{
	struct ap_str rest = ap_str_of(stack);
	uint32_t syms[16], n = 0;

	while (rest.p) {
		struct ap_tree_symbol s = {.name = ap_str_cut(&rest, ';')};

		assert_int_equal(ap_tree_symbol(b, &s, &syms[n++]), 0);
	}
	assert_int_equal(ap_tree_add(b, syms, n, value, 0), 0);
}

/* The names' part of each line, after the numbers. */
static void assert_drawn(const struct ap_tree_builder *b, const struct ap_report_style *style,
			 const char *want)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	_cleanup_buf_ struct ap_buf out = {0}, names = {0};
	struct ap_str rest;

	assert_int_equal(ap_tree_finish(b, 0, false, &t), 0);
	assert_int_equal(ap_report_tree(&out, t, style), 0);
	rest = ap_buf_view(&out);
	ap_str_cut(&rest, '\n');
	while (rest.p && rest.n) {
		struct ap_str line = ap_str_cut(&rest, '\n');

		assert_true(line.n > 30);
		ap_buf_append(&names, line.p + 30, line.n - 30);
		ap_buf_byte(&names, '\n');
	}
	ap_buf_byte(&names, 0);
	assert_string_equal((char *)names.p, want);
}

static void indents_only_where_it_branches(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	struct ap_report_style style = {.unit = "samples"};

	add(b, "main;run;loop;a;x", 30);
	add(b, "main;run;loop;b", 20);
	add(b, "main;run;idle", 10);
	assert_drawn(b, &style, "all\nmain\nrun\n├─ loop\n│  ├─ a\n│  │  x\n│  └─ b\n└─ idle\n");
}

static void sums_up_what_is_too_small(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	struct ap_report_style style = {.unit = "samples", .min_percent = 5};

	add(b, "main;big;deep", 80);
	add(b, "main;s1", 4);
	add(b, "main;s2", 4);
	add(b, "main;big;tiny", 1);
	assert_drawn(b, &style, "all\nmain\n├─ big\n│  deep\n└─ … 2 more\n");
}

static void stops_at_the_depth_asked_for(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	struct ap_report_style style = {.unit = "samples", .depth = 1};

	add(b, "main;a", 3);
	add(b, "main;b", 3);
	assert_drawn(b, &style, "all\nmain\n… 2 more\n");
}

static void cuts_names_to_the_terminal(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	struct ap_report_style style = {.unit = "samples", .width = 60};

	add(b, "a_very_long_function_name_that_does_not_fit", 3);
	add(b, "kürzer", 1);
	assert_drawn(b, &style, "all\n├─ a_very_long_function_name_…\n└─ kürzer\n");
}

static void control_characters_do_not_pass(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};

	ap_report_text(&b, AP_STR("a\x1b[2J\xc2\x9b\xff\nz"), 0);
	ap_buf_byte(&b, 0);
	assert_string_equal((char *)b.p, "a?[2J???z");
	ap_buf_clear(&b);
	/* U+202E turns the text around, U+200B is not seen at all; the others are letters. */
	ap_report_text(&b, AP_STR("a\xe2\x80\xae_\xe2\x80\x8b\xef\xbb\xbf\xe2\x81\xa6←é…"), 0);
	ap_buf_byte(&b, 0);
	assert_string_equal((char *)b.p, "a?_???←é…");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(indents_only_where_it_branches),
		cmocka_unit_test(sums_up_what_is_too_small),
		cmocka_unit_test(stops_at_the_depth_asked_for),
		cmocka_unit_test(cuts_names_to_the_terminal),
		cmocka_unit_test(control_characters_do_not_pass),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/grid.h"

#include "../test.h"

static const struct ap_grid_column columns[] = {
	{"TIME", AP_GRID_SHARE, 7},
	{"CALLS", AP_GRID_COUNT, 6},
	{"KIND", AP_GRID_TEXT, 5},
	{"NAME", AP_GRID_TEXT, 0},
};

static void begin(struct ap_grid *g)
{
	static const struct {
		uint64_t time, calls;
		bool none;
		const char *kind, *name;
	} rows[] = {{250, 1, false, "mutex", "middle"},
		    {700, 12345, false, "sem", "Most"},
		    {50, 0, true, "a long kind", "least\033[2J"}};

	*g = (struct ap_grid){.columns = columns, .n_columns = 4, .total = 1000};
	for (size_t i = 0; i < AP_ARRAY_SIZE(rows); i++) {
		struct ap_grid_cell cells[] = {{rows[i].time},
					       {.value = rows[i].calls, .none = rows[i].none},
					       {.text = ap_str_of(rows[i].kind)},
					       {.text = ap_str_of(rows[i].name)}};

		assert_int_equal(ap_grid_keep(g, cells[3].text, &cells[3].text), 0);
		assert_int_equal(ap_grid_add(g, cells), 0);
	}
}

static void assert_shown(const struct ap_grid *g, unsigned int width, const char *want)
{
	_cleanup_buf_ struct ap_buf out = {0};
	struct ap_report_style style = {.width = width};

	ap_grid_head(g, 0, &style, &out);
	for (size_t i = 0; i < g->order.n; i++)
		ap_grid_row(g, i, &style, &out);
	ap_buf_byte(&out, 0);
	assert_string_equal((char *)out.p, want);
}

static void aligns_and_neutralises(void **state)
{
	_cleanup_(ap_grid_free) struct ap_grid g;

	begin(&g);
	assert_shown(&g, 0,
		     "   TIME  CALLS KIND  NAME\n"
		     " 25.0 %      1 mutex middle\n"
		     " 70.0 % 12,345 sem   Most\n"
		     "  5.0 %      - a lo… least?[2J\n");
}

static void cuts_to_the_width(void **state)
{
	_cleanup_(ap_grid_free) struct ap_grid g;

	begin(&g);
	assert_shown(&g, 29,
		     "   TIME  CALLS KIND  NAME\n"
		     " 25.0 %      1 mutex middle\n"
		     " 70.0 % 12,345 sem   Most\n"
		     "  5.0 %      - a lo… least?[…\n");
}

static void sorts_numbers_down_and_texts_up(void **state)
{
	_cleanup_(ap_grid_free) struct ap_grid g;

	begin(&g);
	ap_grid_sort(&g, 0, false);
	assert_int_equal(g.order.p[0], 1);
	assert_int_equal(g.order.p[2], 2);
	assert_int_equal(ap_grid_above_zero(&g, 1), 2);
	ap_grid_sort(&g, 0, true);
	assert_int_equal(g.order.p[0], 2);
	ap_grid_sort(&g, 1, false); /* no value is less than any */
	assert_int_equal(g.order.p[2], 2);
	ap_grid_sort(&g, 3, false);
	assert_int_equal(g.order.p[0], 1);
	ap_grid_sort(&g, 99, false);
	assert_int_equal(g.order.n, 3);
}

static void finds_text_in_any_case(void **state)
{
	_cleanup_(ap_grid_free) struct ap_grid g;

	begin(&g);
	assert_int_equal(ap_grid_filter(&g, AP_STR("MOST")), 0);
	assert_int_equal(g.order.n, 1);
	assert_int_equal(ap_grid_filter(&g, AP_STR("m")), 0);
	assert_int_equal(g.order.n, 2);
	assert_int_equal(ap_grid_filter(&g, AP_STR("mutex")), 0);
	assert_int_equal(g.order.n, 1);
	assert_int_equal(ap_grid_filter(&g, AP_STR("nothing of that name")), 0);
	assert_int_equal(g.order.n, 0);
	assert_int_equal(ap_grid_filter(&g, AP_STR("")), 0);
	assert_int_equal(g.order.n, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aligns_and_neutralises),
		cmocka_unit_test(cuts_to_the_width),
		cmocka_unit_test(sorts_numbers_down_and_texts_up),
		cmocka_unit_test(finds_text_in_any_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include "agent/profiler.h"
#include "base/text.h"
#include "cli/tty.h"

#include "../test.h"

#define ROWS 30

static const struct ap_screen_status status = {.clock = "12:00:00",
					       .what = "host",
					       .time_ns = 2000000000,
					       .cpu_ns = 1000000000,
					       .own_ns = 20000000,
					       .cpus = 4,
					       .modes = AP_MODE_CPU};

static void begin(struct ap_screen *s, struct ap_grid *g)
{
	const struct ap_view_info *info = ap_view_info(AP_VIEW_FUNCTIONS);

	*s = (struct ap_screen){.rows = 10, .style.width = 60};
	ap_screen_init(s);
	*g = (struct ap_grid){.columns = info->columns,
			      .n_columns = info->n_columns,
			      .total = 1000,
			      .time_ns = 1000};
	for (uint64_t i = 0; i < ROWS; i++) {
		struct ap_grid_cell cells[] = {{i}, {i}, {i}, {i}, {.value = 0}};
		char name[32];

		snprintf(name, sizeof(name), "f%02d", (int)i);
		assert_int_equal(ap_grid_keep(g, ap_str_of(name), &cells[4].text), 0);
		assert_int_equal(ap_grid_add(g, cells), 0);
	}
	assert_int_equal(ap_screen_arrange(s, g), 0);
}

static void press(struct ap_screen *s, const char *keys)
{
	struct ap_str input = ap_str_of(keys);

	for (int key; (key = ap_key_next(&input)) != AP_KEY_NONE;)
		ap_screen_key(s, key);
}

/* The line, counted from 0, of what is drawn; all of it must fit. */
static const char *drawn(struct ap_screen *s, struct ap_grid *g, unsigned int line)
{
	static char found[512];
	_cleanup_buf_ struct ap_buf out = {0};
	struct ap_str rest;
	unsigned int n = 0;

	assert_int_equal(ap_screen_arrange(s, g), 0);
	assert_int_equal(ap_screen_draw(s, g, &status, &out), 0);
	rest = ap_buf_view(&out);
	found[0] = '\0';
	while (rest.n) {
		struct ap_str l = ap_str_cut(&rest, '\n');

		assert_true(ap_text_columns(l) <= s->style.width);
		if (n++ == line)
			snprintf(found, sizeof(found), "%.*s", AP_STR_ARG(l));
	}
	assert_true(s->help || n <= AP_MAX(s->rows, 4u));
	return found;
}

static void assert_has(const char *line, const char *part)
{
	if (!strstr(line, part))
		fail_msg("'%s' is not in '%s'", part, line);
}

static void shows_rows_and_scrolls(void **state)
{
	_cleanup_(ap_grid_free) struct ap_grid g;
	struct ap_screen s;

	begin(&s, &g);
	assert_has(drawn(&s, &g, 0), "12:00:00  host  2.00 s  CPU 0.50/4 cores  cost 0.010+0.000");
	assert_has(drawn(&s, &g, 1), "[1 CPU] 2 processes ");
	assert_has(drawn(&s, &g, 3), "f29");
	assert_has(drawn(&s, &g, 9), "1-6 of 30");
	press(&s, "\033[B\033[6~");
	assert_has(drawn(&s, &g, 3), "f22");
	press(&s, "\033[F");
	assert_has(drawn(&s, &g, 3), "f00");
	assert_has(drawn(&s, &g, 9), "30-30 of 30");
	press(&s, "\033[5~\033[A");
	assert_has(drawn(&s, &g, 3), "f07");
	press(&s, "\033[Hr");
	assert_has(drawn(&s, &g, 3), "f00");
}

static void switches_views(void **state)
{
	_cleanup_(ap_grid_free) struct ap_grid g;
	struct ap_screen s;

	begin(&s, &g);
	press(&s, "5");
	assert_int_equal(s.view, AP_VIEW_WAITS);
	press(&s, "\t\t\t");
	assert_int_equal(s.view, AP_VIEW_FUNCTIONS);
	press(&s, "\033[Z");
	assert_int_equal(s.view, AP_VIEW_SYSCALLS);
	press(&s, "8x\033[99~");
	assert_int_equal(s.view, AP_VIEW_SYSCALLS);
	assert_false(ap_screen_key(&s, 'x'));
	for (uint32_t i = 0; i < ap_view_info(AP_VIEW_SYSCALLS)->n_columns; i++)
		press(&s, "s");
	assert_int_equal(s.sort[AP_VIEW_SYSCALLS], ap_view_info(AP_VIEW_SYSCALLS)->sort);
	press(&s, " q");
	assert_true(s.paused && s.quit);
}

static void searches(void **state)
{
	_cleanup_(ap_grid_free) struct ap_grid g;
	struct ap_screen s;
	char many[AP_SCREEN_FILTER_MAX * 2];

	begin(&s, &g);
	press(&s, "/q1");
	assert_false(s.quit);
	assert_has(drawn(&s, &g, 3), "no row has that text");
	assert_has(drawn(&s, &g, 9), "/q1_");
	press(&s, "\x7f\x7f"
		  "F1\r");
	assert_has(drawn(&s, &g, 3), "f19");
	assert_has(drawn(&s, &g, 9), "/F1  1-6 of 10");
	press(&s, "/\xc3\xa9\x7f\r");
	assert_int_equal(s.n_filter, 2);
	press(&s, "\033");
	assert_int_equal(s.n_filter, 0);
	memset(many, 'x', sizeof(many));
	s.typing = true;
	for (size_t i = 0; i < sizeof(many); i++)
		ap_screen_key(&s, many[i]);
	assert_int_equal(s.n_filter, AP_SCREEN_FILTER_MAX);
}

static void any_size_does(void **state)
{
	_cleanup_(ap_grid_free) struct ap_grid g;
	struct ap_screen s;

	begin(&s, &g);
	for (unsigned int rows = 1; rows < 12; rows++) {
		s.rows = rows;
		press(&s, "\033[6~");
		drawn(&s, &g, 0);
	}
	s.view = AP_VIEW_LOCKS;
	g.order.n = 0;
	g.cells.n = 0;
	assert_has(drawn(&s, &g, 3), "not recorded: see --mode");
	press(&s, "?");
	assert_has(drawn(&s, &g, 3), "the views");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_rows_and_scrolls),
		cmocka_unit_test(switches_views),
		cmocka_unit_test(searches),
		cmocka_unit_test(any_size_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

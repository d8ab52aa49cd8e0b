/* SPDX-License-Identifier: Apache-2.0 */
/* What is typed into `aperture top`, and names of functions and processes on its screen: whatever the bytes,
 * each line fits, and nothing in them drives the terminal. Input: width, rows, a zero-terminated run of
 * keys, then names by lines. */
#include <assert.h>

#include "agent/profiler.h"
#include "base/text.h"
#include "cli/screen.h"
#include "cli/tty.h"

static void check(struct ap_str lines, unsigned int width)
{
	while (lines.n) {
		struct ap_str line = ap_str_cut(&lines, '\n');

		assert(ap_str_utf8_ok(line));
		assert(ap_text_columns(line) <= width);
		for (size_t i = 0; i < line.n; i++) {
			unsigned char c = (unsigned char)line.p[i];

			assert(c >= ' ' && c != 0x7f);
			/* C1 control characters */
			assert(c != 0xc2 || (unsigned char)line.p[i + 1] >= 0xa0);
		}
	}
}

static void add_names(struct ap_grid *g, struct ap_str names)
{
	while (names.n) {
		struct ap_str name = ap_str_cut(&names, '\n');
		struct ap_grid_cell cells[8] = {0};

		for (uint32_t i = 0; i < g->n_columns; i++) {
			cells[i].value = name.n << i;
			cells[i].none = name.n & 1;
			if (ap_grid_keep(g, name, &cells[i].text) < 0)
				return;
		}
		if (ap_grid_add(g, cells) < 0)
			return;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ap_screen_status status = {
		.clock = "12:00:00", .what = "host", .modes = AP_MODE_CPU};
	_cleanup_(ap_grid_free) struct ap_grid g = {.total = 1000, .time_ns = 1000};
	_cleanup_buf_ struct ap_buf out = {0};
	struct ap_str rest = {(const char *)data + 2, size - 2}, keys;
	struct ap_screen s = {0};

	if (size < 2)
		return 0;
	ap_screen_init(&s);
	s.style.width = 80u + data[0];
	s.rows = data[1];
	keys = ap_str_cut(&rest, '\0');
	for (int key; (key = ap_key_next(&keys)) != AP_KEY_NONE;)
		ap_screen_key(&s, key);
	assert(s.view < AP_VIEWS && s.n_filter <= sizeof(s.filter) && keys.n == 0);
	g.columns = ap_view_info(s.view)->columns;
	g.n_columns = ap_view_info(s.view)->n_columns;
	assert(s.sort[s.view] < g.n_columns);
	add_names(&g, rest);
	if (ap_screen_arrange(&s, &g) == 0 && ap_screen_draw(&s, &g, &status, &out) == 0)
		check(ap_buf_view(&out), s.style.width);
	return 0;
}

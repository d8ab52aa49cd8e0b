/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include <inttypes.h>

#include "agent/profiler.h"
#include "cli/cell.h"
#include "cli/tty.h"
#include "profile/value.h"

enum { FRAME_LINES = 4 }; /* status, tabs, titles, and the last one */

void ap_screen_init(struct ap_screen *s)
{
	for (uint32_t v = 0; v < AP_VIEWS; v++)
		s->sort[v] = ap_view_info(v)->sort;
}

static void show_view(struct ap_screen *s, uint32_t view)
{
	s->view = view % AP_VIEWS;
	s->first = 0;
}

/* Printable ASCII and the bytes of other characters; what cannot be shown is refused. */
static bool type_filter(struct ap_screen *s, int key)
{
	if (key == AP_KEY_ENTER || key == AP_KEY_ESCAPE) {
		s->typing = false;
		s->n_filter = key == AP_KEY_ESCAPE ? 0 : s->n_filter;
	} else if (key == AP_KEY_BACKSPACE) {
		while (s->n_filter && (s->filter[--s->n_filter] & 0xc0) == 0x80)
			;
	} else if (key >= ' ' && key < 0x100 && s->n_filter < sizeof(s->filter)) {
		s->filter[s->n_filter++] = (char)key;
	} else {
		return false;
	}
	s->first = 0;
	return true;
}

static bool scroll(struct ap_screen *s, int key)
{
	size_t page = s->rows > FRAME_LINES ? s->rows - FRAME_LINES : 1;

	switch (key) {
	case AP_KEY_UP:
		s->first -= AP_MIN(s->first, (size_t)1);
		return true;
	case AP_KEY_DOWN:
		s->first++;
		return true;
	case AP_KEY_PAGE_UP:
		s->first -= AP_MIN(s->first, page);
		return true;
	case AP_KEY_PAGE_DOWN:
		s->first += page;
		return true;
	case AP_KEY_HOME:
		s->first = 0;
		return true;
	case AP_KEY_END:
		s->first = SIZE_MAX;
		return true;
	default:
		return false;
	}
}

static bool command(struct ap_screen *s, int key)
{
	switch (key) {
	case 'q':
		s->quit = true;
		return true;
	case 's':
		s->sort[s->view] = (s->sort[s->view] + 1) % ap_view_info(s->view)->n_columns;
		return true;
	case 'r':
		s->reversed[s->view] = !s->reversed[s->view];
		return true;
	case '/':
		s->typing = true;
		return true;
	case ' ':
		s->paused = !s->paused;
		return true;
	case '?':
	case 'h':
		s->help = !s->help;
		return true;
	case AP_KEY_ESCAPE:
		s->n_filter = 0;
		s->help = false;
		return true;
	case AP_KEY_TAB:
	case AP_KEY_RIGHT:
		show_view(s, s->view + 1u);
		return true;
	case AP_KEY_BACKTAB:
	case AP_KEY_LEFT:
		show_view(s, s->view + AP_VIEWS - 1u);
		return true;
	default:
		if (key < '1' || key >= '1' + AP_VIEWS)
			return scroll(s, key);
		show_view(s, (uint32_t)(key - '1'));
		return true;
	}
}

bool ap_screen_key(struct ap_screen *s, int key)
{
	return s->typing ? type_filter(s, key) : command(s, key);
}

int ap_screen_arrange(struct ap_screen *s, struct ap_grid *g)
{
	int r = ap_grid_filter(g, (struct ap_str){s->filter, s->n_filter});

	ap_grid_sort(g, s->sort[s->view], s->reversed[s->view]);
	s->first = AP_MIN(s->first, g->order.n ? g->order.n - 1 : 0);
	return r;
}

/* A line, cut to the width. */
static void line(const struct ap_screen *s, struct ap_str text, struct ap_buf *out)
{
	ap_report_text(out, text, s->style.width);
	ap_buf_byte(out, '\n');
}

static double per(uint64_t ns, uint64_t time_ns)
{
	return time_ns ? (double)ns / (double)time_ns : 0;
}

static void status_line(const struct ap_screen *s, const struct ap_screen_status *t,
			struct ap_buf *out)
{
	_cleanup_buf_ struct ap_buf text = {0};

	ap_buf_printf(&text, "%s  %s  ", t->clock, t->what);
	ap_value_text(&text, t->time_ns, "nanoseconds");
	if (t->modes & AP_MODE_CPU)
		ap_buf_printf(&text, "  CPU %.2f/%u cores", per(t->cpu_ns, t->time_ns), t->cpus);
	if (t->lost)
		ap_buf_printf(&text, "  lost %" PRIu64, t->lost);
	ap_buf_printf(&text, "  cost %.3f+%.3f", per(t->own_ns, t->time_ns),
		      per(t->bpf_ns, t->time_ns));
	if (s->paused)
		ap_buf_puts(&text, "  PAUSED");
	line(s, ap_buf_view(&text), out);
}

static void tabs(const struct ap_screen *s, struct ap_buf *out)
{
	size_t used = 0;

	for (uint32_t v = 0; v < AP_VIEWS; v++) {
		const char *title = ap_view_info(v)->title;

		used += strlen(title) + 4;
		if (s->style.width && used > s->style.width)
			break;
		if (v == s->view) {
			ap_report_colour(out, &s->style, AP_REPORT_BOLD);
			ap_buf_printf(out, "[%u %s]", v + 1, title);
			ap_report_colour(out, &s->style, AP_REPORT_PLAIN);
		} else {
			ap_buf_printf(out, " %u %s ", v + 1, title);
		}
	}
	ap_buf_byte(out, '\n');
}

static void last_line(const struct ap_screen *s, const struct ap_grid *g,
		      const struct ap_screen_status *t, size_t shown, struct ap_buf *out)
{
	_cleanup_buf_ struct ap_buf text = {0};

	if (s->typing || s->n_filter)
		ap_buf_printf(&text, "/%.*s%s  ", (int)s->n_filter, s->filter,
			      s->typing ? "_" : "");
	if (s->typing)
		ap_buf_puts(&text, "Enter keeps it, Escape drops it");
	else if (t->note)
		ap_buf_puts(&text, t->note);
	else
		ap_buf_printf(&text,
			      "%zu-%zu of %zu  q quit  s sort  r reverse  / search  Space pause  "
			      "? help",
			      g->order.n ? s->first + 1 : 0, s->first + shown, g->order.n);
	ap_report_text(out, ap_buf_view(&text), s->style.width);
	ap_buf_byte(out, '\n');
}

static void help(const struct ap_screen *s, struct ap_buf *out)
{
	static const char *const lines[] = {
		"",
		"1-7, Tab, arrows   the views",
		"s, r               sort by the next column, the other way round",
		"/                  only rows with a text; Escape drops it",
		"Up, Down, Page Up, Page Down, Home, End",
		"Space              hold the figures still",
		"q                  quit",
		"",
		"CPU and the columns of waits are threads on average: 0.50 is half a core,",
		"or one thread that waited half of the time. The cost is in cores: this",
		"program's, and that of its BPF programs in what is watched.",
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(lines); i++)
		line(s, ap_str_of(lines[i]), out);
}

/* Why there is nothing. */
static void nothing(const struct ap_screen *s, const struct ap_screen_status *t, struct ap_buf *out)
{
	if (!(t->modes & ap_view_info(s->view)->modes))
		line(s, AP_STR("not recorded: see --mode"), out);
	else
		line(s, s->n_filter ? AP_STR("no row has that text") : AP_STR("nothing yet"), out);
}

int ap_screen_draw(const struct ap_screen *s, const struct ap_grid *g,
		   const struct ap_screen_status *status, struct ap_buf *out)
{
	size_t room = s->rows > FRAME_LINES ? s->rows - FRAME_LINES : 0, shown = 0;

	status_line(s, status, out);
	tabs(s, out);
	if (s->help) {
		help(s, out);
		return ap_buf_error(out);
	}
	ap_grid_head(g, s->sort[s->view], &s->style, out);
	for (; shown < room && s->first + shown < g->order.n; shown++)
		ap_grid_row(g, s->first + shown, &s->style, out);
	if (!g->order.n && room)
		nothing(s, status, out);
	for (size_t blank = AP_MAX(shown, (size_t)!g->order.n); blank < room; blank++)
		ap_buf_byte(out, '\n');
	last_line(s, g, status, shown, out);
	return ap_buf_error(out);
}

int ap_screen_page(const struct ap_screen *s, const struct ap_grid *g,
		   const struct ap_screen_status *status, uint64_t rows, struct ap_buf *out)
{
	status_line(s, status, out);
	if (status->note)
		line(s, ap_str_of(status->note), out);
	ap_grid_head(g, g->n_columns, &s->style, out);
	for (size_t i = 0; i < AP_MIN((uint64_t)g->order.n, rows); i++)
		ap_grid_row(g, i, &s->style, out);
	if (!g->order.n)
		nothing(s, status, out);
	ap_buf_byte(out, '\n');
	return ap_buf_error(out);
}

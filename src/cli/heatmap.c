/* SPDX-License-Identifier: Apache-2.0 */
/* aperture heatmap: when it was, in two dimensions: a column is a stretch of time, and its cells, from above, the
 * parts of that. What is wider than the terminal goes on below. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/remote.h"
#include "profile/value.h"

enum { LINES_MAX = 12, LABEL_WIDTH = 8, MARK_EVERY = 10, CELLS_MAX = 11000 };

struct settings {
	struct ap_remote remote;
	struct ap_remote_selection selection;
	uint64_t step, rows;
};

#define FIELD(f) offsetof(struct settings, f)

static const struct ap_option options[] = {
	AP_REMOTE_OPTION_SERVER(struct settings),
	AP_REMOTE_OPTION_FORMAT(struct settings),
	AP_REMOTE_OPTIONS_SELECTION(struct settings),
	{.name = "step",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "0",
	 .group = "Shape",
	 .help = "length of a cell, whole seconds (default: as the range allows)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(step)},
	{.name = "rows",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "0",
	 .max = 1440,
	 .group = "Shape",
	 .help = "cells of a column (default: as the range allows)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(rows)},
};

static const struct ap_program program = {
	.name = "aperture heatmap",
	.section = "cli.heatmap",
	.sections = ap_cli_sections,
	.summary =
		"Draws when it was, of what an aggregator has: columns of time, and their parts.",
	.notes = "The last hour of a service, a column a minute:\n"
		 "  aperture heatmap --filter '{service=\"web\"}' --step 5s --rows 12",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.file_optional = true,
};

/* What is drawn: cells of the answer, some of which may be one. */
struct map {
	const json_t *answer;
	const json_t *cells; /* column by column */
	int64_t from_ms, step_ms;
	uint32_t rows, columns;
	uint32_t lines; /* divides the rows */
	uint64_t max;	/* of one that is drawn */
	const char *unit;
};

static int64_t number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

/* False: nothing is known of that time. */
static bool value_at(const struct map *m, uint32_t column, uint32_t line, uint64_t *ret)
{
	uint32_t each = m->rows / m->lines, first = column * m->rows + line * each;
	bool known = false;

	*ret = 0;
	for (uint32_t i = 0; i < each; i++) {
		const json_t *cell = json_array_get(m->cells, first + i);

		known |= json_is_integer(cell);
		*ret += (uint64_t)json_integer_value(cell);
	}
	return known;
}

static int read_map(const json_t *answer, struct map *ret)
{
	int64_t rows = number(answer, "rows"), columns = number(answer, "columns");
	struct map m = {
		.answer = answer,
		.cells = json_object_get(answer, "cells"),
		.from_ms = number(answer, "from"),
		.step_ms = number(answer, "step_ms"),
		.unit = json_string_value(json_object_get(answer, "unit")),
	};
	uint64_t value;

	if (rows <= 0 || rows > CELLS_MAX || columns <= 0 || columns > CELLS_MAX || !m.unit ||
	    m.step_ms <= 0 || json_array_size(m.cells) != (size_t)(rows * columns))
		return -EPROTO;
	m.rows = m.lines = (uint32_t)rows;
	m.columns = (uint32_t)columns;
	while (m.lines > LINES_MAX || m.rows % m.lines)
		m.lines--;
	for (uint32_t column = 0; column < m.columns; column++)
		for (uint32_t line = 0; line < m.lines; line++)
			if (value_at(&m, column, line, &value))
				m.max = AP_MAX(m.max, value);
	*ret = m;
	return 0;
}

static void put_duration(struct ap_buf *out, int64_t ms)
{
	int64_t s = ms / 1000;

	if (s >= 86400)
		ap_buf_printf(out, "%lldd", (long long)(s / 86400));
	if (s % 86400 >= 3600)
		ap_buf_printf(out, "%lldh", (long long)(s % 86400 / 3600));
	if (s % 3600 >= 60)
		ap_buf_printf(out, "%lldm", (long long)(s % 3600 / 60));
	if (s % 60 || s == 0)
		ap_buf_printf(out, "%llds", (long long)(s % 60));
}

static const char *shade(const struct map *m, uint32_t column, uint32_t line)
{
	static const char *const shades[] = {" ", "░", "▒", "▓", "█"};
	uint64_t value;

	if (!value_at(m, column, line, &value))
		return "·";
	if (value == 0)
		return shades[0];
	return shades[AP_MIN(1 + (size_t)(4 * ((double)value / (double)m->max)), (size_t)4)];
}

/* The times of some columns, beneath those. */
static void put_times(struct ap_buf *out, const struct map *m, uint32_t first, uint32_t end)
{
	int64_t column_ms = m->step_ms * m->rows;
	size_t at = out->n + LABEL_WIDTH;

	for (uint32_t column = first; column < end; column += MARK_EVERY) {
		time_t when = (time_t)((m->from_ms + column * column_ms) / 1000);
		char text[16] = "";
		struct tm tm;

		if (localtime_r(&when, &tm))
			strftime(text, sizeof(text), column_ms < 3600000 ? "%H:%M" : "%m-%d", &tm);
		if (column > first && column + strlen(text) > end)
			break; /* no room */
		while (!ap_buf_error(out) && out->n < at + (column - first))
			ap_buf_byte(out, ' ');
		ap_buf_puts(out, text);
	}
	ap_buf_byte(out, '\n');
}

static void put_band(struct ap_buf *out, const struct map *m, uint32_t first, uint32_t end)
{
	for (uint32_t line = 0; line < m->lines; line++) {
		size_t at = out->n;

		ap_buf_byte(out, '+');
		put_duration(out, m->step_ms * (m->rows / m->lines) * line);
		while (!ap_buf_error(out) && out->n - at < LABEL_WIDTH)
			ap_buf_byte(out, ' ');
		for (uint32_t column = first; column < end; column++)
			ap_buf_puts(out, shade(m, column, line));
		ap_buf_byte(out, '\n');
	}
	put_times(out, m, first, end);
}

static void put_legend(struct ap_buf *out, const struct map *m)
{
	ap_buf_puts(out, "A column is ");
	put_duration(out, m->step_ms * m->rows);
	ap_buf_puts(out, ", a cell ");
	put_duration(out, m->step_ms * (m->rows / m->lines));
	ap_buf_puts(out, "; █ is up to ");
	ap_value_text(out, m->max, m->unit);
	ap_buf_puts(out, ", · nothing is known. In all ");
	ap_value_text(out, (uint64_t)number(m->answer, "total"), m->unit);
	ap_buf_puts(out, "; ");
	ap_remote_put_coverage(out, m->answer);
	ap_buf_puts(out, ".\n");
}

static void draw(struct ap_buf *out, const json_t *answer)
{
	uint32_t width = ap_terminal_of(STDOUT_FILENO).columns;
	struct map m;

	if (read_map(answer, &m) < 0)
		return;
	width = width > LABEL_WIDTH + MARK_EVERY ? width - LABEL_WIDTH : MARK_EVERY;
	for (uint32_t first = 0; first < m.columns; first += width)
		put_band(out, &m, first, AP_MIN(first + width, m.columns));
	put_legend(out, &m);
}

static int show(struct ap_remote_call *c)
{
	const struct settings *set = c->settings;
	char step[48], rows[32];
	const char *more[] = {NULL, NULL, NULL};
	json_t *answer = NULL;
	struct map m;
	size_t n = 0;
	int r;

	snprintf(step, sizeof(step), "step=%llums", (unsigned long long)(set->step / 1000000));
	snprintf(rows, sizeof(rows), "rows=%llu", (unsigned long long)set->rows);
	if (set->step)
		more[n++] = step;
	if (set->rows)
		more[n++] = rows;
	r = ap_remote_select(c, "/api/v1/heatmap", &set->selection, more, &answer);
	if (r == 0 && read_map(answer, &m) < 0) {
		r = ap_error_set(&c->err, -EPROTO, "the answer is not a heatmap");
		json_decref(answer);
	}
	return ap_remote_finish(c, r, answer, draw);
}

int ap_cmd_heatmap(int argc, char **argv)
{
	static const struct ap_remote_verb verb = {.run = show};
	struct settings set = {0};

	return ap_remote_run(&program, &verb, 1, &set, &set.remote, argc, argv);
}

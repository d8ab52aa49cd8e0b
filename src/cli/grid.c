/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/grid.h"

#include <inttypes.h>

#include "base/text.h"
#include "cli/cell.h"
#include "profile/value.h"

enum { TEXT_WIDTH_MIN = 8 };

void ap_grid_free(struct ap_grid *g)
{
	ap_vec_free(&g->cells);
	ap_vec_free(&g->order);
	ap_arena_free(&g->arena);
}

int ap_grid_keep(struct ap_grid *g, struct ap_str text, struct ap_str *ret)
{
	*ret = (struct ap_str){ap_arena_strdup(&g->arena, text), text.n};
	return ret->p ? 0 : -ENOMEM;
}

static size_t n_rows(const struct ap_grid *g)
{
	return g->n_columns ? g->cells.n / g->n_columns : 0;
}

static const struct ap_grid_cell *cells_of(const struct ap_grid *g, size_t row)
{
	return &g->cells.p[row * g->n_columns];
}

int ap_grid_add(struct ap_grid *g, const struct ap_grid_cell *cells)
{
	if (ap_vec_reserve(&g->cells, (size_t)g->n_columns) < 0 ||
	    ap_vec_push(&g->order, (uint32_t)n_rows(g)) < 0)
		return -ENOMEM;
	memcpy(&g->cells.p[g->cells.n], cells, g->n_columns * sizeof(*cells));
	g->cells.n += g->n_columns;
	return 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool holds(struct ap_str text, struct ap_str part)
{
	for (size_t i = 0; i + part.n <= text.n; i++) {
		size_t k = 0;

		while (k < part.n && lower(text.p[i + k]) == lower(part.p[k]))
			k++;
		if (k == part.n)
			return true;
	}
	return false;
}

static bool is_wanted(const struct ap_grid *g, size_t row, struct ap_str part)
{
	for (uint32_t i = 0; i < g->n_columns; i++)
		if (g->columns[i].unit == AP_GRID_TEXT && holds(cells_of(g, row)[i].text, part))
			return true;
	return part.n == 0;
}

int ap_grid_filter(struct ap_grid *g, struct ap_str part)
{
	g->order.n = 0;
	for (size_t row = 0; row < n_rows(g); row++)
		if (is_wanted(g, row, part) && ap_vec_push(&g->order, (uint32_t)row) < 0)
			return -ENOMEM;
	return 0;
}

struct sort {
	const struct ap_grid *g;
	uint32_t column;
	bool reversed;
};

static int compare(const void *a, const void *b, void *ctx)
{
	const struct sort *s = ctx;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	const struct ap_grid_cell *l = &cells_of(s->g, x)[s->column],
				  *r = &cells_of(s->g, y)[s->column];
	int order;

	if (s->g->columns[s->column].unit == AP_GRID_TEXT)
		order = ap_str_cmp(l->text, r->text);
	else
		order = l->none != r->none ? (l->none ? 1 : -1)
					   : (l->value < r->value) - (l->value > r->value);
	order = s->reversed ? -order : order;
	return order ?: (x > y) - (x < y);
}

void ap_grid_sort(struct ap_grid *g, uint32_t column, bool reversed)
{
	struct sort s = {g, column, reversed};

	if (column < g->n_columns && g->order.n)
		qsort_r(g->order.p, g->order.n, sizeof(*g->order.p), compare, &s);
}

size_t ap_grid_above_zero(const struct ap_grid *g, uint32_t column)
{
	size_t n = 0;

	while (n < g->order.n && cells_of(g, g->order.p[n])[column].value)
		n++;
	return n;
}

/* Columns for the text in the last column, where numbers took `more` than theirs; 0: it is not cut. */
static size_t rest(const struct ap_grid *g, const struct ap_report_style *style, size_t more)
{
	size_t used = more;

	for (uint32_t i = 0; i + 1 < g->n_columns; i++)
		used += g->columns[i].width + 1u;
	if (!style->width)
		return 0;
	return style->width > used + TEXT_WIDTH_MIN ? style->width - used : TEXT_WIDTH_MIN;
}

static void put_text(struct ap_buf *out, struct ap_str text, size_t width, bool last)
{
	_cleanup_buf_ struct ap_buf clean = {0};

	ap_report_text(&clean, text, width);
	ap_buf_str(out, ap_buf_view(&clean));
	if (!last)
		ap_text_spaces(out, width - ap_text_columns(ap_buf_view(&clean)));
}

void ap_grid_head(const struct ap_grid *g, uint32_t sorted, const struct ap_report_style *style,
		  struct ap_buf *out)
{
	for (uint32_t i = 0; i < g->n_columns; i++) {
		const struct ap_grid_column *c = &g->columns[i];
		bool last = i + 1 == g->n_columns;

		if (i)
			ap_buf_byte(out, ' ');
		ap_report_colour(out, style, i == sorted ? AP_REPORT_HOT : AP_REPORT_BOLD);
		if (c->unit == AP_GRID_TEXT)
			put_text(out, ap_str_of(c->title), last ? rest(g, style, 0) : c->width,
				 last);
		else
			ap_cell_right(out, ap_str_of(c->title), c->width);
		ap_report_colour(out, style, AP_REPORT_PLAIN);
	}
	ap_buf_byte(out, '\n');
}

/* The eye is led to what is much of the whole. */
static enum ap_report_colour heat(const struct ap_grid *g, const struct ap_grid_cell *c,
				  enum ap_grid_unit unit)
{
	uint64_t whole = unit == AP_GRID_SHARE ? g->total : g->time_ns;

	if (c->none || !whole)
		return AP_REPORT_DIM;
	return c->value >= whole / 10	 ? AP_REPORT_HOT
	       : c->value >= whole / 100 ? AP_REPORT_BOLD
					 : AP_REPORT_DIM;
}

/* Returns the columns beyond those of its own that it took. */
static size_t put_number(struct ap_buf *out, const struct ap_grid *g, const struct ap_grid_cell *c,
			 const struct ap_grid_column *col)
{
	_cleanup_buf_ struct ap_buf text = {0};

	if (c->none)
		ap_buf_byte(&text, '-');
	else if (col->unit == AP_GRID_SHARE)
		ap_value_percent(&text, c->value, g->total);
	else if (col->unit == AP_GRID_MEAN)
		ap_buf_printf(&text, "%.2f",
			      g->time_ns ? (double)c->value / (double)g->time_ns : 0);
	else if (col->unit == AP_GRID_ID)
		ap_buf_printf(&text, "%" PRIu64, c->value);
	else
		ap_value_text(&text, c->value, col->unit == AP_GRID_NS ? "nanoseconds" : "count");
	ap_cell_right(out, ap_buf_view(&text), col->width);
	return AP_MAX(ap_text_columns(ap_buf_view(&text)), (size_t)col->width) - col->width;
}

void ap_grid_row(const struct ap_grid *g, size_t shown, const struct ap_report_style *style,
		 struct ap_buf *out)
{
	const struct ap_grid_cell *cells = cells_of(g, g->order.p[shown]);
	size_t more = 0;

	for (uint32_t i = 0; i < g->n_columns; i++) {
		const struct ap_grid_column *c = &g->columns[i];
		bool last = i + 1 == g->n_columns;

		if (i)
			ap_buf_byte(out, ' ');
		if (c->unit == AP_GRID_TEXT) {
			put_text(out, cells[i].text, last ? rest(g, style, more) : c->width, last);
			continue;
		}
		if (i == 0)
			ap_report_colour(out, style, heat(g, &cells[i], c->unit));
		more += put_number(out, g, &cells[i], c);
		if (i == 0)
			ap_report_colour(out, style, AP_REPORT_PLAIN);
	}
	ap_buf_byte(out, '\n');
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A table of rows that can be sorted, searched and drawn line by line: what `stat` and `top` show. */
#ifndef AP_CLI_GRID_H
#define AP_CLI_GRID_H

#include "base/arena.h"
#include "base/vec.h"
#include "cli/report.h"

enum ap_grid_unit {
	AP_GRID_TEXT,  /* left-aligned; the last column takes what is left of the line */
	AP_GRID_ID,    /* a number by itself */
	AP_GRID_COUNT, /* "1,234" */
	AP_GRID_NS,    /* nanoseconds: "1.23 ms" */
	AP_GRID_SHARE, /* of the grid's total: "12.3 %" */
	AP_GRID_MEAN,  /* nanoseconds per nanosecond of the grid's time, as cores are: "0.98" */
};

struct ap_grid_column {
	const char *title;
	enum ap_grid_unit unit;
	uint8_t width; /* columns of the terminal */
};

struct ap_grid_cell {
	uint64_t value;
	struct ap_str text; /* AP_GRID_TEXT: any bytes */
	bool none;	    /* there is no value: "-" */
};

struct ap_grid {
	const struct ap_grid_column *columns;
	uint32_t n_columns;
	uint64_t total;	  /* of AP_GRID_SHARE */
	uint64_t time_ns; /* of AP_GRID_MEAN */
	AP_VEC(struct ap_grid_cell) cells;
	AP_VEC(uint32_t) order; /* the rows that are shown */
	struct ap_arena arena;	/* holds the texts */
};

void ap_grid_free(struct ap_grid *g);
/* Copies a text into the grid: 0 or -ENOMEM. */
int ap_grid_keep(struct ap_grid *g, struct ap_str text, struct ap_str *ret);
/* Adds a row, `n_columns` cells, at the end: 0 or -ENOMEM. */
int ap_grid_add(struct ap_grid *g, const struct ap_grid_cell *cells);
/* Shows the rows in which a text holds `part`, in whatever case, and no others; all where it is empty. */
int ap_grid_filter(struct ap_grid *g, struct ap_str part);
/* Orders the rows that are shown by a column: numbers from the largest, texts from A; `reversed` the other
 * way. Equal rows stay in the order in which they were added. */
void ap_grid_sort(struct ap_grid *g, uint32_t column, bool reversed);
/* How many rows are shown before the first that has nothing in `column`, which they are sorted by. */
size_t ap_grid_above_zero(const struct ap_grid *g, uint32_t column);
/* The line of titles, of which the column sorted by is marked (>= n_columns: none is), and that of a row
 * that is shown. No line is wider than style->width (0: none is cut) where that leaves 8 columns for the last
 * text; numbers are never cut. Each ends in '\n'. */
void ap_grid_head(const struct ap_grid *g, uint32_t sorted, const struct ap_report_style *style,
		  struct ap_buf *out);
void ap_grid_row(const struct ap_grid *g, size_t shown, const struct ap_report_style *style,
		 struct ap_buf *out);

#endif

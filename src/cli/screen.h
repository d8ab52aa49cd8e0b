/* SPDX-License-Identifier: Apache-2.0 */
/* What `aperture top` shows and how keys change it; knows of no terminal. */
#ifndef AP_CLI_SCREEN_H
#define AP_CLI_SCREEN_H

#include "cli/view.h"

#define AP_SCREEN_FILTER_MAX 64

struct ap_screen {
	enum ap_view view;
	uint32_t sort[AP_VIEWS]; /* the column, by view */
	bool reversed[AP_VIEWS];
	char filter[AP_SCREEN_FILTER_MAX]; /* text of the rows that are shown */
	size_t n_filter;
	size_t first; /* row at the top */
	bool typing;  /* the filter is being typed */
	bool paused, help, quit;
	unsigned int rows; /* of the terminal */
	struct ap_report_style style;
};

/* What the first line says. */
struct ap_screen_status {
	const char *clock, *what; /* the time of day; whose figures these are */
	uint64_t time_ns;	  /* that the figures cover */
	uint64_t cpu_ns;	  /* sampled in that time */
	uint64_t lost;		  /* samples, since the start */
	uint64_t own_ns, bpf_ns;  /* what the view cost in that time, here and in what is watched */
	unsigned int cpus;
	uint32_t modes;	  /* enum ap_mode */
	const char *note; /* such as why a mode is not there; NULL: none */
};

/* The view's own column to sort by, everywhere. */
void ap_screen_init(struct ap_screen *s);
/* Whether the key (enum ap_key) changed what is to be drawn. */
bool ap_screen_key(struct ap_screen *s, int key);
/* Orders and searches the rows as the screen says; `first` stays within them. 0 or -ENOMEM. */
int ap_screen_arrange(struct ap_screen *s, struct ap_grid *g);
/* All lines of a screen, none wider than the style's width. Every byte of names is neutralised. 0 or
 * -ENOMEM. */
int ap_screen_draw(const struct ap_screen *s, const struct ap_grid *g,
		   const struct ap_screen_status *status, struct ap_buf *out);
/* The same without tabs and keys, for a file: the first line, the titles, and `rows` rows at most. */
int ap_screen_page(const struct ap_screen *s, const struct ap_grid *g,
		   const struct ap_screen_status *status, uint64_t rows, struct ap_buf *out);

#endif

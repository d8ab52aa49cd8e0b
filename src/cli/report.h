/* SPDX-License-Identifier: Apache-2.0 */
/* What `aperture report` draws; see report.c for the command. */
#ifndef AP_CLI_REPORT_H
#define AP_CLI_REPORT_H

#include "cli/cli.h"
#include "profile/top.h"

struct ap_report_style {
	struct ap_terminal terminal;
	const char *unit;
	double min_percent; /* of the whole: nodes below it are summed up in a line */
	uint32_t depth;	    /* levels shown, 0 = all */
	unsigned int width; /* columns, 0 = lines are not cut */
};

/* Text from a file: never a control character, at most `max` characters with the rest shown as "…"
 * (0 = no limit). */
void ap_report_text(struct ap_buf *out, struct ap_str s, size_t max);

enum ap_report_colour {
	AP_REPORT_PLAIN,
	AP_REPORT_DIM,
	AP_REPORT_BOLD,
	AP_REPORT_HOT, /* what deserves the first look */
	AP_REPORT_KERNEL,
	AP_REPORT_INLINED,
	AP_REPORT_JIT,
};
/* Switches to a colour where the terminal has them; AP_REPORT_PLAIN switches back. */
void ap_report_colour(struct ap_buf *out, const struct ap_report_style *style,
		      enum ap_report_colour colour);
enum ap_report_colour ap_report_kind_colour(enum ap_frame_kind kind);

/* The call tree: a line per node, indented only where the tree branches, so that deep stacks fit. */
int ap_report_tree(struct ap_buf *out, const struct ap_tree *t,
		   const struct ap_report_style *style);
/* The table of functions. */
void ap_report_top(struct ap_buf *out, const struct ap_top *t, const struct ap_report_style *style);

#endif

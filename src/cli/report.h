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
	const char *title;  /* of the tree; NULL: "CALL TREE" */
};

/* --min-percent and --depth, for settings of type `values` with members of those names. */
#define AP_REPORT_OPTIONS_TREE(values)                                                     \
	{                                                                                  \
		.name = "min-percent",                                                     \
		.type = AP_OPT_STRING,                                                     \
		.metavar = "P",                                                            \
		.value = "1",                                                              \
		.group = "Call tree",                                                      \
		.help = "leave out what holds less than this share of the whole",          \
		.offset = offsetof(values, min_percent),                                   \
	},                                                                                 \
	{                                                                                  \
		.name = "depth", .type = AP_OPT_UINT, .metavar = "N", .value = "0",        \
		.max = UINT32_MAX, .group = "Call tree", .help = "levels to show; 0: all", \
		.offset = offsetof(values, depth),                                         \
	}
/* The style for stdout, but for its unit and title. False: `min_percent` is no share, which has been said. */
bool ap_report_style_of(const struct ap_program *program, const char *min_percent, uint64_t depth,
			struct ap_report_style *ret);

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

/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked of a profile, each answer a table: the sections of `stat` and the tabs of `top`. */
#ifndef AP_CLI_VIEW_H
#define AP_CLI_VIEW_H

#include "cli/grid.h"
#include "profile/profile.h"

enum ap_view {
	AP_VIEW_FUNCTIONS,
	AP_VIEW_PROCESSES,
	AP_VIEW_THREADS,
	AP_VIEW_SERVICES,
	AP_VIEW_WAITS,
	AP_VIEW_LOCKS,
	AP_VIEW_SYSCALLS,
	AP_VIEWS,
};

/* A part of a profile. */
struct ap_view_of {
	const struct ap_profile *profile;
	const bool *wanted; /* by label set id: whose rows; NULL: all */
	uint64_t time_ns;   /* that it covers */
	uint32_t modes;	    /* enum ap_mode: what was recorded; the rest is "-" */
};

struct ap_view_info {
	const char *name;  /* for the command line: "functions" */
	const char *title; /* for people: "CPU functions" */
	uint32_t modes;	   /* enum ap_mode: at least one of them is needed */
	uint32_t sort;	   /* the column that it is sorted by at first */
	const struct ap_grid_column *columns;
	uint32_t n_columns;
};
const struct ap_view_info *ap_view_info(enum ap_view view);

/* Whether a CPU sample with that stack was taken in the kernel. */
bool ap_view_in_kernel(const struct ap_profile *p, uint32_t stack);

/* The rows in no particular order. 0 or -ENOMEM; ap_grid_free() is due in either case. */
int ap_view_build(enum ap_view view, const struct ap_view_of *of, struct ap_grid *ret);

#endif

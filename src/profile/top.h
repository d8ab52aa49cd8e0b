/* SPDX-License-Identifier: Apache-2.0 */
/* Functions by cost, from the stacks in a tree builder (before any folding, so every function
 * counts in full). A function is a name in a module: its inlined copies count with it. Self is what
 * ran in the function itself, total includes its callees; a function that recurs in one stack
 * counts that stack once. */
#ifndef AP_PROFILE_TOP_H
#define AP_PROFILE_TOP_H

#include "profile/tree.h"

enum ap_top_sort {
	AP_TOP_SELF,   /* by self[0] descending */
	AP_TOP_TOTAL,  /* by total[0] descending */
	AP_TOP_PLACE,  /* by place descending */
	AP_TOP_CHANGE, /* by |share of self in b - share of self in a| descending: of two sides */
};

struct ap_top_row {
	struct ap_str name, module, file; /* owned by the struct ap_top */
	uint32_t line;
	enum ap_frame_kind kind; /* AP_FRAME_INLINED only where it was never seen otherwise */
	uint64_t self[2], total[2];
	uint64_t place; /* of side 0: the stacks whose place the function is (profile/place.h) */
};

struct ap_top {
	struct ap_top_row *rows;
	uint32_t n;
	uint32_t n_functions; /* in all: n_functions - n were cut by the limit */
	uint64_t total[2];    /* of everything, what shares are taken of */
	struct ap_arena arena;
};

/* The first `limit` rows (0 = all); ties go by name, then module. 0 or -ENOMEM. */
int ap_top_build(const struct ap_tree_builder *b, enum ap_top_sort sort, uint32_t limit,
		 struct ap_top **ret);
void ap_top_free(struct ap_top *t);
AP_DEFINE_CLEANUP(top, struct ap_top, ap_top_free)

#endif

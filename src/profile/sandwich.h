/* SPDX-License-Identifier: Apache-2.0 */
/* A function between its callers and its callees: the stacks that pass through it, as two trees, from the
 * stacks in a tree builder (before any folding). In both, the function is the one child of the root, and
 * its total is that of all stacks which it is in, each once: where it recurs, what counts is its outermost
 * frame, above which its callers are and below which all that it called, itself included. Frames of it
 * that follow each other without another function between them are one. */
#ifndef AP_PROFILE_SANDWICH_H
#define AP_PROFILE_SANDWICH_H

#include "profile/tree.h"

struct ap_tree_function {
	struct ap_str name;
	struct ap_str module; /* p NULL: of any module */
};

enum ap_sandwich_side {
	AP_SANDWICH_CALLERS, /* a node's children called it; self: it is the outermost frame */
	AP_SANDWICH_CALLEES, /* a node's children were called by it */
};

/* Of side 0 of `b`. A new builder with the tree, which is empty where no stack has the function.
 * 0, -ENOMEM. */
int ap_sandwich_build(const struct ap_tree_builder *b, const struct ap_tree_function *f,
		      enum ap_sandwich_side side, struct ap_tree_builder **ret);

#endif

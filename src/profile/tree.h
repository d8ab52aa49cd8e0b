/* SPDX-License-Identifier: Apache-2.0 */
/* Call trees: stacks go in, a tree of displayed functions comes out, small enough to send and with
 * exact totals. A builder has two sides, so that the same code makes the tree of one selection
 * (side 0) and the union of two for a comparison (side 0 the baseline "a", side 1 "b").
 *
 * Sums saturate at UINT64_MAX. Nothing recurses: a stack of any depth is safe. Not thread-safe. */
#ifndef AP_PROFILE_TREE_H
#define AP_PROFILE_TREE_H

#include "base/arena.h"
#include "profile/profile.h"

enum { AP_TREE_NODES_DEFAULT = 16384, AP_TREE_NODES_MAX = 1000000 };

struct ap_tree_builder;

/* A displayed function. Two nodes under one parent are the same if name, module and kind are; file
 * and line are shown in tables only, and the first that is known stays. */
struct ap_tree_symbol {
	struct ap_str name;   /* "" is shown as "(unknown)" */
	struct ap_str module; /* base name of the file, "" = unknown */
	struct ap_str file;   /* source file, "" = unknown */
	uint32_t line;	      /* where the function begins, 0 = unknown */
	enum ap_frame_kind kind;
};

/* A tree as parallel columns in preorder. Node 0 is the root, "all". A node's parent is the nearest
 * earlier one that is one less deep. Siblings go by total descending (two sides: by the sum of the
 * shares of each side's total), then by name, module and kind; "(other)" always comes last. */
struct ap_tree {
	uint32_t n; /* nodes, at least 1 */
	uint32_t *depth;
	uint32_t *name, *module; /* indices into strings */
	uint8_t *kind;		 /* enum ap_frame_kind */
	uint64_t *total[2];	 /* of the node and all below it; [1] is NULL unless is_diff */
	uint64_t *self[2];
	struct ap_str *strings; /* [0] is "" */
	uint32_t n_strings;
	bool is_diff;
	uint64_t folded_nodes;	  /* nodes that max_nodes folded into "(other)" nodes */
	uint64_t folded_total[2]; /* what those hold */
	struct ap_arena arena;	  /* holds all of it */
};

struct ap_tree_builder *ap_tree_builder_new(void); /* NULL = out of memory */
void ap_tree_builder_free(struct ap_tree_builder *b);
AP_DEFINE_CLEANUP(tree_builder, struct ap_tree_builder, ap_tree_builder_free)
/* Memory held, for callers that must bound a request. */
size_t ap_tree_builder_bytes(const struct ap_tree_builder *b);

/* The id of a displayed function, the same for equal ones; bytes are copied. 0, -ENOMEM, or
 * -EINVAL for a kind out of range. Ids are dense and count up from 0. */
int ap_tree_symbol(struct ap_tree_builder *b, const struct ap_tree_symbol *s, uint32_t *ret_sym);

/* Adds `value` to the stack `syms` (outermost first; n = 0 adds to the root itself) on side 0 or 1.
 * Fastest where stacks come sorted, since the path shared with the previous one is not looked up
 * again. 0, -ENOMEM, or -EINVAL for a symbol or side that does not exist. */
int ap_tree_add(struct ap_tree_builder *b, const uint32_t *syms, uint32_t n, uint64_t value,
		unsigned int side);

/* The same in two steps, for stacks that are asked about again and again: a builder keeps the paths,
 * which are looked up once, and each question is a builder over it that adds values to them, by far
 * the cheaper part. A builder over another takes only ap_tree_add_path(), then ap_tree_gather(); the one
 * below it must outlive it and take nothing new meanwhile. */
/* The path's id for a stack, the root's where n = 0: 0, -ENOMEM, -EINVAL. */
int ap_tree_path(struct ap_tree_builder *b, const uint32_t *syms, uint32_t n, uint32_t *ret_path);
struct ap_tree_builder *ap_tree_builder_over(const struct ap_tree_builder *paths);
/* 0, -ENOMEM, or -EINVAL for a path or side that does not exist, or after ap_tree_gather(). */
int ap_tree_add_path(struct ap_tree_builder *b, uint32_t path, uint64_t value, unsigned int side);
/* Makes a tree of what was added, once. For ap_tree_finish() alone it may be of `chains`: a node then
 * stands for all functions down to the next place where a stack ends or another branches off, so that
 * there are not more than two a stack, however deep. 0, -ENOMEM. */
int ap_tree_gather(struct ap_tree_builder *b, bool chains);

/* Which rows of a profile, and how. */
struct ap_tree_rows {
	const struct ap_profile_type *type; /* rows of its event, by their count or value */
	const char *by; /* the first level is this label's value, where a row has one; NULL: none */
	const bool *wanted; /* by label set id: whose rows; NULL: all */
};

/* Adds rows of a profile. -ENOMEM. */
int ap_tree_add_rows(struct ap_tree_builder *b, const struct ap_profile *p,
		     const struct ap_tree_rows *rows, unsigned int side);
/* Every row that belongs to `type`, by no label. */
int ap_tree_add_profile(struct ap_tree_builder *b, const struct ap_profile *p,
			const struct ap_profile_type *type, unsigned int side);

/* The tree so far; the builder stays usable. At most `max_nodes` nodes in all (at least 2;
 * 0 = AP_TREE_NODES_DEFAULT): of the nodes that do not fit, the smallest go, and under each parent
 * that lost some stands one "(other)" with their exact sum. `diff`: fill side 1 too. -ENOMEM. */
int ap_tree_finish(const struct ap_tree_builder *b, uint32_t max_nodes, bool diff,
		   struct ap_tree **ret);
void ap_tree_free(struct ap_tree *t);
AP_DEFINE_CLEANUP(tree, struct ap_tree, ap_tree_free)

/* Builder, add and finish in one. */
int ap_tree_from_rows(const struct ap_profile *p, const struct ap_tree_rows *rows,
		      uint32_t max_nodes, struct ap_tree **ret);
int ap_tree_from_profile(const struct ap_profile *p, const struct ap_profile_type *type,
			 uint32_t max_nodes, struct ap_tree **ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree builder holds, for the files that make something of it (tree.c, tree_finish.c,
 * top.c). Everyone else uses profile/tree.h. */
#ifndef AP_PROFILE_TREE_BUILDER_H
#define AP_PROFILE_TREE_BUILDER_H

#include "profile/tree.h"

/* A node's parent always has a smaller id: a pass over descending ids sees children first. */
struct ap_tree_node {
	uint64_t self[2];
	uint32_t parent;
	uint32_t sym; /* the root's means nothing */
};

struct ap_tree_sym {
	uint32_t name, module, file; /* ids in the builder's strings */
	uint32_t line;
	uint32_t kind;
};

struct ap_tree_slot {
	uint32_t parent, sym;
	uint32_t node; /* 0 = empty: the root is nobody's child */
};

struct ap_tree_path_step {
	uint32_t sym, node;
};

struct ap_tree_builder {
	struct ap_intern *strings;
	struct ap_intern *symbols; /* {name, module, kind}: id - 1 indexes syms */
	AP_VEC(struct ap_tree_sym) syms;
	AP_VEC(struct ap_tree_node) nodes;     /* [0] is the root */
	struct ap_tree_slot *slots;	       /* (parent, sym) -> node, linear probing */
	size_t n_slots;			       /* a power of two */
	AP_VEC(struct ap_tree_path_step) path; /* the stack added last */
};

static inline uint64_t ap_sum_saturating(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_add_overflow(a, b, &r) ? UINT64_MAX : r;
}

/* The symbol of each frame of a profile, by frame id: an array of ap_intern_count(p->frames) for the
 * caller to free. */
int ap_tree_profile_symbols(struct ap_tree_builder *b, const struct ap_profile *p,
			    uint32_t **ret_syms);

/* Per node, its own value and all below it: `total` has room for every node. */
void ap_tree_totals(const struct ap_tree_builder *b, unsigned int side, uint64_t *total);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree builder holds, for the files that make something of it (tree.c, tree_over.c,
 * tree_finish.c, top.c, sandwich.c). Everyone else uses profile/tree.h. */
#ifndef AP_PROFILE_TREE_BUILDER_H
#define AP_PROFILE_TREE_BUILDER_H

#include "profile/tree.h"

/* A node's parent always has a smaller id: a pass over descending ids sees children first. The nodes
 * that one stack adds follow each other: such a run is a head and what follows it, each node the parent
 * of the next. */
struct ap_tree_node {
	uint32_t parent;
	uint32_t sym; /* the root's means nothing */
};

struct ap_tree_sym {
	uint32_t name, module, file; /* ids in the builder's strings */
	uint32_t line;
	uint32_t kind;
};

struct ap_tree_path_step {
	uint32_t sym, node;
};

/* Symbols of a node that stands for several, one below the other, where nothing ends or branches off
 * above the last: those of `n` nodes of the builder below, `first` and what follows it. */
struct ap_tree_chain {
	uint32_t first, n;
};

/* A value that waits for ap_tree_gather(). */
struct ap_tree_end {
	uint32_t path;
	uint32_t side;
	uint64_t value;
};

struct ap_tree_builder {
	struct ap_intern *strings; /* of `over` where there is one, as are syms */
	struct ap_intern *symbols; /* {name, module, kind}: id - 1 indexes syms */
	AP_VEC(struct ap_tree_sym) syms;
	AP_VEC(struct ap_tree_node) nodes; /* [0] is the root */
	AP_VEC(uint64_t) self[2];	   /* by node, as far as it has any */
	AP_VEC(uint32_t) heads;		   /* of runs, ascending; [0] is the root */
	uint32_t *slots;		   /* (parent, sym) -> head, linear probing; 0 = empty */
	size_t n_slots;			   /* a power of two */
	AP_VEC(struct ap_tree_path_step) path; /* the stack added last */
	const struct ap_tree_builder *over;    /* whose paths this one's are; NULL: its own */
	AP_VEC(struct ap_tree_end) ends;       /* over another: what was added */
	AP_VEC(struct ap_tree_chain) chains;   /* by node; empty: each node is one symbol */
};

/* How many symbols a node stands for, and the one `at` below its first. */
static inline uint32_t ap_tree_chain_length(const struct ap_tree_builder *b, uint32_t node)
{
	return b->chains.n ? b->chains.p[node].n : 1;
}
static inline uint32_t ap_tree_chain_symbol(const struct ap_tree_builder *b, uint32_t node,
					    uint32_t at)
{
	return at ? b->over->nodes.p[b->chains.p[node].first + at].sym : b->nodes.p[node].sym;
}

static inline uint64_t ap_tree_self(const struct ap_tree_builder *b, uint32_t node,
				    unsigned int side)
{
	return node < b->self[side].n ? b->self[side].p[node] : 0;
}

static inline uint64_t ap_sum_saturating(uint64_t a, uint64_t b)
{
	uint64_t r;

	return __builtin_add_overflow(a, b, &r) ? UINT64_MAX : r;
}

/* A node's child of that symbol, made where there is none; not in a builder over another. 0, -ENOMEM. */
int ap_tree_child(struct ap_tree_builder *b, uint32_t parent, uint32_t sym, uint32_t *ret_node);
/* Adds to a node itself. 0, -ENOMEM. */
int ap_tree_add_self(struct ap_tree_builder *b, uint32_t node, uint64_t value, unsigned int side);

/* The symbol of a frame of a profile; `name` is scratch. */
int ap_tree_frame_symbol(struct ap_tree_builder *b, const struct ap_profile *p, uint32_t frame,
			 struct ap_buf *name, uint32_t *ret_sym);
/* The symbol of each frame of a profile, by frame id: an array of ap_intern_count(p->frames) for the
 * caller to free. */
int ap_tree_profile_symbols(struct ap_tree_builder *b, const struct ap_profile *p,
			    uint32_t **ret_syms);

/* Per node, its own value and all below it: `total` has room for every node. */
void ap_tree_totals(const struct ap_tree_builder *b, unsigned int side, uint64_t *total);

#endif

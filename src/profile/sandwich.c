/* SPDX-License-Identifier: Apache-2.0 */
/* One walk over the nodes in the order of their ids: a node comes after its parent, so that whether the
 * function is above a node is known when the node is met. */
#include "profile/sandwich.h"

#include "profile/tree_builder.h"

struct sandwich {
	const struct ap_tree_builder *b;
	struct ap_tree_builder *out;
	bool *is_it;	  /* by symbol of `b`: it is the function */
	uint32_t *sym_of; /* by symbol of `b`: 1 + that of `out`, 0: not there yet */
	uint32_t *
		node_of; /* by node of `b`: below the function, the node of `out`; 0: not below it */
};

static void sandwich_free(struct sandwich *s)
{
	ap_tree_builder_free(s->out);
	free(s->is_it);
	free(s->sym_of);
	free(s->node_of);
}

static int copy_symbol(struct sandwich *s, uint32_t sym, uint32_t *ret)
{
	const struct ap_tree_sym *from = &s->b->syms.p[sym];
	const struct ap_tree_symbol symbol = {
		.name = ap_intern_get(s->b->strings, from->name),
		.module = ap_intern_get(s->b->strings, from->module),
		.file = ap_intern_get(s->b->strings, from->file),
		.line = from->line,
		.kind = (enum ap_frame_kind)from->kind,
	};
	int r = 0;

	if (s->sym_of[sym] == 0) {
		r = ap_tree_symbol(s->out, &symbol, ret);
		s->sym_of[sym] = r == 0 ? *ret + 1 : 0;
	}
	*ret = s->sym_of[sym] - 1;
	return r;
}

/* Inlined copies and others are one function: shown as the one that is not inlined, if there is one. */
static int find_function(struct sandwich *s, const struct ap_tree_function *f)
{
	size_t n = s->b->syms.n;
	uint32_t shown = UINT32_MAX, id;
	int r;

	for (uint32_t i = 0; i < n; i++) {
		const struct ap_tree_sym *sym = &s->b->syms.p[i];

		s->is_it[i] = ap_str_eq(ap_intern_get(s->b->strings, sym->name), f->name) &&
			      (!f->module.p ||
			       ap_str_eq(ap_intern_get(s->b->strings, sym->module), f->module));
		if (s->is_it[i] &&
		    (shown == UINT32_MAX || s->b->syms.p[shown].kind == AP_FRAME_INLINED))
			shown = i;
	}
	if (shown == UINT32_MAX)
		return 0;
	r = copy_symbol(s, shown, &id);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		if (s->is_it[i])
			s->sym_of[i] = id + 1;
	return r;
}

static bool is_function(const struct sandwich *s, uint32_t node)
{
	return node && s->is_it[s->b->nodes.p[node].sym];
}

static int add_callees(struct sandwich *s)
{
	int r = 0;

	for (uint32_t i = 1; i < s->b->nodes.n && r == 0; i++) {
		const struct ap_tree_node *node = &s->b->nodes.p[i];
		uint32_t above = s->node_of[node->parent], sym;
		bool here = is_function(s, i);

		if (!above && !here)
			continue;
		r = copy_symbol(s, node->sym, &sym);
		if (above && here && is_function(s, node->parent))
			s->node_of[i] = above;
		else if (r == 0)
			r = ap_tree_child(s->out, above, sym, &s->node_of[i]);
		if (r == 0)
			r = ap_tree_add_self(s->out, s->node_of[i], ap_tree_self(s->b, i, 0), 0);
	}
	return r;
}

/* From the function's frame at `node` outwards. */
static int add_caller_path(struct sandwich *s, uint32_t node, uint64_t total)
{
	uint32_t at = 0, sym;
	int r = 0;

	for (; node && r == 0; node = s->b->nodes.p[node].parent) {
		r = copy_symbol(s, s->b->nodes.p[node].sym, &sym);
		if (r == 0)
			r = ap_tree_child(s->out, at, sym, &at);
	}
	return r == 0 ? ap_tree_add_self(s->out, at, total, 0) : r;
}

static int add_callers(struct sandwich *s)
{
	_cleanup_free_ uint64_t *total = calloc(s->b->nodes.n, sizeof(*total));
	int r = 0;

	if (!total)
		return -ENOMEM;
	ap_tree_totals(s->b, 0, total);
	for (uint32_t i = 1; i < s->b->nodes.n && r == 0; i++) {
		uint32_t parent = s->b->nodes.p[i].parent;

		s->node_of[i] = s->node_of[parent] || is_function(s, i);
		if (s->node_of[i] && !s->node_of[parent] && total[i])
			r = add_caller_path(s, i, total[i]);
	}
	return r;
}

int ap_sandwich_build(const struct ap_tree_builder *b, const struct ap_tree_function *f,
		      enum ap_sandwich_side side, struct ap_tree_builder **ret)
{
	_cleanup_(sandwich_free) struct sandwich s = {
		.b = b,
		.out = ap_tree_builder_new(),
		.is_it = calloc(b->syms.n + 1, sizeof(*s.is_it)),
		.sym_of = calloc(b->syms.n + 1, sizeof(*s.sym_of)),
		.node_of = calloc(b->nodes.n, sizeof(*s.node_of)),
	};
	int r;

	if (!s.out || !s.is_it || !s.sym_of || !s.node_of)
		return -ENOMEM;
	r = find_function(&s, f);
	if (r == 0)
		r = side == AP_SANDWICH_CALLERS ? add_callers(&s) : add_callees(&s);
	if (r == 0)
		*ret = AP_TAKE_PTR(s.out);
	return r;
}

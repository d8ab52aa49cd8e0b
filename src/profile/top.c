/* SPDX-License-Identifier: Apache-2.0 */
/* One walk over the builder's nodes, which are far fewer than the stacks that made them. Whether a
 * function is on the path already is a counter per function. */
#include "profile/top.h"

#include "profile/tree_builder.h"

struct walk {
	const struct ap_tree_builder *b;
	uint32_t *row_of_sym;
	uint32_t *first_child, *next; /* node ids, 0 = none */
	uint32_t *on_path;	      /* per row: how often it is among the ancestors */
	uint64_t *total[2];	      /* per node */
	struct ap_arena arena;
};

static void *scratch(struct walk *w, size_t n, size_t elem)
{
	size_t bytes;

	return ap_size_mul(n, elem, &bytes) ? ap_arena_zalloc(&w->arena, bytes) : NULL;
}

static int row_string(struct ap_top *t, const struct ap_tree_builder *b, uint32_t id,
		      struct ap_str *ret)
{
	struct ap_str s = ap_intern_get(b->strings, id);

	ret->p = ap_arena_strdup(&t->arena, s);
	ret->n = s.n;
	return ret->p ? 0 : -ENOMEM;
}

/* A row per (name, module), whatever the kind. */
static int make_rows(struct walk *w, struct ap_top *t)
{
	_cleanup_(ap_cleanup_intern) struct ap_intern *functions = ap_intern_new();
	size_t n = w->b->syms.n;

	t->rows = ap_arena_zalloc(&t->arena, (n + 1) * sizeof(*t->rows));
	w->row_of_sym = scratch(w, n + 1, sizeof(uint32_t));
	if (!functions || !t->rows || !w->row_of_sym)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct ap_tree_sym *sym = &w->b->syms.p[i];
		uint32_t key[2] = {sym->name, sym->module}, id;
		struct ap_top_row *row;
		bool is_new;
		int r;

		r = ap_intern_add(functions, (struct ap_str){(const char *)key, sizeof(key)}, &id,
				  &is_new);
		if (r < 0)
			return r;
		w->row_of_sym[i] = id - 1;
		row = &t->rows[id - 1];
		if (is_new && (row_string(t, w->b, sym->name, &row->name) < 0 ||
			       row_string(t, w->b, sym->module, &row->module) < 0))
			return -ENOMEM;
		if (is_new || row->kind == AP_FRAME_INLINED)
			row->kind = (enum ap_frame_kind)sym->kind;
		if (!row->file.n && sym->file) {
			row->line = sym->line;
			if (row_string(t, w->b, sym->file, &row->file) < 0)
				return -ENOMEM;
		}
	}
	t->n = ap_intern_count(functions) - 1;
	return 0;
}

static int link_children(struct walk *w)
{
	const struct ap_tree_node *nodes = w->b->nodes.p;
	size_t n = w->b->nodes.n;

	w->first_child = scratch(w, n, sizeof(uint32_t));
	w->next = scratch(w, n, sizeof(uint32_t));
	if (!w->first_child || !w->next)
		return -ENOMEM;
	for (size_t i = n - 1; i > 0; i--) {
		w->next[i] = w->first_child[nodes[i].parent];
		w->first_child[nodes[i].parent] = (uint32_t)i;
	}
	return 0;
}

static void enter(struct walk *w, struct ap_top *t, uint32_t node)
{
	const struct ap_tree_node *nd = &w->b->nodes.p[node];
	uint32_t id = w->row_of_sym[nd->sym];
	struct ap_top_row *row = &t->rows[id];

	for (int s = 0; s < 2; s++) {
		row->self[s] = ap_sum_saturating(row->self[s], nd->self[s]);
		if (!w->on_path[id])
			row->total[s] = ap_sum_saturating(row->total[s], w->total[s][node]);
	}
	w->on_path[id]++;
}

static void leave(struct walk *w, uint32_t node)
{
	w->on_path[w->row_of_sym[w->b->nodes.p[node].sym]]--;
}

static void visit_all(struct walk *w, struct ap_top *t)
{
	uint32_t node = w->first_child[0];

	while (node) {
		enter(w, t, node);
		if (w->first_child[node]) {
			node = w->first_child[node];
			continue;
		}
		while (node && !w->next[node]) {
			leave(w, node);
			node = w->b->nodes.p[node].parent;
		}
		if (node) {
			leave(w, node);
			node = w->next[node];
		}
	}
}

struct order {
	enum ap_top_sort sort;
	double scale[2];
};

static double change(const struct order *o, const struct ap_top_row *r)
{
	double d = (double)r->self[1] * o->scale[1] - (double)r->self[0] * o->scale[0];

	return d < 0 ? -d : d;
}

static int compare(const void *pa, const void *pb, void *ctx)
{
	const struct ap_top_row *a = pa, *b = pb;
	const struct order *o = ctx;
	int r;

	if (o->sort == AP_TOP_CHANGE) {
		double ca = change(o, a), cb = change(o, b);

		if (ca != cb)
			return ca > cb ? -1 : 1;
	}
	if (o->sort == AP_TOP_TOTAL && a->total[0] != b->total[0])
		return a->total[0] > b->total[0] ? -1 : 1;
	if (a->self[0] != b->self[0])
		return a->self[0] > b->self[0] ? -1 : 1;
	if (a->total[0] != b->total[0])
		return a->total[0] > b->total[0] ? -1 : 1;
	r = ap_str_cmp(a->name, b->name);
	return r ? r : ap_str_cmp(a->module, b->module);
}

static void sort_and_cut(struct ap_top *t, enum ap_top_sort sort, uint32_t limit)
{
	struct order o = {.sort = sort};
	uint32_t n = 0;

	for (int s = 0; s < 2; s++)
		if (t->total[s])
			o.scale[s] = 1 / (double)t->total[s];
	for (uint32_t i = 0; i < t->n; i++)
		if (t->rows[i].total[0] || t->rows[i].total[1])
			t->rows[n++] = t->rows[i];
	qsort_r(t->rows, n, sizeof(*t->rows), compare, &o);
	t->n_functions = n;
	t->n = limit ? AP_MIN(n, limit) : n;
}

int ap_top_build(const struct ap_tree_builder *b, enum ap_top_sort sort, uint32_t limit,
		 struct ap_top **ret)
{
	_cleanup_(ap_cleanup_top) struct ap_top *t = calloc(1, sizeof(*t));
	struct walk w = {.b = b};
	int r;

	if (!t)
		return -ENOMEM;
	r = make_rows(&w, t);
	if (r == 0)
		r = link_children(&w);
	w.on_path = scratch(&w, t->n + 1, sizeof(uint32_t));
	for (unsigned int s = 0; s < 2; s++)
		w.total[s] = scratch(&w, b->nodes.n, sizeof(uint64_t));
	if (r < 0 || !w.on_path || !w.total[0] || !w.total[1]) {
		ap_arena_free(&w.arena);
		return -ENOMEM;
	}
	for (unsigned int s = 0; s < 2; s++) {
		ap_tree_totals(b, s, w.total[s]);
		t->total[s] = w.total[s][0];
	}
	visit_all(&w, t);
	ap_arena_free(&w.arena);
	sort_and_cut(t, sort, limit);
	*ret = AP_TAKE_PTR(t);
	return 0;
}

void ap_top_free(struct ap_top *t)
{
	if (!t)
		return;
	ap_arena_free(&t->arena);
	free(t);
}

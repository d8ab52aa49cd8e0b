/* SPDX-License-Identifier: Apache-2.0 */
/* One walk over the builder's nodes in the order of their ids, as they lie in memory. Whether a
 * function is on the path already is a counter per function. */
#include "profile/top.h"

#include "profile/place.h"
#include "profile/tree_builder.h"

struct row {
	uint64_t self[2], total[2], place;
	enum ap_place_rank rank;
	uint32_t on_path; /* how often the function is among the node's ancestors */
};

struct walk {
	const struct ap_tree_builder *b;
	uint32_t *row_of_sym; /* of the symbols that nodes have */
	struct row *rows;
	uint32_t *path; /* the node's ancestors, and it */
	size_t depth;
	uint32_t *place;    /* per node: of the path from the root to it */
	uint64_t *total[2]; /* per node */
	struct ap_arena arena;
};

static void *scratch(struct walk *w, size_t n, size_t elem)
{
	size_t bytes;

	return ap_size_mul(n, elem, &bytes) ? ap_arena_zalloc(&w->arena, bytes) : NULL;
}

/* A row per (name, module), whatever the kind. Its texts are the builder's until they are copied. */
static int make_rows(struct walk *w, struct ap_top *t)
{
	_cleanup_(ap_cleanup_intern) struct ap_intern *functions = ap_intern_new();
	size_t n = w->b->syms.n;
	_cleanup_free_ bool *used = calloc(n + 1, sizeof(*used));

	t->rows = ap_arena_zalloc(&t->arena, (n + 1) * sizeof(*t->rows));
	w->row_of_sym = scratch(w, n + 1, sizeof(uint32_t));
	if (!functions || !used || !t->rows || !w->row_of_sym)
		return -ENOMEM;
	for (size_t i = 1; i < w->b->nodes.n; i++)
		used[w->b->nodes.p[i].sym] = true;
	for (size_t i = 0; i < n; i++) {
		const struct ap_tree_sym *sym = &w->b->syms.p[i];
		uint32_t key[2] = {sym->name, sym->module}, id;
		struct ap_top_row *row;
		bool is_new;
		int r;

		if (!used[i])
			continue;
		r = ap_intern_add(functions, (struct ap_str){(const char *)key, sizeof(key)}, &id,
				  &is_new);
		if (r < 0)
			return r;
		w->row_of_sym[i] = id - 1;
		row = &t->rows[id - 1];
		row->name = ap_intern_get(w->b->strings, sym->name);
		row->module = ap_intern_get(w->b->strings, sym->module);
		if (is_new || row->kind == AP_FRAME_INLINED)
			row->kind = (enum ap_frame_kind)sym->kind;
		/* Inlined copies know the file alone. */
		if (sym->file && (!row->file.n || (!row->line && sym->line))) {
			row->line = sym->line;
			row->file = ap_intern_get(w->b->strings, sym->file);
		}
	}
	t->n = ap_intern_count(functions) - 1;
	return 0;
}

static struct row *row_of(const struct walk *w, uint32_t node)
{
	return &w->rows[w->row_of_sym[w->b->nodes.p[node].sym]];
}

/* Makes `path` the ancestors of `node`. Nodes that one stack added follow each other, so what must be
 * gone through again is bounded by the stacks that were added. */
static void go_to(struct walk *w, uint32_t node)
{
	const struct ap_tree_node *nodes = w->b->nodes.p;
	uint32_t parent = nodes[node].parent;
	size_t depth = 0;

	while (w->depth && w->path[w->depth - 1] != parent)
		row_of(w, w->path[--w->depth])->on_path--;
	if (w->depth || !parent)
		return;
	for (uint32_t at = parent; at; at = nodes[at].parent)
		depth++;
	w->depth = depth;
	for (uint32_t at = parent; at; at = nodes[at].parent) {
		w->path[--depth] = at;
		row_of(w, at)->on_path++;
	}
}

/* Nodes come after their parents: where a node says as much as its parent's place, it is the place. */
static uint32_t place_of(struct walk *w, uint32_t node)
{
	uint32_t outer = w->place[w->b->nodes.p[node].parent];
	bool says_more = !outer || row_of(w, node)->rank >= row_of(w, outer)->rank;

	w->place[node] = says_more ? node : outer;
	return w->place[node];
}

static void visit_all(struct walk *w)
{
	for (uint32_t node = 1; node < w->b->nodes.n; node++) {
		struct row *row = row_of(w, node), *place = row_of(w, place_of(w, node));

		go_to(w, node);
		place->place = ap_sum_saturating(place->place, ap_tree_self(w->b, node, 0));
		for (unsigned int s = 0; s < 2; s++) {
			row->self[s] = ap_sum_saturating(row->self[s], ap_tree_self(w->b, node, s));
			if (!row->on_path)
				row->total[s] = ap_sum_saturating(row->total[s], w->total[s][node]);
		}
		row->on_path++;
		w->path[w->depth++] = node;
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
	if (o->sort == AP_TOP_PLACE && a->place != b->place)
		return a->place > b->place ? -1 : 1;
	if (o->sort == AP_TOP_TOTAL && a->total[0] != b->total[0])
		return a->total[0] > b->total[0] ? -1 : 1;
	if (a->self[0] != b->self[0])
		return a->self[0] > b->self[0] ? -1 : 1;
	if (a->total[0] != b->total[0])
		return a->total[0] > b->total[0] ? -1 : 1;
	r = ap_str_cmp(a->name, b->name);
	return r ? r : ap_str_cmp(a->module, b->module);
}

/* The worst of the first `n` rows sinks to rows[0]: `compare` makes a heap of them. */
static void sift_down(struct ap_top_row *rows, uint32_t n, uint32_t i, struct order *o)
{
	struct ap_top_row moved = rows[i];

	for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
		if (child + 1 < n && compare(&rows[child + 1], &rows[child], o) > 0)
			child++;
		if (compare(&rows[child], &moved, o) <= 0)
			break;
		rows[i] = rows[child];
	}
	rows[i] = moved;
}

/* Brings the `limit` best rows to the front, in no order. */
static void select_best(struct ap_top_row *rows, uint32_t n, uint32_t limit, struct order *o)
{
	for (uint32_t i = limit / 2; i > 0; i--)
		sift_down(rows, limit, i - 1, o);
	for (uint32_t i = limit; i < n; i++) {
		if (compare(&rows[i], &rows[0], o) >= 0)
			continue;
		rows[0] = rows[i];
		sift_down(rows, limit, 0, o);
	}
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
	t->n_functions = n;
	t->n = limit ? AP_MIN(n, limit) : n;
	if (t->n < n)
		select_best(t->rows, n, t->n, &o);
	qsort_r(t->rows, t->n, sizeof(*t->rows), compare, &o);
}

static int copy_texts(struct ap_top *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct ap_str *texts[] = {&t->rows[i].name, &t->rows[i].module, &t->rows[i].file};

		for (size_t k = 0; k < AP_ARRAY_SIZE(texts); k++) {
			texts[k]->p = ap_arena_strdup(&t->arena, *texts[k]);
			if (!texts[k]->p)
				return -ENOMEM;
		}
	}
	return 0;
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
	w.rows = scratch(&w, (size_t)t->n + 1, sizeof(*w.rows));
	w.path = scratch(&w, b->nodes.n, sizeof(uint32_t));
	w.place = scratch(&w, b->nodes.n, sizeof(uint32_t));
	for (unsigned int s = 0; s < 2; s++)
		w.total[s] = scratch(&w, b->nodes.n, sizeof(uint64_t));
	if (r < 0 || !w.rows || !w.path || !w.place || !w.total[0] || !w.total[1]) {
		ap_arena_free(&w.arena);
		return -ENOMEM;
	}
	for (unsigned int s = 0; s < 2; s++) {
		ap_tree_totals(b, s, w.total[s]);
		t->total[s] = w.total[s][0];
	}
	for (uint32_t i = 0; i < t->n; i++)
		w.rows[i].rank = ap_place_rank(t->rows[i].name, t->rows[i].module, t->rows[i].kind);
	visit_all(&w);
	for (uint32_t i = 0; i < t->n; i++) {
		t->rows[i].place = w.rows[i].place;
		memcpy(t->rows[i].self, w.rows[i].self, sizeof(t->rows[i].self));
		memcpy(t->rows[i].total, w.rows[i].total, sizeof(t->rows[i].total));
	}
	ap_arena_free(&w.arena);
	sort_and_cut(t, sort, limit);
	r = copy_texts(t);
	if (r == 0)
		*ret = AP_TAKE_PTR(t);
	return r;
}

void ap_top_free(struct ap_top *t)
{
	if (!t)
		return;
	ap_arena_free(&t->arena);
	free(t);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* From a builder to the tree that is shown.
 *
 * Nodes are chosen by weight: the total, or for two sides the sum of the shares. A node weighs no
 * more than its parent and has a larger id, so in the order (weight descending, id ascending) every
 * prefix is a tree. Each node of that prefix which loses children costs one "(other)" node; adding
 * the next node of the order never makes (nodes + others) smaller, so the longest prefix that fits
 * is found in one walk. Which nodes can be in it at all is found by radix selection, so that only
 * max_nodes of them are sorted. */
#include "profile/tree.h"
#include "profile/tree_builder.h"

enum { NAME_ROOT, NAME_OTHER, N_OWN_NAMES };

struct work {
	const struct ap_tree_builder *b;
	bool diff;
	uint32_t n;	 /* nodes in the builder */
	uint32_t n_kept; /* of them */
	uint32_t n_out;	 /* with the "(other)" nodes */
	uint64_t *total[2];
	uint64_t *weight;    /* 0: holds nothing on the sides shown, is left out */
	uint64_t *folded[2]; /* of a kept node: what its "(other)" holds */
	bool *keep, *has_other;
	uint32_t *first, *children; /* kept children of i: children[first[i] … first[i + 1]) */
	struct ap_arena arena;
};

static void *scratch(struct work *w, size_t n, size_t elem)
{
	size_t bytes;

	return ap_size_mul(n, elem, &bytes) ? ap_arena_zalloc(&w->arena, bytes) : NULL;
}

static int measure(struct work *w)
{
	double scale[2] = {0, 0};

	w->weight = scratch(w, w->n, sizeof(uint64_t));
	for (int s = 0; s < 2; s++) {
		w->total[s] = scratch(w, w->n, sizeof(uint64_t));
		w->folded[s] = scratch(w, w->n, sizeof(uint64_t));
		if (!w->total[s] || !w->folded[s])
			return -ENOMEM;
	}
	if (!w->weight)
		return -ENOMEM;
	ap_tree_totals(w->b, 0, w->total[0]);
	if (!w->diff) {
		memcpy(w->weight, w->total[0], w->n * sizeof(uint64_t));
		return 0;
	}
	ap_tree_totals(w->b, 1, w->total[1]);
	for (int s = 0; s < 2; s++)
		if (w->total[s][0])
			scale[s] = 0x1p61 / (double)w->total[s][0];
	for (uint32_t i = 0; i < w->n; i++)
		if (w->total[0][i] || w->total[1][i])
			w->weight[i] = 1 + (uint64_t)((double)w->total[0][i] * scale[0] +
						      (double)w->total[1][i] * scale[1]);
	return 0;
}

/* The k-th largest weight, k counted from 1. */
static uint64_t nth_weight(const struct work *w, size_t k)
{
	uint64_t prefix = 0, mask = 0;

	for (int shift = 56; shift >= 0; shift -= 8) {
		size_t hist[256] = {0};
		uint64_t digit = 255;

		for (uint32_t i = 0; i < w->n; i++)
			if ((w->weight[i] & mask) == prefix)
				hist[w->weight[i] >> shift & 255]++;
		for (; digit > 0 && k > hist[digit]; digit--)
			k -= hist[digit];
		prefix |= digit << shift;
		mask |= 255ull << shift;
	}
	return prefix;
}

static int by_weight(const void *pa, const void *pb, void *ctx)
{
	const struct work *w = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;

	if (w->weight[a] != w->weight[b])
		return w->weight[a] > w->weight[b] ? -1 : 1;
	return a < b ? -1 : a > b;
}

/* Fills `order` with the max_nodes first nodes of the order described above. */
static void largest(struct work *w, uint32_t max_nodes, uint32_t *order)
{
	uint64_t least = nth_weight(w, max_nodes);
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->n; i++)
		if (w->weight[i] > least)
			order[n++] = i;
	for (uint32_t i = 0; i < w->n && n < max_nodes; i++)
		if (w->weight[i] == least)
			order[n++] = i;
	qsort_r(order, n, sizeof(*order), by_weight, w);
}

static int choose(struct work *w, uint32_t max_nodes)
{
	const struct ap_tree_node *nodes = w->b->nodes.p;
	uint32_t *order, *missing, others;

	order = scratch(w, max_nodes, sizeof(*order));
	missing = scratch(w, w->n, sizeof(*missing)); /* children not kept */
	if (!order || !missing)
		return -ENOMEM;
	for (uint32_t i = 1; i < w->n; i++)
		missing[nodes[i].parent] += w->weight[i] != 0;
	largest(w, max_nodes, order);
	w->keep[0] = true;
	w->n_kept = others = 1;
	for (uint32_t k = 1; k < max_nodes; k++) {
		uint32_t id = order[k], parent = nodes[id].parent;
		uint32_t then = others + (missing[id] > 0) - (missing[parent] == 1);

		if (w->n_kept + 1 + then > max_nodes)
			break;
		w->keep[id] = true;
		w->n_kept++;
		missing[parent]--;
		others = then;
	}
	w->n_out = w->n_kept + others;
	return 0;
}

static int select_nodes(struct work *w, uint32_t max_nodes)
{
	uint32_t alive = 1;

	w->keep = scratch(w, w->n, sizeof(bool));
	w->has_other = scratch(w, w->n, sizeof(bool));
	if (!w->keep || !w->has_other)
		return -ENOMEM;
	for (uint32_t i = 1; i < w->n; i++)
		alive += w->weight[i] != 0;
	if (alive > max_nodes)
		return choose(w, max_nodes);
	for (uint32_t i = 0; i < w->n; i++)
		w->keep[i] = i == 0 || w->weight[i] != 0;
	w->n_kept = w->n_out = alive;
	return 0;
}

static void fold(struct work *w, struct ap_tree *t)
{
	for (uint32_t i = 1; i < w->n; i++) {
		uint32_t parent = w->b->nodes.p[i].parent;

		if (w->keep[i] || !w->weight[i])
			continue;
		t->folded_nodes++;
		if (!w->keep[parent])
			continue;
		w->has_other[parent] = true;
		for (int s = 0; s <= w->diff; s++) {
			w->folded[s][parent] =
				ap_sum_saturating(w->folded[s][parent], w->total[s][i]);
			t->folded_total[s] = ap_sum_saturating(t->folded_total[s], w->total[s][i]);
		}
	}
}

static int by_display(const void *pa, const void *pb, void *ctx)
{
	const struct work *w = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	const struct ap_tree_sym *sa = &w->b->syms.p[w->b->nodes.p[a].sym];
	const struct ap_tree_sym *sb = &w->b->syms.p[w->b->nodes.p[b].sym];
	int r;

	if (w->weight[a] != w->weight[b])
		return w->weight[a] > w->weight[b] ? -1 : 1;
	r = ap_str_cmp(ap_intern_get(w->b->strings, sa->name),
		       ap_intern_get(w->b->strings, sb->name));
	if (r == 0)
		r = ap_str_cmp(ap_intern_get(w->b->strings, sa->module),
			       ap_intern_get(w->b->strings, sb->module));
	return r ? r : (int)sa->kind - (int)sb->kind;
}

/* Lists the kept children of each kept node, in the order in which they are shown. */
static int list_children(struct work *w)
{
	const struct ap_tree_node *nodes = w->b->nodes.p;
	uint32_t *fill;

	w->first = scratch(w, (size_t)w->n + 1, sizeof(uint32_t));
	w->children = scratch(w, w->n_kept, sizeof(uint32_t));
	fill = scratch(w, w->n, sizeof(uint32_t));
	if (!w->first || !w->children || !fill)
		return -ENOMEM;
	for (uint32_t i = 1; i < w->n; i++)
		w->first[nodes[i].parent + 1] += w->keep[i];
	for (uint32_t i = 0; i < w->n; i++)
		w->first[i + 1] += w->first[i];
	for (uint32_t i = 1; i < w->n; i++) {
		uint32_t parent = nodes[i].parent;

		if (w->keep[i])
			w->children[w->first[parent] + fill[parent]++] = i;
	}
	for (uint32_t i = 0; i < w->n; i++)
		if (w->first[i + 1] - w->first[i] > 1)
			qsort_r(w->children + w->first[i], w->first[i + 1] - w->first[i],
				sizeof(uint32_t), by_display, w);
	return 0;
}

static int allocate(const struct work *w, struct ap_tree *t)
{
	t->depth = ap_arena_alloc(&t->arena, (size_t)w->n_out * sizeof(uint32_t));
	t->name = ap_arena_alloc(&t->arena, (size_t)w->n_out * sizeof(uint32_t));
	t->module = ap_arena_alloc(&t->arena, (size_t)w->n_out * sizeof(uint32_t));
	t->kind = ap_arena_alloc(&t->arena, w->n_out);
	if (!t->depth || !t->name || !t->module || !t->kind)
		return -ENOMEM;
	for (int s = 0; s <= w->diff; s++) {
		t->total[s] = ap_arena_alloc(&t->arena, (size_t)w->n_out * sizeof(uint64_t));
		t->self[s] = ap_arena_alloc(&t->arena, (size_t)w->n_out * sizeof(uint64_t));
		if (!t->total[s] || !t->self[s])
			return -ENOMEM;
	}
	return 0;
}

/* Appends the node, or what was folded below it. */
static void put(const struct work *w, struct ap_tree *t, uint32_t id, uint32_t depth, bool other)
{
	uint32_t i = t->n++;

	t->depth[i] = depth;
	if (other || id == 0) {
		t->name[i] = other ? NAME_OTHER : NAME_ROOT;
		t->module[i] = N_OWN_NAMES;
		t->kind[i] = AP_FRAME_NATIVE;
	} else {
		const struct ap_tree_sym *sym = &w->b->syms.p[w->b->nodes.p[id].sym];

		t->name[i] = N_OWN_NAMES + sym->name;
		t->module[i] = N_OWN_NAMES + sym->module;
		t->kind[i] = (uint8_t)sym->kind;
	}
	for (int s = 0; s <= w->diff; s++) {
		t->total[s][i] = other ? w->folded[s][id] : w->total[s][id];
		t->self[s][i] = other ? w->folded[s][id] : w->b->nodes.p[id].self[s];
	}
}

static int emit(struct work *w, struct ap_tree *t)
{
	struct step {
		uint32_t id, depth;
		bool other;
	} *todo = scratch(w, w->n_out, sizeof(*todo));
	size_t n = 0;

	if (!todo)
		return -ENOMEM;
	todo[n++] = (struct step){0};
	while (n) {
		struct step s = todo[--n];

		put(w, t, s.id, s.depth, s.other);
		if (s.other)
			continue;
		if (w->has_other[s.id])
			todo[n++] = (struct step){s.id, s.depth + 1, true};
		for (uint32_t k = w->first[s.id + 1]; k > w->first[s.id]; k--)
			todo[n++] = (struct step){w->children[k - 1], s.depth + 1, false};
	}
	return 0;
}

/* Until here names are ids of the builder, after the tree's own ones: gathers those in use. */
static int gather_strings(struct work *w, struct ap_tree *t)
{
	size_t n_ids = (size_t)N_OWN_NAMES + ap_intern_count(w->b->strings);
	uint32_t *new_id = scratch(w, n_ids, sizeof(*new_id));
	uint32_t *columns[2] = {t->name, t->module};
	uint32_t n = 1;

	if (!new_id)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n; i++)
		for (int c = 0; c < 2; c++) {
			uint32_t *id = &columns[c][i];

			if (*id == N_OWN_NAMES)
				*id = 0;
			else
				*id = new_id[*id] ? new_id[*id] : (new_id[*id] = n++);
		}
	t->strings = ap_arena_zalloc(&t->arena, n * sizeof(*t->strings));
	if (!t->strings)
		return -ENOMEM;
	t->n_strings = n;
	t->strings[0] = AP_STR("");
	for (size_t id = 0; id < n_ids; id++) {
		struct ap_str s = id == NAME_ROOT    ? AP_STR("all")
				  : id == NAME_OTHER ? AP_STR("(other)")
						     : AP_STR("");

		if (!new_id[id])
			continue;
		if (id >= N_OWN_NAMES)
			s = ap_intern_get(w->b->strings, (uint32_t)(id - N_OWN_NAMES));
		t->strings[new_id[id]].p = ap_arena_strdup(&t->arena, s);
		t->strings[new_id[id]].n = s.n;
		if (!t->strings[new_id[id]].p)
			return -ENOMEM;
	}
	return 0;
}

int ap_tree_finish(const struct ap_tree_builder *b, uint32_t max_nodes, bool diff,
		   struct ap_tree **ret)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = calloc(1, sizeof(*t));
	struct work w = {.b = b, .diff = diff, .n = (uint32_t)b->nodes.n};
	int r;

	if (!t)
		return -ENOMEM;
	max_nodes = max_nodes ? AP_MAX(max_nodes, 2u) : AP_TREE_NODES_DEFAULT;
	t->is_diff = diff;
	r = measure(&w);
	if (r == 0)
		r = select_nodes(&w, max_nodes);
	if (r == 0) {
		fold(&w, t);
		r = list_children(&w);
	}
	if (r == 0)
		r = allocate(&w, t);
	if (r == 0)
		r = emit(&w, t);
	if (r == 0)
		r = gather_strings(&w, t);
	ap_arena_free(&w.arena);
	if (r == 0)
		*ret = AP_TAKE_PTR(t);
	return r;
}

void ap_tree_free(struct ap_tree *t)
{
	if (!t)
		return;
	ap_arena_free(&t->arena);
	free(t);
}

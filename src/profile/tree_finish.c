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

/* What is kept is few beside all nodes: only `total`, `weight` and `place` are as long as those. */
struct work {
	const struct ap_tree_builder *b;
	bool diff;
	uint32_t n;	 /* nodes in the builder */
	uint32_t n_kept; /* of them */
	uint32_t n_out;	 /* with the "(other)" nodes */
	uint64_t *total[2];
	uint64_t *weight; /* 0: holds nothing on the sides shown, is left out */
	uint32_t *place;  /* of a node among the kept ones, from 1; 0: not kept */
	/* By place - 1: */
	uint32_t *id;	     /* the node */
	uint64_t *folded[2]; /* what its "(other)" holds */
	bool *has_other;
	uint32_t *first, *children; /* its children's ids: children[first[i] … first[i + 1]) */
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

	for (unsigned int s = 0; s <= w->diff; s++) {
		w->total[s] = scratch(w, w->n, sizeof(uint64_t));
		if (!w->total[s])
			return -ENOMEM;
		ap_tree_totals(w->b, s, w->total[s]);
		if (w->total[s][0])
			scale[s] = 0x1p61 / (double)w->total[s][0];
	}
	w->weight = w->total[0];
	if (!w->diff)
		return 0;
	w->weight = scratch(w, w->n, sizeof(uint64_t));
	if (!w->weight)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->n; i++)
		if (w->total[0][i] || w->total[1][i])
			w->weight[i] = 1 + (uint64_t)((double)w->total[0][i] * scale[0] +
						      (double)w->total[1][i] * scale[1]);
	return 0;
}

/* Weights by size: their highest bit and the BUCKET_BITS below it. */
enum { BUCKET_BITS = 5, BUCKETS = 64 << BUCKET_BITS };

struct bucket {
	size_t n;
	uint64_t min, max;
};

static size_t bucket_of(uint64_t weight)
{
	size_t high = weight ? 63 - (size_t)__builtin_clzll(weight) : 0;

	if (high <= BUCKET_BITS)
		return (size_t)weight;
	return ((high - BUCKET_BITS) << BUCKET_BITS) + (size_t)(weight >> (high - BUCKET_BITS));
}

/* The k-th largest weight in [min, max], k counted from 1. */
static uint64_t nth_between(const struct work *w, size_t k, uint64_t min, uint64_t max)
{
	int shift = min == max ? -8 : (63 - __builtin_clzll(max - min)) & ~7;
	uint64_t from = min;

	/* One digit of (weight - min) after another. */
	for (; shift >= 0; shift -= 8) {
		size_t hist[256] = {0};
		uint64_t digit = 255, rest = ((uint64_t)1 << shift) - 1;

		for (uint32_t i = 0; i < w->n; i++)
			if (w->weight[i] >= from && w->weight[i] <= max)
				hist[(w->weight[i] - from) >> shift]++;
		for (; digit > 0 && k > hist[digit]; digit--)
			k -= hist[digit];
		from += digit << shift;
		if (max - from > rest)
			max = from + rest;
	}
	return from;
}

/* The k-th largest weight, k counted from 1. Most weights are small and equal: one pass by size
 * mostly finds it. */
static uint64_t nth_weight(struct work *w, size_t k, struct bucket *buckets)
{
	size_t b = BUCKETS - 1;

	for (size_t i = 0; i < BUCKETS; i++)
		buckets[i] = (struct bucket){.min = UINT64_MAX};
	for (uint32_t i = 0; i < w->n; i++) {
		uint64_t weight = w->weight[i];
		struct bucket *at = &buckets[bucket_of(weight)];

		at->n++;
		at->min = AP_MIN(at->min, weight);
		at->max = AP_MAX(at->max, weight);
	}
	for (; b > 0 && k > buckets[b].n; b--)
		k -= buckets[b].n;
	return nth_between(w, k, buckets[b].min, buckets[b].max);
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
static int largest(struct work *w, uint32_t max_nodes, uint32_t *order)
{
	struct bucket *buckets = scratch(w, BUCKETS, sizeof(*buckets));
	uint64_t least;
	uint32_t n = 0;

	if (!buckets)
		return -ENOMEM;
	least = nth_weight(w, max_nodes, buckets);
	for (uint32_t i = 0; i < w->n; i++)
		if (w->weight[i] > least)
			order[n++] = i;
	for (uint32_t i = 0; i < w->n && n < max_nodes; i++)
		if (w->weight[i] == least)
			order[n++] = i;
	qsort_r(order, n, sizeof(*order), by_weight, w);
	return 0;
}

/* Keeps the longest prefix of `order` that fits with its "(other)" nodes. */
static int choose(struct work *w, uint32_t max_nodes)
{
	const struct ap_tree_node *nodes = w->b->nodes.p;
	uint32_t *missing, others = 1; /* missing: by place - 1, children not kept */

	w->id = scratch(w, max_nodes, sizeof(*w->id));
	missing = scratch(w, max_nodes, sizeof(*missing));
	if (!w->id || !missing || largest(w, max_nodes, w->id) < 0)
		return -ENOMEM;
	for (uint32_t k = 0; k < max_nodes; k++)
		w->place[w->id[k]] = k + 1;
	for (uint32_t i = 1; i < w->n; i++) {
		uint32_t parent = w->place[nodes[i].parent];

		if (parent)
			missing[parent - 1] += w->weight[i] != 0;
	}
	for (w->n_kept = 1; w->n_kept < max_nodes; w->n_kept++) {
		uint32_t k = w->n_kept, parent = w->place[nodes[w->id[k]].parent] - 1;
		uint32_t then = others + (missing[k] > 0) - (missing[parent] == 1);

		if (k + 1 + then > max_nodes)
			break;
		missing[parent]--;
		others = then;
	}
	for (uint32_t k = w->n_kept; k < max_nodes; k++)
		w->place[w->id[k]] = 0;
	w->n_out = w->n_kept + others;
	return 0;
}

static int keep_all(struct work *w, uint32_t alive)
{
	w->id = scratch(w, alive, sizeof(*w->id));
	if (!w->id)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->n; i++) {
		if (i && !w->weight[i])
			continue;
		w->id[w->n_kept++] = i;
		w->place[i] = w->n_kept;
	}
	w->n_out = w->n_kept;
	return 0;
}

static void fold(struct work *w, struct ap_tree *t)
{
	for (uint32_t i = 1; i < w->n; i++) {
		uint32_t parent = w->place[w->b->nodes.p[i].parent];

		if (w->place[i] || !w->weight[i])
			continue;
		t->folded_nodes++;
		if (!parent)
			continue;
		w->has_other[parent - 1] = true;
		for (int s = 0; s <= w->diff; s++) {
			uint64_t *folded = &w->folded[s][parent - 1];

			*folded = ap_sum_saturating(*folded, w->total[s][i]);
			t->folded_total[s] = ap_sum_saturating(t->folded_total[s], w->total[s][i]);
		}
	}
}

static int select_nodes(struct work *w, uint32_t max_nodes, struct ap_tree *t)
{
	uint32_t alive = 1;
	int r;

	w->place = scratch(w, w->n, sizeof(*w->place));
	if (!w->place)
		return -ENOMEM;
	for (uint32_t i = 1; i < w->n; i++)
		alive += w->weight[i] != 0;
	r = alive > max_nodes ? choose(w, max_nodes) : keep_all(w, alive);
	if (r < 0)
		return r;
	w->has_other = scratch(w, w->n_kept, sizeof(bool));
	w->folded[0] = scratch(w, w->n_kept, sizeof(uint64_t));
	w->folded[1] = scratch(w, w->n_kept, sizeof(uint64_t));
	if (!w->has_other || !w->folded[0] || !w->folded[1])
		return -ENOMEM;
	if (alive > max_nodes)
		fold(w, t);
	return 0;
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

	w->first = scratch(w, (size_t)w->n_kept + 1, sizeof(uint32_t));
	w->children = scratch(w, w->n_kept, sizeof(uint32_t));
	fill = scratch(w, w->n_kept, sizeof(uint32_t));
	if (!w->first || !w->children || !fill)
		return -ENOMEM;
	/* A parent's place is counted from 1: this makes first[i + 1] the children of i. */
	for (uint32_t k = 1; k < w->n_kept; k++)
		w->first[w->place[nodes[w->id[k]].parent]]++;
	for (uint32_t k = 0; k < w->n_kept; k++)
		w->first[k + 1] += w->first[k];
	for (uint32_t k = 1; k < w->n_kept; k++) {
		uint32_t parent = w->place[nodes[w->id[k]].parent] - 1;

		w->children[w->first[parent] + fill[parent]++] = w->id[k];
	}
	for (uint32_t k = 0; k < w->n_kept; k++)
		if (fill[k] > 1)
			qsort_r(w->children + w->first[k], fill[k], sizeof(uint32_t), by_display,
				w);
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
		uint64_t folded = w->folded[s][w->place[id] - 1];

		t->total[s][i] = other ? folded : w->total[s][id];
		t->self[s][i] = other ? folded : ap_tree_self(w->b, id, (unsigned int)s);
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
		uint32_t at = w->place[s.id] - 1;

		put(w, t, s.id, s.depth, s.other);
		if (s.other)
			continue;
		if (w->has_other[at])
			todo[n++] = (struct step){s.id, s.depth + 1, true};
		for (uint32_t k = w->first[at + 1]; k > w->first[at]; k--)
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
		r = select_nodes(&w, max_nodes, t);
	if (r == 0)
		r = list_children(&w);
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

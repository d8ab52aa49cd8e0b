/* SPDX-License-Identifier: Apache-2.0 */
/* From a builder to the tree that is shown.
 *
 * The builder's nodes may be chains; what is shown are their links, a chain's one below the other.
 *
 * Links are chosen by weight: the total, or for two sides the sum of the shares. A link weighs no
 * more than its parent and has a larger id or stands further down in its chain, so in the order (weight
 * descending, id ascending, chain downwards) every prefix is a tree. Each link of that prefix which
 * loses children costs one "(other)" node; adding the next link of the order never makes (links +
 * others) smaller, so the longest prefix that fits is found in one walk. Which nodes can be in it at
 * all is found by radix selection, so that only max_nodes of them are sorted. */
#include "profile/tree.h"
#include "profile/tree_builder.h"

enum { NAME_ROOT, NAME_OTHER, N_OWN_NAMES };

struct link {
	uint32_t id; /* the node */
	uint32_t at; /* how far down in its chain */
};

/* What is kept is few beside all nodes: only `total`, `weight` and `place` are as long as those. */
struct work {
	const struct ap_tree_builder *b;
	bool diff;
	uint32_t n;	  /* nodes in the builder */
	uint64_t n_alive; /* links of those with a weight */
	uint32_t n_kept;  /* links */
	uint32_t n_out;	  /* with the "(other)" nodes */
	uint64_t *total[2];
	uint64_t *weight; /* 0: holds nothing on the sides shown, is left out */
	uint32_t *place;  /* of a node's first link among the kept ones, from 1; 0: not kept */
	/* By place - 1; a chain's links follow each other: */
	struct link *link;
	uint64_t *folded[2]; /* what its "(other)" holds */
	bool *has_other;
	uint32_t *first, *children; /* its children: children[first[i] … first[i + 1]) */
	struct ap_arena arena;
};

static uint32_t length(const struct work *w, uint32_t id)
{
	return ap_tree_chain_length(w->b, id);
}

/* Where the last link of a node is, or would be, among the kept ones; the node has a place. */
static uint32_t last_of(const struct work *w, uint32_t id)
{
	return w->place[id] - 1 + (length(w, id) - 1);
}

/* The parent of a kept link other than the root's. */
static uint32_t parent_of(const struct work *w, uint32_t k)
{
	return w->link[k].at ? k - 1 : last_of(w, w->b->nodes.p[w->link[k].id].parent);
}

/* How many of a node's links are kept. */
static uint32_t kept_of(const struct work *w, uint32_t id)
{
	return w->place[id] ? AP_MIN(length(w, id), w->n_kept - (w->place[id] - 1)) : 0;
}

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

/* Weights by size: their highest bit and the BUCKET_BITS below it; `n` counts links. */
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

/* The k-th largest weight of the links in [min, max], k counted from 1. */
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
				hist[(w->weight[i] - from) >> shift] += length(w, i);
		for (; digit > 0 && k > hist[digit]; digit--)
			k -= hist[digit];
		from += digit << shift;
		if (max - from > rest)
			max = from + rest;
	}
	return from;
}

/* The k-th largest weight of all links, k counted from 1. Most weights are small and equal: one pass by size
 * mostly finds it. */
static uint64_t nth_weight(struct work *w, size_t k, struct bucket *buckets)
{
	size_t b = BUCKETS - 1;

	for (size_t i = 0; i < BUCKETS; i++)
		buckets[i] = (struct bucket){.min = UINT64_MAX};
	for (uint32_t i = 0; i < w->n; i++) {
		uint64_t weight = w->weight[i];
		struct bucket *at = &buckets[bucket_of(weight)];

		at->n += length(w, i);
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

/* The nodes of the max_nodes first links of the order described above, in that order; how many. */
static int largest(struct work *w, uint32_t max_nodes, uint32_t *order, uint32_t *ret_n)
{
	struct bucket *buckets = scratch(w, BUCKETS, sizeof(*buckets));
	uint64_t least, links = 0;
	uint32_t n = 0;

	if (!buckets)
		return -ENOMEM;
	least = nth_weight(w, max_nodes, buckets);
	for (uint32_t i = 0; i < w->n; i++) {
		if (w->weight[i] <= least)
			continue;
		order[n++] = i;
		links += length(w, i);
	}
	for (uint32_t i = 0; i < w->n && links < max_nodes; i++) {
		if (w->weight[i] != least)
			continue;
		order[n++] = i;
		links += length(w, i);
	}
	qsort_r(order, n, sizeof(*order), by_weight, w);
	*ret_n = n;
	return 0;
}

static void put_links(struct work *w, uint32_t id, uint32_t *n, uint32_t max)
{
	w->place[id] = *n + 1;
	for (uint32_t at = 0; at < length(w, id) && *n < max; at++)
		w->link[(*n)++] = (struct link){id, at};
}

/* By place - 1, how many children a link has that are alive. */
static void count_children(const struct work *w, uint32_t n, uint32_t *children)
{
	for (uint32_t k = 0; k + 1 < n; k++)
		children[k] = w->link[k + 1].at != 0;
	for (uint32_t i = 1; i < w->n; i++) {
		uint32_t parent = w->b->nodes.p[i].parent;

		if (w->weight[i] && w->place[parent] && last_of(w, parent) < n)
			children[last_of(w, parent)]++;
	}
}

/* Keeps the longest prefix of the order that fits with its "(other)" nodes. */
static int choose(struct work *w, uint32_t max_nodes)
{
	uint32_t *order = scratch(w, max_nodes, sizeof(*order));
	uint32_t *missing = scratch(w, max_nodes, sizeof(*missing));
	uint32_t n_order, n = 0, others = 1;

	w->link = scratch(w, max_nodes, sizeof(*w->link));
	if (!w->link || !order || !missing || largest(w, max_nodes, order, &n_order) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_order; i++)
		put_links(w, order[i], &n, max_nodes);
	/* The last link's children are not in the order. */
	count_children(w, n, missing);
	for (w->n_kept = 1; w->n_kept < n; w->n_kept++) {
		uint32_t k = w->n_kept, parent = parent_of(w, k);
		bool loses = missing[k] > 0 || w->link[k].at + 1 < length(w, w->link[k].id);
		uint32_t then = others + loses - (missing[parent] == 1);

		if (k + 1 + then > max_nodes)
			break;
		missing[parent]--;
		others = then;
	}
	for (uint32_t k = w->n_kept; k < n; k++)
		if (w->link[k].at == 0)
			w->place[w->link[k].id] = 0;
	w->n_out = w->n_kept + others;
	return 0;
}

static int keep_all(struct work *w)
{
	uint32_t max = (uint32_t)w->n_alive;

	w->link = scratch(w, max, sizeof(*w->link));
	if (!w->link)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->n; i++)
		if (i == 0 || w->weight[i])
			put_links(w, i, &w->n_kept, max);
	w->n_out = w->n_kept;
	return 0;
}

static void fold(struct work *w, struct ap_tree *t)
{
	t->folded_nodes = w->n_alive - w->n_kept;
	for (uint32_t i = 1; i < w->n; i++) {
		uint32_t parent = w->b->nodes.p[i].parent, kept = kept_of(w, i), above;

		if (!w->weight[i] || kept == length(w, i) ||
		    (!kept && kept_of(w, parent) < length(w, parent)))
			continue;
		above = kept ? w->place[i] - 1 + (kept - 1) : last_of(w, parent);
		w->has_other[above] = true;
		for (int s = 0; s <= w->diff; s++) {
			uint64_t *folded = &w->folded[s][above];

			*folded = ap_sum_saturating(*folded, w->total[s][i]);
			t->folded_total[s] = ap_sum_saturating(t->folded_total[s], w->total[s][i]);
		}
	}
}

static int select_nodes(struct work *w, uint32_t max_nodes, struct ap_tree *t)
{
	int r;

	w->place = scratch(w, w->n, sizeof(*w->place));
	if (!w->place)
		return -ENOMEM;
	w->n_alive = 1;
	for (uint32_t i = 1; i < w->n; i++)
		w->n_alive += w->weight[i] ? length(w, i) : 0;
	r = w->n_alive > max_nodes ? choose(w, max_nodes) : keep_all(w);
	if (r < 0)
		return r;
	w->has_other = scratch(w, w->n_kept, sizeof(bool));
	w->folded[0] = scratch(w, w->n_kept, sizeof(uint64_t));
	w->folded[1] = scratch(w, w->n_kept, sizeof(uint64_t));
	if (!w->has_other || !w->folded[0] || !w->folded[1])
		return -ENOMEM;
	if (w->n_alive > max_nodes)
		fold(w, t);
	return 0;
}

static const struct ap_tree_sym *symbol_of(const struct work *w, uint32_t k)
{
	return &w->b->syms.p[ap_tree_chain_symbol(w->b, w->link[k].id, w->link[k].at)];
}

static int by_display(const void *pa, const void *pb, void *ctx)
{
	const struct work *w = ctx;
	uint32_t a = *(const uint32_t *)pa, b = *(const uint32_t *)pb;
	uint64_t weight_a = w->weight[w->link[a].id], weight_b = w->weight[w->link[b].id];
	const struct ap_tree_sym *sa, *sb;
	int r;

	if (weight_a != weight_b)
		return weight_a > weight_b ? -1 : 1;
	sa = symbol_of(w, a);
	sb = symbol_of(w, b);
	r = ap_str_cmp(ap_intern_get(w->b->strings, sa->name),
		       ap_intern_get(w->b->strings, sb->name));
	if (r == 0)
		r = ap_str_cmp(ap_intern_get(w->b->strings, sa->module),
			       ap_intern_get(w->b->strings, sb->module));
	return r ? r : (int)sa->kind - (int)sb->kind;
}

/* Lists the children of each kept link, in the order in which they are shown. */
static int list_children(struct work *w)
{
	uint32_t *fill;

	w->first = scratch(w, (size_t)w->n_kept + 1, sizeof(uint32_t));
	w->children = scratch(w, w->n_kept, sizeof(uint32_t));
	fill = scratch(w, w->n_kept, sizeof(uint32_t));
	if (!w->first || !w->children || !fill)
		return -ENOMEM;
	for (uint32_t k = 1; k < w->n_kept; k++)
		w->first[parent_of(w, k) + 1]++;
	for (uint32_t k = 0; k < w->n_kept; k++)
		w->first[k + 1] += w->first[k];
	for (uint32_t k = 1; k < w->n_kept; k++) {
		uint32_t parent = parent_of(w, k);

		w->children[w->first[parent] + fill[parent]++] = k;
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

/* Appends a kept link, or what was folded below it. */
static void put(const struct work *w, struct ap_tree *t, uint32_t k, uint32_t depth, bool other)
{
	uint32_t i = t->n++, id = w->link[k].id;
	bool ends = w->link[k].at + 1 == length(w, id);

	t->depth[i] = depth;
	if (other || k == 0) {
		t->name[i] = other ? NAME_OTHER : NAME_ROOT;
		t->module[i] = N_OWN_NAMES;
		t->kind[i] = AP_FRAME_NATIVE;
	} else {
		const struct ap_tree_sym *sym = symbol_of(w, k);

		t->name[i] = N_OWN_NAMES + sym->name;
		t->module[i] = N_OWN_NAMES + sym->module;
		t->kind[i] = (uint8_t)sym->kind;
	}
	for (int s = 0; s <= w->diff; s++) {
		uint64_t folded = w->folded[s][k];
		uint64_t self = ends ? ap_tree_self(w->b, id, (unsigned int)s) : 0;

		t->total[s][i] = other ? folded : w->total[s][id];
		t->self[s][i] = other ? folded : self;
	}
}

static int emit(struct work *w, struct ap_tree *t)
{
	struct step {
		uint32_t k, depth;
		bool other;
	} *todo = scratch(w, w->n_out, sizeof(*todo));
	size_t n = 0;

	if (!todo)
		return -ENOMEM;
	todo[n++] = (struct step){0};
	while (n) {
		struct step s = todo[--n];

		put(w, t, s.k, s.depth, s.other);
		if (s.other)
			continue;
		if (w->has_other[s.k])
			todo[n++] = (struct step){s.k, s.depth + 1, true};
		for (uint32_t c = w->first[s.k + 1]; c > w->first[s.k]; c--)
			todo[n++] = (struct step){w->children[c - 1], s.depth + 1, false};
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
	if (w.n == 0)
		return -EINVAL; /* over another, and not gathered yet */
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

/* SPDX-License-Identifier: Apache-2.0 */
/* A builder over the paths of another. What a question adds is kept as it comes, a path and a value,
 * and its tree is made in two passes over the runs of the paths, not by climbing from each path to the
 * root:
 *
 *  - A set of cuts, a bit for each node of the builder below: where a stack ends, and, for every run
 *    with a cut in it, the node that the run hangs on. Parents have smaller ids, so descending over the
 *    runs finds them all.
 *  - Cuts counted from the beginning are the nodes of the tree: each stands for the nodes from after the
 *    cut before it in its run, or from the run's head, down to itself. */
#include "profile/tree.h"
#include "profile/tree_builder.h"

enum { WORD_BITS = 64 };
#define NO_CUT UINT32_MAX

struct cuts {
	uint64_t *words;
	uint32_t *before; /* by word: how many bits are set in those before it */
	size_t n_words;
};

struct ap_tree_builder *ap_tree_builder_over(const struct ap_tree_builder *paths)
{
	struct ap_tree_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->over = paths;
	b->strings = paths->strings;
	b->syms.p = paths->syms.p;
	b->syms.n = paths->syms.n;
	return b;
}

int ap_tree_add_path(struct ap_tree_builder *b, uint32_t path, uint64_t value, unsigned int side)
{
	struct ap_tree_end end = {path, side, value};

	if (side > 1 || !b->over || path >= b->over->nodes.n || b->nodes.n)
		return -EINVAL;
	return value ? ap_vec_push(&b->ends, end) : 0;
}

static void set_cut(struct cuts *c, uint32_t node)
{
	c->words[node / WORD_BITS] |= 1ull << node % WORD_BITS;
}

/* The last cut of [from, to), which is not empty. */
static uint32_t last_cut(const struct cuts *c, uint32_t from, uint32_t to)
{
	uint32_t last = to - 1, first_word = from / WORD_BITS, at = last / WORD_BITS;
	uint64_t word = c->words[at] & ~0ull >> (WORD_BITS - 1 - last % WORD_BITS);

	while (!word && at > first_word)
		word = c->words[--at];
	if (at == first_word)
		word &= ~0ull << from % WORD_BITS;
	return word ? at * WORD_BITS + (WORD_BITS - 1 - (uint32_t)__builtin_clzll(word)) : NO_CUT;
}

/* The number of a cut among all. */
static uint32_t rank_of(const struct cuts *c, uint32_t node)
{
	uint64_t below = c->words[node / WORD_BITS] & ((1ull << node % WORD_BITS) - 1);

	return c->before[node / WORD_BITS] + (uint32_t)__builtin_popcountll(below);
}

static void cut(const struct ap_tree_builder *b, bool chains, struct cuts *c)
{
	const struct ap_tree_builder *over = b->over;
	uint32_t to = (uint32_t)over->nodes.n;

	set_cut(c, 0);
	AP_VEC_FOREACH(&b->ends, end)
		set_cut(c, end->path);
	for (size_t run = over->heads.n; run-- > 0;) {
		uint32_t head = over->heads.p[run], last = last_cut(c, head, to);

		to = head;
		if (last == NO_CUT)
			continue;
		for (uint32_t node = head; !chains && node < last; node++)
			set_cut(c, node);
		if (head)
			set_cut(c, over->nodes.p[head].parent);
	}
}

/* Counts the cuts and makes room for the nodes. */
static int count(struct ap_tree_builder *b, bool chains, struct cuts *c)
{
	size_t n = 0;
	int r;

	for (size_t i = 0; i < c->n_words; i++) {
		c->before[i] = (uint32_t)n;
		n += (size_t)__builtin_popcountll(c->words[i]);
	}
	r = ap_vec_reserve(&b->nodes, n);
	if (r == 0 && chains)
		r = ap_vec_reserve(&b->chains, n);
	return r;
}

static void put_nodes(struct ap_tree_builder *b, bool chains, const struct cuts *c)
{
	const struct ap_tree_builder *over = b->over;
	uint32_t begin = 0;
	size_t run = 0;

	for (size_t i = 0; i < c->n_words; i++)
		for (uint64_t word = c->words[i]; word; word &= word - 1) {
			uint32_t at = (uint32_t)(i * WORD_BITS) + (uint32_t)__builtin_ctzll(word);
			uint32_t parent = (uint32_t)b->nodes.n - 1;
			const struct ap_tree_node *first;

			while (run + 1 < over->heads.n && over->heads.p[run + 1] <= at)
				begin = over->heads.p[++run];
			first = &over->nodes.p[begin];
			if (begin == over->heads.p[run])
				parent = rank_of(c, first->parent);
			b->nodes.p[b->nodes.n++] = (struct ap_tree_node){parent, first->sym};
			if (chains)
				b->chains.p[b->chains.n++] =
					(struct ap_tree_chain){begin, at - begin + 1};
			begin = at + 1;
		}
}

static int put_values(struct ap_tree_builder *b, const struct cuts *c)
{
	bool used[2] = {0};

	AP_VEC_FOREACH(&b->ends, end)
		used[end->side] = true;
	for (int s = 0; s < 2; s++) {
		if (!used[s])
			continue;
		b->self[s].p = calloc(b->nodes.n, sizeof(*b->self[s].p));
		if (!b->self[s].p)
			return -ENOMEM;
		b->self[s].n = b->self[s].cap = b->nodes.n;
	}
	AP_VEC_FOREACH(&b->ends, end) {
		uint64_t *self = &b->self[end->side].p[rank_of(c, end->path)];

		*self = ap_sum_saturating(*self, end->value);
	}
	return 0;
}

int ap_tree_gather(struct ap_tree_builder *b, bool chains)
{
	size_t n_words = b->over->nodes.n / WORD_BITS + 1;
	_cleanup_free_ uint64_t *words = calloc(n_words, sizeof(*words));
	_cleanup_free_ uint32_t *before = calloc(n_words, sizeof(*before));
	struct cuts c = {words, before, n_words};
	int r;

	if (!words || !before)
		return -ENOMEM;
	cut(b, chains, &c);
	r = count(b, chains, &c);
	if (r < 0)
		return r;
	put_nodes(b, chains, &c);
	return put_values(b, &c);
}

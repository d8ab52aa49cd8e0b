/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "profile/tree.h"

static uint32_t symbol(struct ap_tree_builder *b, const char *name)
{
	struct ap_tree_symbol s = {.name = ap_str_of(name), .module = AP_STR("prog")};
	uint32_t id = UINT32_MAX;

	assert_int_equal(ap_tree_symbol(b, &s, &id), 0);
	return id;
}

/* Adds a stack written as "a;b;c". */
static void add(struct ap_tree_builder *b, const char *stack, uint64_t value, unsigned int side)
{
	struct ap_str rest = ap_str_of(stack);
	uint32_t syms[32], n = 0;
	char name[32];

	while (rest.p && rest.n) {
		struct ap_str part = ap_str_cut(&rest, ';');

		snprintf(name, sizeof(name), "%.*s", AP_STR_ARG(part));
		syms[n++] = symbol(b, name);
	}
	assert_int_equal(ap_tree_add(b, syms, n, value, side), 0);
}

/* The tree as "name:total:self name:total:self …" with a '>' per level. */
static void assert_tree(const struct ap_tree *t, int side, const char *want)
{
	_cleanup_buf_ struct ap_buf got = {0};

	for (uint32_t i = 0; i < t->n; i++) {
		ap_buf_puts(&got, i ? " " : "");
		for (uint32_t d = 0; d < t->depth[i]; d++)
			ap_buf_puts(&got, ">");
		ap_buf_printf(&got, "%.*s:%llu:%llu", AP_STR_ARG(t->strings[t->name[i]]),
			      (unsigned long long)t->total[side][i],
			      (unsigned long long)t->self[side][i]);
	}
	ap_buf_byte(&got, 0);
	assert_string_equal((char *)got.p, want);
}

static void builds_a_sorted_tree(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;

	add(b, "main;small", 1, 0);
	add(b, "main;big;leaf", 10, 0);
	add(b, "main;big", 5, 0);
	add(b, "main;also1", 1, 0);
	add(b, "", 3, 0);
	add(b, "main;big;leaf", 1, 0);
	assert_int_equal(ap_tree_finish(b, 0, false, &t), 0);
	assert_tree(t, 0, "all:21:3 >main:18:0 >>big:16:5 >>>leaf:11:11 >>also1:1:1 >>small:1:1");
	assert_int_equal(t->folded_nodes, 0);
	assert_null(t->total[1]);
	assert_int_equal(t->strings[0].n, 0);
	assert_true(ap_str_is(t->strings[t->module[1]], "prog"));
	assert_int_equal(t->module[0], 0);
}

static void folds_the_smallest_into_other(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;

	add(b, "main;a", 50, 0);
	add(b, "main;b;x", 3, 0);
	add(b, "main;b;y", 4, 0);
	add(b, "main;c", 2, 0);
	assert_int_equal(ap_tree_finish(b, 4, false, &t), 0);
	assert_tree(t, 0, "all:59:0 >main:59:0 >>a:50:50 >>(other):9:9");
	assert_int_equal(t->folded_nodes, 4);
	assert_int_equal(t->folded_total[0], 9);
}

static void keeps_kinds_and_modules_apart(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	struct ap_tree_symbol s = {.name = AP_STR("f"), .module = AP_STR("m")};
	uint32_t ids[4];

	assert_int_equal(ap_tree_symbol(b, &s, &ids[0]), 0);
	s.kind = AP_FRAME_INLINED;
	assert_int_equal(ap_tree_symbol(b, &s, &ids[1]), 0);
	s.module = AP_STR("n");
	assert_int_equal(ap_tree_symbol(b, &s, &ids[2]), 0);
	s.file = AP_STR("f.c");
	assert_int_equal(ap_tree_symbol(b, &s, &ids[3]), 0);
	assert_true(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
	assert_int_equal(ids[2], ids[3]);
	s.kind = AP_FRAME_KIND_MAX;
	assert_int_equal(ap_tree_symbol(b, &s, &ids[0]), -EINVAL);
}

static void refuses_unknown_symbols_and_sides(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	uint32_t syms[2] = {symbol(b, "main"), 77};

	assert_int_equal(ap_tree_add(b, syms, 2, 1, 0), -EINVAL);
	assert_int_equal(ap_tree_add(b, syms, 1, 1, 2), -EINVAL);
}

static void diff_holds_both_sides(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL, *a_only = NULL;

	add(b, "main;a", 1000, 0);
	add(b, "main;b", 1000, 0);
	add(b, "main;b", 9, 1);
	add(b, "main;c", 1, 1);
	assert_int_equal(ap_tree_finish(b, 0, true, &t), 0);
	assert_tree(t, 0, "all:2000:0 >main:2000:0 >>b:1000:1000 >>a:1000:1000 >>c:0:0");
	assert_tree(t, 1, "all:10:0 >main:10:0 >>b:9:9 >>a:0:0 >>c:1:1");
	assert_int_equal(ap_tree_finish(b, 0, false, &a_only), 0);
	assert_tree(a_only, 0, "all:2000:0 >main:2000:0 >>a:1000:1000 >>b:1000:1000");
}

static void sums_saturate(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;

	add(b, "a", UINT64_MAX - 1, 0);
	add(b, "a", 7, 0);
	add(b, "b", 7, 0);
	assert_int_equal(ap_tree_finish(b, 0, false, &t), 0);
	assert_true(t->total[0][0] == UINT64_MAX && t->total[0][1] == UINT64_MAX);
}

static void a_very_deep_stack_is_safe(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	enum { DEPTH = 500000 };
	_cleanup_free_ uint32_t *syms = calloc(DEPTH, sizeof(*syms));

	symbol(b, "recurse");
	assert_int_equal(ap_tree_add(b, syms, DEPTH, 1, 0), 0);
	assert_int_equal(ap_tree_finish(b, AP_TREE_NODES_MAX, false, &t), 0);
	assert_int_equal(t->n, DEPTH + 1);
	assert_int_equal(t->depth[DEPTH], DEPTH);
	assert_int_equal(t->self[0][DEPTH], 1);
}

/* Whatever the limit: at most that many nodes, selfs and folded sums add up to every total, and
 * children never exceed their parents. */
static void assert_exact(const struct ap_tree *t, uint32_t max_nodes, uint64_t sum, int side)
{
	_cleanup_free_ uint64_t *below = calloc(t->n, sizeof(*below));
	_cleanup_free_ uint32_t *path = calloc(t->n + 1, sizeof(*path));
	uint64_t other = 0;

	assert_true(t->n <= max_nodes);
	assert_true(t->total[side][0] == sum);
	for (uint32_t i = 0; i < t->n; i++) {
		assert_true(i == 0 ? t->depth[i] == 0
				   : t->depth[i] >= 1 && t->depth[i] <= t->depth[i - 1] + 1);
		path[t->depth[i]] = i;
		for (uint32_t d = 0; d <= t->depth[i]; d++)
			below[path[d]] += t->self[side][i];
		if (ap_str_is(t->strings[t->name[i]], "(other)"))
			other += t->total[side][i];
	}
	for (uint32_t i = 0; i < t->n; i++)
		assert_true(below[i] == t->total[side][i]);
	assert_true(other == t->folded_total[side]);
}

static void random_trees_stay_exact_at_any_limit(void **state)
{
	uint64_t seed = 88172645463325252ull;

	for (int round = 0; round < 30; round++) {
		_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b =
			ap_tree_builder_new();
		_cleanup_(ap_cleanup_tree) struct ap_tree *whole = NULL;
		uint64_t sum[2] = {0};
		uint32_t syms[12];
		char name[8];

		for (int i = 0; i < 9; i++) {
			snprintf(name, sizeof(name), "f%d", i);
			symbol(b, name);
		}
		for (int i = 0; i < 400; i++) {
			uint32_t n = 0;

			seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
			while (n < seed % 12) {
				syms[n] = (uint32_t)(seed >> (n * 4)) % 9;
				n++;
			}
			assert_int_equal(ap_tree_add(b, syms, n, seed % 1000, i & 1), 0);
			sum[i & 1] += seed % 1000;
		}
		assert_int_equal(ap_tree_finish(b, 100000, true, &whole), 0);
		for (uint32_t max = 2; max < whole->n + 50; max += 1 + max / 3) {
			_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
			uint32_t others = 0;

			assert_int_equal(ap_tree_finish(b, max, true, &t), 0);
			assert_exact(t, max, sum[0], 0);
			assert_exact(t, max, sum[1], 1);
			for (uint32_t i = 0; i < t->n; i++)
				others += ap_str_is(t->strings[t->name[i]], "(other)");
			assert_int_equal(t->n - others + t->folded_nodes, whole->n);
		}
	}
}

static void assert_same_tree(const struct ap_tree *a, const struct ap_tree *b)
{
	assert_int_equal(a->n, b->n);
	assert_int_equal(a->folded_nodes, b->folded_nodes);
	for (uint32_t i = 0; i < a->n; i++) {
		assert_int_equal(a->depth[i], b->depth[i]);
		assert_true(ap_str_eq(a->strings[a->name[i]], b->strings[b->name[i]]));
		for (int s = 0; s < 2; s++) {
			assert_int_equal(a->total[s][i], b->total[s][i]);
			assert_int_equal(a->self[s][i], b->self[s][i]);
		}
	}
}

/* Adds every third of the stacks on both sides: as a value over its path in `all`. */
static struct ap_tree_builder *values_over(const struct ap_tree_builder *all, const uint32_t *paths,
					   uint32_t n, bool chains)
{
	struct ap_tree_builder *over = ap_tree_builder_over(all);
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;

	assert_non_null(over);
	for (uint32_t i = 0; i < n; i += 3)
		assert_int_equal(ap_tree_add_path(over, paths[i], i, i & 1), 0);
	assert_int_equal(ap_tree_finish(over, 0, true, &t), -EINVAL);
	assert_int_equal(ap_tree_gather(over, chains), 0);
	return over;
}

/* The same stacks added at once, and as values over paths that were there before, among others. */
static void adds_values_to_paths_of_another(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *all = ap_tree_builder_new();
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *one = ap_tree_builder_new();
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *nodes = NULL, *chains = NULL;
	uint32_t in_all[16], in_one[16], paths[500], random = 7;
	uint8_t stacks[500][10];

	for (uint32_t i = 0; i < 16; i++) {
		char name[8];

		snprintf(name, sizeof(name), "f%u", i);
		symbol(one, "only here");
		in_all[i] = symbol(all, name);
		in_one[i] = symbol(one, name);
	}
	for (uint32_t i = 0; i < 500; i++) {
		uint32_t syms[10];

		for (uint32_t k = 0; k < 10; k++) {
			random = random * 1664525 + 1013904223;
			stacks[i][k] = (uint8_t)(random >> (k < 6 ? 30 : 28));
			syms[k] = in_all[stacks[i][k]];
		}
		assert_int_equal(ap_tree_path(all, syms, i % 11, &paths[i]), 0);
	}
	for (uint32_t i = 0; i < 500; i += 3) {
		uint32_t syms[10];

		for (uint32_t k = 0; k < 10; k++)
			syms[k] = in_one[stacks[i][k]];
		assert_int_equal(ap_tree_add(one, syms, i % 11, i, i & 1), 0);
	}
	nodes = values_over(all, paths, 500, false);
	chains = values_over(all, paths, 500, true);
	for (uint32_t max = 0; max < 600; max += max < 60 ? 1 : 37) {
		_cleanup_(ap_cleanup_tree) struct ap_tree *a = NULL, *b = NULL, *c = NULL;

		assert_int_equal(ap_tree_finish(nodes, max, true, &a), 0);
		assert_int_equal(ap_tree_finish(chains, max, true, &b), 0);
		assert_int_equal(ap_tree_finish(one, max, true, &c), 0);
		assert_same_tree(a, c);
		assert_same_tree(b, c);
	}
	assert_int_equal(ap_tree_add_path(all, 1, 1, 0), -EINVAL);
	assert_int_equal(ap_tree_add_path(nodes, 1, 1, 0), -EINVAL);
	assert_int_equal(ap_tree_add(nodes, in_all, 1, 1, 0), -EINVAL);
}

static void takes_values_for_its_paths_alone(void **state)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *all = ap_tree_builder_new();
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *over = NULL;
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	uint32_t sym = symbol(all, "main"), path;

	assert_int_equal(ap_tree_path(all, &sym, 1, &path), 0);
	over = ap_tree_builder_over(all);
	assert_int_equal(ap_tree_add_path(over, UINT32_MAX, 1, 0), -EINVAL);
	assert_int_equal(ap_tree_add_path(over, path + 1, 1, 0), -EINVAL);
	assert_int_equal(ap_tree_add_path(over, path, 1, 2), -EINVAL);
	assert_int_equal(ap_tree_add_path(over, path, UINT64_MAX, 0), 0);
	assert_int_equal(ap_tree_add_path(over, path, 1, 0), 0);
	assert_int_equal(ap_tree_add_path(over, 0, 1, 0), 0);
	assert_int_equal(ap_tree_gather(over, true), 0);
	assert_int_equal(ap_tree_finish(over, 0, false, &t), 0);
	assert_int_equal(t->n, 2);
	assert_int_equal(t->total[0][1], UINT64_MAX);
	assert_int_equal(t->self[0][0], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(builds_a_sorted_tree),
		cmocka_unit_test(adds_values_to_paths_of_another),
		cmocka_unit_test(takes_values_for_its_paths_alone),
		cmocka_unit_test(folds_the_smallest_into_other),
		cmocka_unit_test(keeps_kinds_and_modules_apart),
		cmocka_unit_test(refuses_unknown_symbols_and_sides),
		cmocka_unit_test(diff_holds_both_sides),
		cmocka_unit_test(sums_saturate),
		cmocka_unit_test(a_very_deep_stack_is_safe),
		cmocka_unit_test(random_trees_stay_exact_at_any_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

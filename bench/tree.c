/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "bench.h"
#include "profile/tree.h"

void bench_tree(void)
{
	enum { ROWS = 50000, ROUNDS = 9 };
	const struct ap_profile_type *type = ap_profile_type_find(AP_STR("cpu:nanoseconds"));
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = bench_profile(1, ROWS, 0, 10, 1);
	uint64_t ns[ROUNDS];
	uint32_t nodes = 0;
	double median;

	for (int i = 0; i < ROUNDS; i++) {
		_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
		uint64_t begin = ap_clock_mono_ns();

		if (ap_tree_from_profile(p, type, AP_TREE_NODES_DEFAULT, &t) < 0)
			bench_fail("tree", "out of memory");
		ns[i] = ap_clock_mono_ns() - begin;
		nodes = t->n;
	}
	median = bench_quantile_ms(ns, ROUNDS, 0.5);
	bench_report("tree", "\"rows\":%d,\"nodes\":%" PRIu32 ",\"ms\":%.2f,\"ns_per_row\":%.0f",
		     ROWS, nodes, median, median * 1e6 / ROWS);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* aperture-bench [NAME…]: runs all benchmarks, or those named. */
#include <stdio.h>

#include "bench.h"

static const struct {
	const char *name, *text;
	void (*run)(void);
} benches[] = {
	{"tree", "a call tree from stacks", bench_tree},
	{"wire", "batches to bytes and back", bench_wire},
	{"syscall", "what counting system calls adds to one (root)", bench_syscall},
	{"unwind", "unwind tables of installed files", bench_unwind},
	{"rollup", "long ranges with and without sums by hour and day", bench_rollup},
	{"store", "ingest into the store, then queries", bench_store},
};

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(name, argv[i]) == 0)
			return true;
	return argc < 2;
}

int main(int argc, char **argv)
{
	int ran = 0;

	for (size_t i = 0; i < AP_ARRAY_SIZE(benches); i++) {
		if (!wanted(benches[i].name, argc, argv))
			continue;
		benches[i].run();
		ran++;
	}
	if (ran >= AP_MAX(argc - 1, 1))
		return 0;
	fprintf(stderr, "usage: aperture-bench [NAME…]\n");
	for (size_t i = 0; i < AP_ARRAY_SIZE(benches); i++)
		fprintf(stderr, "  %-8s %s\n", benches[i].name, benches[i].text);
	return 2;
}

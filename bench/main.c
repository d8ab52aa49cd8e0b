/* SPDX-License-Identifier: Apache-2.0 */
/* aperture-bench [NAME…]: runs all benchmarks, or those named. */
#include <stdarg.h>
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
	{"store", "ingest into the embedded store, then queries", bench_store},
};

void bench_report(const char *name, const char *fmt, ...)
{
	va_list ap;

	printf("{\"bench\":\"%s\",", name);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("}\n");
	fflush(stdout);
}

void bench_fail(const char *what, const char *why)
{
	fprintf(stderr, "aperture-bench: %s: %s\n", what, why);
	exit(1);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

double bench_quantile_ms(uint64_t *ns, size_t n, double q)
{
	qsort(ns, n, sizeof(*ns), compare_u64);
	return (double)ns[AP_MIN((size_t)(q * (double)n), n - 1)] / 1e6;
}

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

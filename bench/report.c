/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>

#include "bench.h"

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

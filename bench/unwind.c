/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>

#include "bench.h"
#include "unwind/table.h"

static void measure(const char *path)
{
	enum { ROUNDS = 9 };
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct ap_unwind_table shape = {0};
	uint64_t ns[ROUNDS], begin;
	double median;

	if (fd < 0)
		bench_fail(path, strerror(errno));
	for (int i = 0; i < ROUNDS; i++) {
		_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
		int err;

		begin = ap_clock_mono_ns();
		err = ap_unwind_table_build(fd, &t);
		ns[i] = ap_clock_mono_ns() - begin;
		if (err < 0)
			bench_fail(path, strerror(-err));
		shape = *t;
	}
	median = bench_quantile_ms(ns, ROUNDS, 0.5);
	bench_report("unwind",
		     "\"file\":\"%s\",\"functions\":%" PRIu32 ",\"rows\":%" PRIu32
		     ",\"rules\":%" PRIu32 ",\"bytes\":%zu,\"bytes_per_row\":%.2f,\"ms\":%.2f",
		     strrchr(path, '/') + 1, shape.n_functions, shape.n_rows, shape.n_rules,
		     shape.n_words * sizeof(*shape.words),
		     (double)shape.n_words * sizeof(*shape.words) / shape.n_rows, median);
}

/* The unwind tables of well-known files, those that are installed. */
void bench_unwind(void)
{
	static const char *const patterns[] = {
		"/usr/lib/*-linux-gnu/libc.so.6",      "/usr/lib/*-linux-gnu/libcrypto.so.3",
		"/usr/lib/*-linux-gnu/libstdc++.so.6", "/usr/lib/*-linux-gnu/libLLVM-15.so.1",
		"/usr/lib/*-linux-gnu/libLLVM.so.*",   "/usr/bin/node"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(patterns); i++) {
		glob_t found;

		if (glob(patterns[i], 0, NULL, &found) == 0) {
			for (size_t k = 0; k < found.gl_pathc; k++)
				measure(found.gl_pathv[k]);
			globfree(&found);
		}
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where things are, by the word of others than the code under test. */
#ifndef AP_TESTS_SYMBOL_FIXTURE_H
#define AP_TESTS_SYMBOL_FIXTURE_H

#include <stdarg.h>
#include <unistd.h>

#include "../test.h"

static inline uint64_t fixture_scan(FILE *f, const char *name)
{
	char line[1024], symbol[1000], type;
	unsigned long long addr;
	uint64_t found = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%llx %c %999s", &addr, &type, symbol) == 3 &&
		    strcmp(symbol, name) == 0)
			found = addr;
	return found;
}

/* The address of a function in an ELF file, as nm(1) has it. */
static inline uint64_t fixture_address(const char *path, const char *name)
{
	char command[1024];
	uint64_t addr;
	FILE *f;

	snprintf(command, sizeof(command), "nm '%s'", path);
	f = popen(command, "r");
	addr = fixture_scan(f, name);
	pclose(f);
	assert_true(addr != 0);
	return addr;
}

/* 0: not shown. */
static inline uint64_t fixture_kernel_address(const char *name)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	uint64_t addr = fixture_scan(f, name);

	fclose(f);
	return addr;
}

/* Removes folders below `dir`, innermost first, up to "" for `dir` itself. */
static inline void fixture_remove(const char *dir, ...)
{
	char path[1024];
	const char *sub;
	va_list ap;

	va_start(ap, dir);
	do {
		sub = va_arg(ap, const char *);
		snprintf(path, sizeof(path), "%s/%s", dir, sub);
		assert_int_equal(rmdir(path), 0);
	} while (sub[0]);
	va_end(ap);
}

#endif

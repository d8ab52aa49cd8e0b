/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/resident.h"

#include <stdbool.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../test.h"

#define BYTES (4u << 20)

/* Resident bytes of the mapping that begins at `p`. */
static size_t resident(const void *p)
{
	FILE *f = fopen("/proc/self/smaps", "re");
	bool mine = false;
	char line[8192];
	size_t kb = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			mine = start == (unsigned long)p;
		else if (mine && sscanf(line, "Rss: %zu kB", &kb) == 1)
			break;
	}
	fclose(f);
	return kb << 10;
}

static void pages_of_files_go_and_come_back(void **state)
{
	FILE *f = tmpfile();
	const uint8_t *p;
	uint8_t *own;
	size_t sum = 0;

	assert_non_null(f);
	for (size_t i = 0; i < BYTES; i++)
		fputc((int)(i >> 12), f);
	fflush(f);
	p = mmap(NULL, BYTES, PROT_READ, MAP_SHARED, fileno(f), 0);
	own = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE, fileno(f), 0);
	assert_true(p != MAP_FAILED && own != MAP_FAILED);
	for (size_t i = 0; i < BYTES; i += 4096)
		sum += p[i], own[i] = 77;
	assert_int_equal(resident(p), BYTES);
	ap_resident_release();
	assert_true(resident(p) < BYTES / 4);
	for (size_t i = 0; i < BYTES; i += 4096) {
		assert_int_equal(own[i], 77);
		sum -= p[i];
	}
	assert_int_equal(sum, 0);
	munmap((void *)p, BYTES);
	munmap(own, BYTES);
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pages_of_files_go_and_come_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

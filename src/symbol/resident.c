/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/resident.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#define LINE_BYTES 8192 /* longer than any path */

void ap_resident_release(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[LINE_BYTES];

	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		char mode[5];

		/* A file's path begins with a slash; BPF maps and the like have none. */
		if (sscanf(line, "%lx-%lx %4s", &start, &end, mode) == 3 &&
		    strcmp(mode, "r--s") == 0 && strchr(line, '/'))
			madvise((void *)start, end - start, MADV_DONTNEED); /* NOLINT */
	}
	fclose(f);
}

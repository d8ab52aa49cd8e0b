/* SPDX-License-Identifier: Apache-2.0 */
/* What fuzz targets share: a file, and a folder, for parsers that read one. */
#ifndef AP_FUZZ_SCRATCH_H
#define AP_FUZZ_SCRATCH_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/io.h"

static inline void must(bool holds)
{
	if (!holds)
		abort();
}

/* A file in memory with these bytes, the same one each time. */
static inline int scratch_file(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz", MFD_CLOEXEC);
	must(fd >= 0 && ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0 &&
	     ap_write_all(fd, data, size) == 0);
	return fd;
}

static char scratch[40]; /* the folder; "": not made yet */

static inline void scratch_remove(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	must(system(command) == 0);
}

/* Makes the folder, which goes when the target ends. */
static inline void scratch_make(void)
{
	strcpy(scratch, "/dev/shm/aperture-fuzz-XXXXXX");
	must(mkdtemp(scratch));
	atexit(scratch_remove);
}

#endif

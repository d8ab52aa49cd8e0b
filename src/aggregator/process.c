/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/process.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/macro.h"

enum { ARENAS_MIN = 2, MAPPED_BYTES = 1 << 20 };

/* An agent's connection is a file, and the limit that services get by default is 1,024. */
static void allow_many_connections(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

/* A batch is made by one thread and freed by another, much later. With eight arenas a CPU, which is glibc's
 * default, what is free in one serves no other; and a block of rows is large, so its pages are better given back
 * at once. */
static void limit_heap(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	mallopt(M_ARENA_MAX, (int)AP_MAX(cpus, (long)ARENAS_MIN));
	mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
}

void ap_process_prepare(void)
{
	allow_many_connections();
	limit_heap();
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/macro.h"

/* Whether the thread has that name; one that has ended has none. */
static bool is_named(const char *tid, const char *name)
{
	char path[64], comm[17] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%.16s/comm", tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, comm, sizeof(comm) - 1);
	close(fd);
	return n > 0 && comm[n - 1] == '\n' && strlen(name) == (size_t)n - 1 &&
	       memcmp(comm, name, (size_t)n - 1) == 0;
}

int ap_thread_nice(const char *name, int nice)
{
	DIR *d = opendir("/proc/self/task");
	struct dirent *entry;
	int n = 0;

	if (!d)
		return -errno;
	while (n >= 0 && (entry = readdir(d))) {
		if (!is_named(entry->d_name, name))
			continue;
		if (setpriority(PRIO_PROCESS, (id_t)strtoul(entry->d_name, NULL, 10), nice) == 0)
			n++;
		else if (errno != ESRCH)
			n = -errno;
	}
	closedir(d);
	return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/cgroup_procs.h"

struct seen {
	int32_t pids[8];
	uint32_t n;
};

static void note(void *ctx, int32_t pid)
{
	struct seen *s = ctx;

	assert_true(s->n < 8);
	s->pids[s->n++] = pid;
}

static void put(int at, const char *folder, const char *procs)
{
	char path[128];
	int fd;

	if (folder[0])
		assert_int_equal(mkdirat(at, folder, 0700), 0);
	snprintf(path, sizeof(path), "%s%scgroup.procs", folder, folder[0] ? "/" : "");
	fd = openat(at, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, procs, strlen(procs)), (ssize_t)strlen(procs));
	close(fd);
}

static void finds_processes_of_all_levels(void **state)
{
	char template[] = "/tmp/ap-cgroup-XXXXXX", command[64];
	struct seen all = {0}, some = {0};
	int fd;

	assert_non_null(mkdtemp(template));
	fd = open(template, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	put(fd, "", "1\n22\n");
	put(fd, "a.service", "0\nnonsense\n99999999999\n333\n"); /* 0: outside our pid namespace */
	put(fd, "a.service/b", "4444");
	put(fd, "empty", "");
	assert_int_equal(symlinkat("..", fd, "loop"), 0);
	assert_int_equal(ap_cgroup_procs(fd, 8, note, &all), 4);
	assert_int_equal(all.pids[0], 1);
	assert_int_equal(all.pids[1], 22);
	assert_int_equal(all.pids[2] + all.pids[3], 333 + 4444);
	assert_int_equal(ap_cgroup_procs(fd, 1, note, &some), 1);
	assert_int_equal(some.n, 1);
	close(fd);
	snprintf(command, sizeof(command), "rm -r %s", template);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_processes_of_all_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

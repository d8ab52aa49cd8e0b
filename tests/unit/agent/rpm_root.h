/* SPDX-License-Identifier: Apache-2.0 */
/* A folder that stands for a host's root, with rpm's database in it. */
#ifndef AP_TESTS_UNIT_AGENT_RPM_ROOT_H
#define AP_TESTS_UNIT_AGENT_RPM_ROOT_H

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "../test.h"
#include "agent/rpm.h"
#include "base/io.h"

static char root[64];

static inline void make_root(void)
{
	snprintf(root, sizeof(root), "/tmp/ap-rpm-XXXXXX");
	assert_non_null(mkdtemp(root));
}

static inline int remove_root(void **state)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

/* As if nobody had written to the database for an hour. */
static inline void let_rest(const char *at)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	struct dirent *e;
	char dir[300];
	DIR *d;

	clock_gettime(CLOCK_REALTIME, &times[1]);
	times[1].tv_sec -= 3600;
	snprintf(dir, sizeof(dir), "%s/var/lib/rpm", at);
	d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d)))
		assert_int_equal(utimensat(dirfd(d), e->d_name, times, 0), 0);
	closedir(d);
}

/* A version, or with an error NULL. */
static inline void expect_of(const char *at, const char *path, int error, const char *version)
{
	_cleanup_free_ char *found = NULL;

	assert_int_equal(ap_rpm_version(at, path, &found), error);
	if (version)
		assert_string_equal(found, version);
	else
		assert_null(found);
}

static inline void expect(const char *path, const char *version)
{
	let_rest(root);
	expect_of(root, path, version ? 0 : -ENOENT, version);
}

/* A descriptor that holds rpm's lock as in a transaction; to close. */
static inline int lock_like_rpm(const char *at)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s/var/lib/rpm/.rpm.lock", at);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
	return fd;
}

#endif

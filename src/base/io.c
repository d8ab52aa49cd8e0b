/* SPDX-License-Identifier: Apache-2.0 */
#include "base/io.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

int ap_read_fd(int fd, size_t max, struct ap_buf *ret)
{
	size_t start = ret->n;

	for (;;) {
		size_t have = ret->n - start;
		/* One byte past the bound, to tell "exactly max" from "more". */
		size_t want = AP_MIN((size_t)16384, max - have + 1);
		uint8_t *p = ap_buf_reserve(ret, want);
		ssize_t r;

		if (!p)
			return -ENOMEM;
		r = read(fd, p, want);
		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return 0;
		ret->n += (size_t)r;
		if (ret->n - start > max)
			return -EFBIG;
	}
}

int ap_read_file(int dirfd, const char *path, size_t max, struct ap_buf *ret)
{
	_cleanup_fd_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return ap_read_fd(fd, max, ret);
}

int ap_read_at(int fd, uint64_t offset, void *p, size_t n)
{
	size_t done = 0;

	if (!ap_range_ok(offset, n, INT64_MAX))
		return -ENODATA;
	while (done < n) {
		ssize_t k = pread(fd, (char *)p + done, n - done, (off_t)(offset + done));

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? -errno : -ENODATA;
		done += (size_t)k;
	}
	return 0;
}

int ap_write_all(int fd, const void *p, size_t n)
{
	const uint8_t *q = p;

	while (n) {
		ssize_t r = write(fd, q, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		q += r;
		n -= (size_t)r;
	}
	return 0;
}

static int sync_parent(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	_cleanup_fd_ int fd = -1;

	if (!slash)
		snprintf(dir, sizeof(dir), ".");
	else
		snprintf(dir, sizeof(dir), "%.*s", (int)AP_MAX(slash - path, (ptrdiff_t)1), path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) < 0)
		return -errno;
	return 0;
}

int ap_write_file_atomic(const char *path, const void *p, size_t n, unsigned int mode, bool durable)
{
	char tmp[PATH_MAX];
	_cleanup_fd_ int fd = -1;
	int r;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp.%d", path, (int)getpid()) >= sizeof(tmp))
		return -ENAMETOOLONG;
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	r = ap_write_all(fd, p, n);
	if (r == 0 && durable && fsync(fd) < 0)
		r = -errno;
	if (r == 0 && rename(tmp, path) < 0)
		r = -errno;
	if (r < 0) {
		unlink(tmp);
		return r;
	}
	return durable ? sync_parent(path) : 0;
}

int ap_mkdir_all(const char *path, unsigned int mode)
{
	char buf[PATH_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(buf))
		return n ? -ENAMETOOLONG : -EINVAL;
	memcpy(buf, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (buf[i] != '/' && buf[i] != '\0')
			continue;
		buf[i] = '\0';
		if (mkdir(buf, mode) < 0 && errno != EEXIST)
			return -errno;
		if (i < n)
			buf[i] = '/';
	}
	return 0;
}

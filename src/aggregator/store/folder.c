/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/folder.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>

#include "aggregator/store/store.h"
#include "base/io.h"

enum { NUMBER_FILE_MAX = 32 };

static int take_lock(const char *folder, const char *path, int fd, struct ap_error *err)
{
	char pid[32];
	ssize_t n;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		n = pread(fd, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? n : 0] = '\0';
		return ap_error_set(
			err, -EBUSY,
			"the data folder %s is in use by another aggregator (process %s): "
			"stop that one, or choose another folder with --data-dir",
			folder, pid[0] ? pid : "unknown");
	}
	n = snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
		return ap_error_set(err, -EIO, "%s cannot be written: %s", path,
				    ap_strerror(errno));
	return 0;
}

int ap_folder_lock(const char *folder, int *ret_fd, struct ap_error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fd_ int fd = -1;
	int r = ap_mkdir_all(folder, 0750);

	if (r < 0)
		return ap_error_set(err, r,
				    "the data folder %s cannot be made (%s): choose another with "
				    "--data-dir",
				    folder, ap_strerror(r));
	if (asprintf(&path, "%s/lock", folder) < 0) {
		path = NULL;
		return ap_error_set(err, -ENOMEM, "out of memory");
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return ap_error_set(
			err, -errno,
			"the data folder %s cannot be written (%s): make it writable for "
			"this user, or choose another with --data-dir",
			folder, ap_strerror(errno));
	r = take_lock(folder, path, fd, err);
	if (r == 0)
		*ret_fd = AP_TAKE_FD(fd);
	return r;
}

/* A file of one number and a line end. -ENOENT: there is none; -EBADMSG: it is something else. */
static int read_number(const char *path, unsigned long max, unsigned long *ret,
		       struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0};
	unsigned long n;
	char *end;
	int r = ap_read_file(AT_FDCWD, path, NUMBER_FILE_MAX, &text);

	if (r == -ENOENT)
		return r;
	ap_buf_byte(&text, '\0');
	if (r < 0 || ap_buf_error(&text) < 0)
		return ap_error_set(err, r < 0 ? r : -ENOMEM, "%s cannot be read: %s", path,
				    ap_strerror(r));
	n = strtoul((const char *)text.p, &end, 10);
	if (end == (const char *)text.p || (*end && *end != '\n') || n == 0 || n > max)
		return -EBADMSG;
	*ret = n;
	return 0;
}

static int write_number(const char *path, unsigned long number, struct ap_error *err)
{
	char text[NUMBER_FILE_MAX];
	int n = snprintf(text, sizeof(text), "%lu\n", number);
	int r = ap_write_file_atomic(path, text, (size_t)n, 0600, true);

	return r < 0 ? ap_error_set(err, r, "%s cannot be written: %s", path, ap_strerror(r)) : 0;
}

static int choose_writer(const char *path, uint32_t *ret, struct ap_error *err)
{
	uint32_t id = 0;
	int r;

	while (id == 0) {
		if (getrandom(&id, sizeof(id), 0) != sizeof(id))
			return ap_error_set(err, -errno, "no random numbers: %s",
					    ap_strerror(errno));
		id &= AP_SEGMENT_WRITER_MAX;
	}
	r = write_number(path, id, err);
	if (r == 0)
		*ret = id;
	return r;
}

/* NULL = out of memory. */
static char *path_of(const char *folder, const char *name, struct ap_error *err)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, name) < 0) {
		ap_error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	return path;
}

int ap_folder_writer(const char *folder, uint32_t *ret, struct ap_error *err)
{
	_cleanup_free_ char *path = path_of(folder, "writer", err);
	unsigned long id;
	int r;

	if (!path)
		return -ENOMEM;
	r = read_number(path, AP_SEGMENT_WRITER_MAX, &id, err);
	if (r == -ENOENT)
		return choose_writer(path, ret, err);
	if (r == -EBADMSG)
		ap_error_set(err, r,
			     "%s does not hold this aggregator's number, 1 to %u: put it "
			     "back from a copy; the upper bits of the stored segments tell it",
			     path, AP_SEGMENT_WRITER_MAX);
	if (r == 0)
		*ret = (uint32_t)id;
	return r;
}

int ap_folder_session(const char *folder, uint64_t *ret, struct ap_error *err)
{
	_cleanup_free_ char *path = path_of(folder, "session", err);
	unsigned long number = 0;
	int r;

	if (!path)
		return -ENOMEM;
	r = read_number(path, ULONG_MAX - 1, &number, err);
	if (r == -EBADMSG)
		return ap_error_set(err, r,
				    "%s does not hold the number of the last session of inserts: "
				    "delete it when the ClickHouse server has been started again",
				    path);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret = number;
	return 0;
}

int ap_folder_set_session(const char *folder, uint64_t number, struct ap_error *err)
{
	_cleanup_free_ char *path = path_of(folder, "session", err);

	return path ? write_number(path, number, err) : -ENOMEM;
}

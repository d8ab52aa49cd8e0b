/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rpm.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/rpm_format.h"
#include "agent/rpm_header.h"
#include "base/clock.h"

#define FOLDER "/var/lib/rpm"
#define LOCK   ".rpm.lock"
/* Bytes of one header, the largest of which, of the kernel, have 3 MiB; and of headers that are gone through in one look-up,
 * in 0.1 s. */
#define HEADER_MAX ((size_t)64 << 20)
#define BYTES_MAX  ((size_t)256 << 20)

static const struct ap_rpm_format *const formats[] = {&ap_rpm_sqlite, &ap_rpm_ndb, &ap_rpm_bdb};

bool ap_rpm_places_add(struct ap_rpm_places *p, uint32_t package, uint32_t file)
{
	if (p->n == AP_RPM_PLACES_MAX)
		return false;
	p->at[p->n++] = (struct ap_rpm_place){package, file};
	return true;
}

int ap_rpm_open(const char *dir, const char *name)
{
	_cleanup_free_ char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

/* ---- Whether it is being changed. ---- */

/* The two files of a database at one time; all zeros for one that is not there. */
struct state {
	struct stat file[2];
};

/* False: there is no such database. */
static bool look(const char *dir, const struct ap_rpm_format *f, struct state *ret)
{
	const char *const names[] = {f->database, f->index};

	for (size_t i = 0; i < AP_ARRAY_SIZE(names); i++) {
		_cleanup_free_ char *path = NULL;

		if (asprintf(&path, "%s/%s", dir, names[i]) < 0) {
			path = NULL;
			return false;
		}
		if (stat(path, &ret->file[i]) < 0)
			ret->file[i] = (struct stat){0};
	}
	return S_ISREG(ret->file[0].st_mode);
}

/* Not by the time of a change of owner, which SQLite sets anew for a log that it opens. */
static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Times of files go on in steps of up to 10 ms: what has just been written may be written again without a trace. */
static bool just_written(const struct stat *file)
{
	int64_t ago = ap_clock_unix_ns() -
		      (int64_t)file->st_mtim.tv_sec * (int64_t)AP_NSEC_PER_SEC -
		      file->st_mtim.tv_nsec;

	return ago >= 0 && ago < (int64_t)AP_NSEC_PER_SEC;
}

/* rpm locks this file for as long as it installs or removes packages. Meanwhile new files stand where the database still
 * has the old package, and Berkeley DB keeps some of it in memory. */
static bool at_work(const char *dir)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	_cleanup_fd_ int fd = ap_rpm_open(dir, LOCK);

	return fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* ---- Looking up. ---- */

static int newest_first(const void *a, const void *b)
{
	const struct ap_rpm_place *x = a, *y = b;

	if (x->package != y->package)
		return x->package < y->package ? 1 : -1;
	return (x->file > y->file) - (x->file < y->file);
}

/* The version by the first of these places that is the path. */
static int try_places(const struct ap_rpm_format *f, void *db, const struct ap_rpm_places *places,
		      const char *path, char **ret)
{
	_cleanup_buf_ struct ap_buf header = {0};
	size_t left = BYTES_MAX;
	int r = -ENOENT;

	for (size_t i = 0; i < places->n && r == -ENOENT; i++) {
		const struct ap_rpm_place *at = &places->at[i];

		if (i == 0 || at->package != at[-1].package) {
			ap_buf_clear(&header);
			r = f->read(db, at->package, AP_MIN(left, HEADER_MAX), &header);
			if (r < 0)
				continue;
		}
		if (header.n > left)
			return -EFBIG;
		left -= header.n;
		r = ap_rpm_header_version(ap_buf_view(&header), at->file, path, ret);
	}
	return r;
}

static int find_version(const struct ap_rpm_format *f, const char *dir, const char *path,
			char **ret)
{
	struct ap_rpm_places places;
	void *db;
	int r;

	r = f->open(dir, &db);
	if (r < 0)
		return r;
	places.n = 0;
	r = f->find(db, ap_str_of(strrchr(path, '/') + 1), &places);
	if (r == 0) {
		qsort(places.at, places.n, sizeof(places.at[0]), newest_first);
		r = try_places(f, db, &places, path, ret);
	}
	f->close(db);
	return r;
}

static int find_unchanged(const struct ap_rpm_format *f, const char *dir, const char *path,
			  const struct state *before, char **ret)
{
	_cleanup_free_ char *version = NULL;
	struct state after;
	int r;

	if (at_work(dir) || just_written(&before->file[0]) || just_written(&before->file[1]))
		return -EAGAIN;
	r = find_version(f, dir, path, &version);
	if (at_work(dir) || !look(dir, f, &after) || !same_file(&before->file[0], &after.file[0]) ||
	    !same_file(&before->file[1], &after.file[1]))
		return -EAGAIN;
	if (r < 0)
		return r == -ENOMEM || r == -EAGAIN ? r : -ENOENT;
	*ret = AP_TAKE_PTR(version);
	return 0;
}

int ap_rpm_version(const char *root, const char *path, char **ret)
{
	_cleanup_free_ char *dir = NULL;
	struct state now;

	if (!strchr(path, '/'))
		return -ENOENT;
	if (asprintf(&dir, "%s" FOLDER, root) < 0) {
		dir = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; i < AP_ARRAY_SIZE(formats); i++) {
		if (look(dir, formats[i], &now))
			return find_unchanged(formats[i], dir, path, &now, ret);
	}
	return -ENOENT;
}

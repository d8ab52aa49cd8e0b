/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/debug_store.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "base/io.h"
#include "base/str.h"
#include "symbol/elf_file.h"

#define PATH_BYTES (PATH_MAX + 256)
#define ABSENT_S   (24 * 3600)
#define ABSENT_MAX 4096u
#define UNFINISHED "unfinished"
#define OPEN_FDS   8

static void path_of(const struct ap_debug_store *s, const char *build_id, char *to)
{
	snprintf(to, PATH_BYTES, "%s/.build-id/%.2s/%s.debug", s->dir, build_id, build_id + 2);
}

static void absent_path(const struct ap_debug_store *s, const char *build_id, char *to)
{
	snprintf(to, PATH_BYTES, "%s/absent/%s", s->dir, build_id);
}

static void unfinished_path(const struct ap_debug_store *s, char *to)
{
	snprintf(to, PATH_BYTES, "%s/" UNFINISHED, s->dir);
}

/* What nftw() finds, which takes no argument. */
static __thread struct {
	uint64_t bytes;
	time_t oldest;
	char path[PATH_BYTES]; /* of the oldest; "": none */
	uint32_t n;
} found;

static int look_at(const char *path, const struct stat *st, int type, struct FTW *w)
{
	time_t used = AP_MAX(st->st_atim.tv_sec, st->st_mtim.tv_sec);

	if (type != FTW_F)
		return 0;
	found.n++;
	found.bytes += (uint64_t)st->st_size;
	if (!found.path[0] || used < found.oldest) {
		found.oldest = used;
		snprintf(found.path, sizeof(found.path), "%s", path);
	}
	return 0;
}

/* The least recently used file below DIR/`sub`, and how much there is. */
static void survey(const struct ap_debug_store *s, const char *sub)
{
	char path[PATH_BYTES];

	memset(&found, 0, sizeof(found));
	snprintf(path, sizeof(path), "%s/%s", s->dir, sub);
	nftw(path, look_at, OPEN_FDS, FTW_PHYS);
}

/* A file that is in use stays so until it is closed. */
static void make_room(struct ap_debug_store *s, uint64_t need)
{
	for (;;) {
		survey(s, ".build-id");
		s->bytes = found.bytes;
		if (found.bytes + need <= s->max_bytes || !found.path[0] || unlink(found.path) < 0)
			return;
	}
}

static void forget_old_absences(struct ap_debug_store *s)
{
	for (;;) {
		survey(s, "absent");
		if (!found.path[0] ||
		    (found.n < ABSENT_MAX && time(NULL) - found.oldest < ABSENT_S) ||
		    unlink(found.path) < 0)
			return;
	}
}

int ap_debug_store_open(struct ap_debug_store *s, const char *dir, uint64_t max_bytes,
			struct ap_error *err)
{
	static const char *const subs[] = {".build-id", "absent"};
	char path[PATH_BYTES];

	*s = (struct ap_debug_store){.max_bytes = max_bytes};
	if (strlen(dir) >= sizeof(s->dir))
		return ap_error_set(err, -ENAMETOOLONG, "the folder's name is too long: %s", dir);
	strcpy(s->dir, dir);
	for (size_t i = 0; i < AP_ARRAY_SIZE(subs); i++) {
		int e;

		snprintf(path, sizeof(path), "%s/%s", dir, subs[i]);
		e = ap_mkdir_all(path, 0700);
		if (e < 0)
			return ap_error_set(err, e, "cannot make %s: %s", path, ap_strerror(e));
	}
	ap_debug_store_forget(s);
	make_room(s, 0);
	forget_old_absences(s);
	return 0;
}

int ap_debug_store_begin(struct ap_debug_store *s)
{
	char path[PATH_BYTES];
	int fd;

	unfinished_path(s, path);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? -errno : fd;
}

int ap_debug_store_keep(struct ap_debug_store *s, int fd, const char *build_id)
{
	char from[PATH_BYTES], to[PATH_BYTES];
	struct ap_elf elf;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size > s->max_bytes)
		return -EFBIG;
	if (ap_elf_read(fd, 0, AP_ELF_STRANGER, &elf) < 0 || strcmp(elf.build_id, build_id) != 0)
		return -EBADMSG;
	make_room(s, (uint64_t)st.st_size);
	unfinished_path(s, from);
	path_of(s, build_id, to);
	*strrchr(to, '/') = 0;
	if (mkdir(to, 0700) < 0 && errno != EEXIST)
		return -errno;
	path_of(s, build_id, to);
	if (rename(from, to) < 0)
		return -errno;
	s->bytes += (uint64_t)st.st_size;
	return 0;
}

void ap_debug_store_forget(struct ap_debug_store *s)
{
	char path[PATH_BYTES];

	unfinished_path(s, path);
	unlink(path);
}

bool ap_debug_store_has(const struct ap_debug_store *s, const char *build_id)
{
	char path[PATH_BYTES];

	path_of(s, build_id, path);
	return access(path, R_OK) == 0;
}

bool ap_debug_store_is_absent(const struct ap_debug_store *s, const char *build_id)
{
	char path[PATH_BYTES];
	struct stat st;

	absent_path(s, build_id, path);
	return stat(path, &st) == 0 && time(NULL) - st.st_mtim.tv_sec < ABSENT_S;
}

void ap_debug_store_note_absent(struct ap_debug_store *s, const char *build_id)
{
	char path[PATH_BYTES];
	_cleanup_fd_ int fd = -1;

	forget_old_absences(s);
	absent_path(s, build_id, path);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		futimens(fd, NULL);
}

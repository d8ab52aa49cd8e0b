/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/file.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <uthash.h>

#include "base/clock.h"

#define FILES_KEPT    4096 /* unused files are forgotten above this */
#define OPEN_AGAIN_NS AP_NSEC_PER_SEC

/* One of the names by which a file is found; a file may have several. */
struct file_key {
	UT_hash_handle hh;
	struct ap_file *file; /* a reference */
	uint32_t n;
	char bytes[];
};

struct ap_file_table {
	struct file_key *keys;
	struct ap_file *vdso;
	uint64_t next_serial, tick;
	uint32_t max_fds, open_fds;
	ap_file_fn watch;
	void *watch_ctx;
};

struct identity {
	uint64_t dev, inode, mtime, size;
};

struct ap_file_table *ap_file_table_new(uint32_t max_fds)
{
	struct ap_file_table *t = calloc(1, sizeof(*t));

	if (t) {
		t->next_serial = 1;
		t->max_fds = AP_MAX(max_fds, 1u);
	}
	return t;
}

void ap_file_table_watch(struct ap_file_table *t, ap_file_fn fn, void *ctx)
{
	struct file_key *k, *next;

	t->watch = fn;
	t->watch_ctx = ctx;
	HASH_ITER(hh, t->keys, k, next)
		if (k->file->elf && k->file->fd >= 0 && !k->file->table_id)
			fn(ctx, k->file);
}

void ap_file_unref(struct ap_file *f)
{
	if (!f || __atomic_sub_fetch(&f->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f);
}

struct ap_file *ap_file_pin(struct ap_file *f)
{
	__atomic_add_fetch(&f->pins, 1, __ATOMIC_RELAXED);
	return ap_file_ref(f);
}

void ap_file_unpin(struct ap_file *f)
{
	__atomic_sub_fetch(&f->pins, 1, __ATOMIC_ACQ_REL);
	ap_file_unref(f);
}

static void drop_key(struct ap_file_table *t, struct file_key *k)
{
	HASH_DEL(t->keys, k);
	k->file->n_keys--;
	ap_file_unref(k->file);
	free(k);
}

void ap_file_table_free(struct ap_file_table *t)
{
	struct file_key *k, *next;

	if (!t)
		return;
	HASH_ITER(hh, t->keys, k, next)
		drop_key(t, k);
	ap_file_unref(t->vdso);
	free(t);
}

uint32_t ap_file_table_count(const struct ap_file_table *t)
{
	return HASH_COUNT(t->keys);
}

void ap_file_table_trim(struct ap_file_table *t)
{
	struct file_key *k, *next;

	if (HASH_COUNT(t->keys) <= FILES_KEPT)
		return;
	HASH_ITER(hh, t->keys, k, next) {
		if (__atomic_load_n(&k->file->refs, __ATOMIC_ACQUIRE) == k->file->n_keys)
			drop_key(t, k);
	}
}

static struct ap_file *find_key(struct ap_file_table *t, struct ap_str key)
{
	struct file_key *k;

	HASH_FIND(hh, t->keys, key.p, key.n, k);
	return k ? k->file : NULL;
}

static int add_key(struct ap_file_table *t, struct ap_str key, struct ap_file *f)
{
	struct file_key *k;

	if (find_key(t, key))
		return 0;
	k = calloc(1, sizeof(*k) + key.n);
	if (!k)
		return -ENOMEM;
	k->file = ap_file_ref(f);
	f->n_keys++;
	k->n = (uint32_t)key.n;
	memcpy(k->bytes, key.p, key.n);
	HASH_ADD(hh, t->keys, bytes[0], key.n, k);
	return 0;
}

/* Keys are a letter for their kind, the identity's bytes and the path. */
static struct ap_str make_key(char *buf, char kind, const void *id, size_t id_bytes,
			      struct ap_str path)
{
	size_t n = AP_MIN(path.n, (size_t)PATH_MAX);

	buf[0] = kind;
	memcpy(buf + 1, id, id_bytes);
	if (n)
		memcpy(buf + 1 + id_bytes, path.p, n);
	return (struct ap_str){buf, 1 + id_bytes + n};
}

#define KEY_BYTES (1 + sizeof(struct identity) + AP_ELF_BUILD_ID_MAX + PATH_MAX)

/* Whether the descriptor is the file that was mapped. */
static bool is_source(int fd, const struct ap_file_source *s, const struct ap_elf_map *m, bool elf)
{
	struct stat st;

	if (s->build_id_bytes)
		return elf && m->build_id_bytes == s->build_id_bytes &&
		       memcmp(m->build_id, s->build_id, s->build_id_bytes) == 0;
	return s->inode == 0 || (fstat(fd, &st) == 0 && st.st_ino == s->inode);
}

/* Opens a regular file without ever waiting for it or becoming its reader in any other way. */
static int open_regular(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	return fd;
}

static void map_files_path(char *buf, size_t n, const struct ap_file_source *s)
{
	snprintf(buf, n, "/proc/%d/map_files/%llx-%llx", (int)s->pid, (unsigned long long)s->start,
		 (unsigned long long)s->end);
}

/* A file as it was found when it was opened. */
struct open_file {
	int fd; /* -1: cannot be had */
	bool elf;
	struct ap_elf_map map;
};

static struct open_file open_source(const struct ap_file_source *s)
{
	char path[PATH_MAX + 64];

	for (int way = 0; way < 3; way++) {
		_cleanup_fd_ int fd = -1;
		struct ap_elf_map map = {0};
		bool elf;

		if (way < 2 && s->pid <= 0)
			continue;
		if (way == 0)
			map_files_path(path, sizeof(path), s);
		else if (way == 1)
			snprintf(path, sizeof(path), "/proc/%d/root%.*s", (int)s->pid,
				 AP_STR_ARG(s->path));
		else
			snprintf(path, sizeof(path), "%.*s", AP_STR_ARG(s->path));
		fd = open_regular(path);
		if (fd < 0)
			continue;
		elf = ap_elf_map_read(fd, &map) == 0;
		if (is_source(fd, s, &map, elf))
			return (struct open_file){AP_TAKE_FD(fd), elf, map};
	}
	return (struct open_file){.fd = -1};
}

/* Closes the descriptor that was used least recently, of those that nobody has pinned. */
static void close_oldest(struct ap_file_table *t)
{
	struct file_key *k, *next;
	struct ap_file *oldest = NULL;
	uint32_t open_fds = 0;

	HASH_ITER(hh, t->keys, k, next) {
		struct ap_file *f = k->file;

		if (f->fd < 0)
			continue;
		open_fds++;
		if (__atomic_load_n(&f->pins, __ATOMIC_ACQUIRE) == 0 &&
		    (!oldest || f->used < oldest->used))
			oldest = f;
	}
	t->open_fds = open_fds;
	if (open_fds <= t->max_fds || !oldest)
		return;
	close(oldest->fd);
	oldest->fd = -1;
	t->open_fds--;
}

static struct ap_file *new_file(struct ap_file_table *t, struct ap_str path)
{
	struct ap_file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->path = ap_str_dup(path);
	if (!f->path) {
		free(f);
		return NULL;
	}
	f->fd = -1;
	f->refs = 1;
	f->serial = t->next_serial++;
	return f;
}

static struct identity source_identity(const struct ap_file_source *s)
{
	struct identity id = {.dev = s->dev, .inode = s->inode};
	char path[128];
	struct stat st;

	if (s->pid <= 0)
		return id;
	map_files_path(path, sizeof(path), s);
	if (stat(path, &st) < 0)
		return id;
	id.dev = st.st_dev;
	id.inode = st.st_ino;
	id.mtime = (uint64_t)st.st_mtim.tv_sec * 1000000000ull + (uint64_t)st.st_mtim.tv_nsec;
	id.size = (uint64_t)st.st_size;
	return id;
}

static void adopt(struct ap_file_table *t, struct ap_file *f, const struct open_file *o)
{
	f->fd = o->fd;
	f->elf = o->elf;
	f->map = o->map;
	f->wanted = false;
	f->used = ++t->tick;
	if (++t->open_fds > t->max_fds)
		close_oldest(t);
}

/* Opens a file seen for the first time; `key` is the one by which it was not found. */
static struct ap_file *add_file(struct ap_file_table *t, const struct ap_file_source *s,
				struct ap_str key)
{
	struct open_file o = open_source(s);
	struct ap_file *f = NULL;
	char by_id[KEY_BYTES];
	struct ap_str id_key = {0};

	if (o.fd < 0 && s->build_id_bytes) {
		o.map.build_id_bytes = s->build_id_bytes;
		memcpy(o.map.build_id, s->build_id, s->build_id_bytes);
	}
	if (o.map.build_id_bytes) {
		id_key = make_key(by_id, 'B', o.map.build_id, o.map.build_id_bytes, s->path);
		f = ap_file_ref(find_key(t, id_key));
	}
	if (!f) {
		f = new_file(t, s->path);
		if (f)
			f->map = o.map;
	}
	if (!f || add_key(t, key, f) < 0 || (id_key.n && add_key(t, id_key, f) < 0)) {
		ap_cleanup_fd(&o.fd);
		ap_file_unref(f);
		return NULL;
	}
	f->tried = ap_clock_mono_ns();
	if (f->fd < 0 && o.fd >= 0)
		adopt(t, f, &o);
	else
		ap_cleanup_fd(&o.fd);
	return f;
}

/* Opens a file again whose descriptor is closed. */
static void reopen(struct ap_file_table *t, struct ap_file *f, const struct ap_file_source *s)
{
	uint64_t now = ap_clock_mono_ns();
	struct open_file o;

	if (now - f->tried < OPEN_AGAIN_NS)
		return;
	f->tried = now;
	o = open_source(s);
	if (o.fd >= 0 && o.map.build_id_bytes == f->map.build_id_bytes &&
	    memcmp(o.map.build_id, f->map.build_id, o.map.build_id_bytes) == 0)
		adopt(t, f, &o);
	else
		ap_cleanup_fd(&o.fd);
}

struct ap_file *ap_file_table_get(struct ap_file_table *t, const struct ap_file_source *source)
{
	static const char deleted[] = " (deleted)";
	struct ap_file_source s = *source;
	char buf[KEY_BYTES];
	struct identity id;
	struct ap_file *f;
	struct ap_str key;
	bool was_open;

	if (ap_str_ends(s.path, AP_STR(" (deleted)")))
		s.path.n -= sizeof(deleted) - 1;
	s.build_id_bytes = AP_MIN(s.build_id_bytes, (uint32_t)AP_ELF_BUILD_ID_MAX);
	if (s.build_id_bytes) {
		key = make_key(buf, 'B', s.build_id, s.build_id_bytes, s.path);
	} else {
		id = source_identity(&s);
		key = make_key(buf, 'I', &id, sizeof(id), s.path);
	}
	f = ap_file_ref(find_key(t, key));
	was_open = f && f->fd >= 0;
	if (!f)
		f = add_file(t, &s, key);
	else if (!was_open && (f->wanted || !f->elf || (s.needed && !f->table_id)))
		reopen(t, f, &s);
	if (!f)
		return NULL;
	f->used = ++t->tick;
	if (s.needed && f->elf && f->fd >= 0 && !(was_open && f->table_id) && t->watch)
		t->watch(t->watch_ctx, f);
	return f;
}

/* The image's size is not said anywhere: it ends with its section headers. */
static size_t vdso_size(const uint8_t *image)
{
	const Elf64_Ehdr *eh = (const void *)image;

	return eh->e_shoff + (size_t)eh->e_shentsize * eh->e_shnum;
}

struct ap_file *ap_file_table_vdso(struct ap_file_table *t)
{
	const uint8_t *image = (const void *)getauxval(AT_SYSINFO_EHDR); /* NOLINT */
	struct ap_file *f;

	if (t->vdso)
		return ap_file_ref(t->vdso);
	f = new_file(t, AP_STR("[vdso]"));
	if (!f)
		return NULL;
	f->fd = image ? memfd_create("vdso", MFD_CLOEXEC) : -1;
	if (f->fd >= 0 && (size_t)write(f->fd, image, vdso_size(image)) == vdso_size(image))
		f->elf = ap_elf_map_read(f->fd, &f->map) == 0;
	t->vdso = f;
	return ap_file_ref(f);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of this machine's own files, for a walker that is a list. */
#ifndef AP_TESTS_TABLES_FIXTURE_H
#define AP_TESTS_TABLES_FIXTURE_H

#include "../test.h"
#include "agent/tables.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/vec.h"

#define DEADLINE_NS (20 * AP_NSEC_PER_SEC)
#define ROOM	    (4u << 20) /* words, unless a test says less */

struct entry {
	UT_hash_handle hh;
	struct ap_file_key key;
	struct ap_file_ref ref;
};

struct fixture {
	pthread_mutex_t lock; /* guards the entries */
	struct entry *entries;
	size_t most; /* that there were at a time */
	uint32_t *words;
	struct ap_file_table *files;
	struct ap_tables *tables;
	char dir[32];
};

static inline struct entry *find(struct fixture *f, const struct ap_file_key *key)
{
	struct entry *e;

	HASH_FIND(hh, f->entries, key, sizeof(*key), e);
	return e;
}

static inline int set(void *ctx, const struct ap_file_key *key, const struct ap_file_ref *ref)
{
	struct fixture *f = ctx;
	struct entry *e;

	pthread_mutex_lock(&f->lock);
	e = find(f, key);
	if (!e) {
		e = calloc(1, sizeof(*e));
		assert_non_null(e);
		e->key = *key;
		HASH_ADD(hh, f->entries, key, sizeof(e->key), e);
	}
	e->ref = *ref;
	f->most = AP_MAX(f->most, HASH_COUNT(f->entries));
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static inline int forget(void *ctx, const struct ap_file_key *key)
{
	struct fixture *f = ctx;
	struct entry *e;

	pthread_mutex_lock(&f->lock);
	e = find(f, key);
	if (e)
		HASH_DEL(f->entries, e);
	pthread_mutex_unlock(&f->lock);
	free(e);
	return e ? 0 : -ENOENT;
}

/* What the walker knows of an inode; `file` 0: nothing, or that it is memory. */
static inline struct ap_file_ref known(struct fixture *f, const struct ap_file_key *key)
{
	struct ap_file_ref ref = {.flags = UINT32_MAX};
	struct entry *e;

	pthread_mutex_lock(&f->lock);
	e = find(f, key);
	if (e)
		ref = e->ref;
	pthread_mutex_unlock(&f->lock);
	return ref;
}

static inline void on_file(void *ctx, struct ap_file *file)
{
	struct fixture *f = ctx;

	ap_tables_add(f->tables, file, ap_clock_mono_ns());
}

static inline struct fixture *begin(uint32_t n_words, uint32_t max_fds)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct ap_tables_target target = {.set = set, .forget = forget, .ctx = f};

	assert_non_null(f);
	pthread_mutex_init(&f->lock, NULL);
	strcpy(f->dir, "/tmp/ap-tables-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->words = calloc(AP_TABLES_AT + n_words, sizeof(*f->words));
	f->files = ap_file_table_new(max_fds);
	assert_true(f->words && f->files);
	target.words = f->words;
	target.n_words = AP_TABLES_AT + n_words;
	assert_int_equal(ap_tables_new(f->files, &target, &f->tables), 0);
	ap_file_table_watch(f->files, on_file, f);
	return f;
}

static inline void end(struct fixture *f)
{
	struct entry *e, *next;
	char command[64];

	ap_tables_free(f->tables);
	HASH_ITER(hh, f->entries, e, next) {
		HASH_DEL(f->entries, e);
		free(e);
	}
	ap_file_table_free(f->files);
	free(f->words);
	pthread_mutex_destroy(&f->lock);
	snprintf(command, sizeof(command), "rm -r %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
}

static inline void settle(struct fixture *f)
{
	ap_tables_wait(f->tables, ap_clock_mono_ns() + DEADLINE_NS);
}

static inline void wait_for_table(struct fixture *f, const struct ap_file_key *key)
{
	uint64_t deadline = ap_clock_mono_ns() + DEADLINE_NS;

	while (known(f, key).at == 0 && ap_clock_mono_ns() < deadline)
		usleep(1000);
	assert_true(known(f, key).at > 0);
}

static inline struct ap_tables_stats stats(struct fixture *f)
{
	struct ap_tables_stats s;

	ap_tables_get_stats(f->tables, &s);
	return s;
}

static inline struct ap_file *get(struct fixture *f, const char *path)
{
	struct ap_file_source source = {.path = ap_str_of(path), .needed = true};
	struct stat st;

	if (stat(path, &st) == 0) {
		source.dev = st.st_dev;
		source.inode = st.st_ino;
	}
	return ap_file_table_get(f->files, &source);
}

/* What the kernel calls the file, but for the generation, which is found among the entries. */
static inline struct ap_file_key key_of(struct fixture *f, const char *path)
{
	struct ap_file_key key = {0};
	struct entry *e, *next;
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	pthread_mutex_lock(&f->lock);
	HASH_ITER(hh, f->entries, e, next)
		if (e->key.inode == st.st_ino &&
		    e->key.device == (major(st.st_dev) << 20 | minor(st.st_dev)))
			key = e->key;
	pthread_mutex_unlock(&f->lock);
	if (key.inode == 0)
		fail_msg("the walker does not know %s", path);
	return key;
}

/* A file in the test's folder with the content of another, `skip` bytes of it left out. */
static inline char *copy(struct fixture *f, const char *name, const char *from)
{
	_cleanup_buf_ struct ap_buf b = {0};
	char *path = malloc(256);

	assert_non_null(path);
	snprintf(path, 256, "%s/%s", f->dir, name);
	assert_int_equal(ap_read_file(AT_FDCWD, from, 64 << 20, &b), 0);
	assert_int_equal(ap_write_file_atomic(path, b.p, b.n, 0755, false), 0);
	return path;
}

#endif

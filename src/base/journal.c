/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/journal_internal.h"

#define FILE_BYTES_DEFAULT (64ull << 20)
#define RESERVE		   "reserve"
#define RESERVE_BYTES	   (4 << 20)

uint64_t journal_checksum(const struct record_head *h, const void *payload)
{
	const uint8_t *rest = (const uint8_t *)h + sizeof(h->checksum);
	uint64_t head = XXH3_64bits(rest, sizeof(*h) - sizeof(h->checksum));

	return XXH3_64bits_withSeed(payload, h->bytes, head);
}

uint64_t journal_head_checksum(const struct file_head *h)
{
	return XXH3_64bits(h, offsetof(struct file_head, checksum));
}

const char *journal_name(char *buf, uint64_t first)
{
	snprintf(buf, 32, "%020llu" JOURNAL_SUFFIX, (unsigned long long)first);
	return buf;
}

/* One process at a time: two would write over each other. */
static int lock_folder(struct ap_journal *j, struct ap_error *err)
{
	j->lock_fd = openat(j->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (j->lock_fd < 0)
		return ap_error_set(err, -errno, "%s cannot be written: %s", j->dir,
				    ap_strerror(errno));
	if (flock(j->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return ap_error_set(err, -EBUSY,
				    "%s is in use by another process: stop that one, or choose "
				    "another folder",
				    j->dir);
	return 0;
}

static int open_folder(struct ap_journal *j, struct ap_error *err)
{
	int r = ap_mkdir_all(j->dir, 0750);

	if (r == 0) {
		j->dir_fd = open(j->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = j->dir_fd < 0 ? -errno : 0;
	}
	if (r < 0)
		return ap_error_set(err, r, "the folder %s cannot be used: %s", j->dir,
				    ap_strerror(r));
	return lock_folder(j, err);
}

/* Room for urgent records on a disk that is full. Without it they wait for better times. */
static void reserve(struct ap_journal *j)
{
	int fd = j->reserve ? openat(j->dir_fd, RESERVE, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd < 0)
		return;
	if (posix_fallocate(fd, 0, RESERVE_BYTES) != 0)
		unlinkat(j->dir_fd, RESERVE, 0);
	close(fd);
}

int ap_journal_open(const struct ap_journal_options *o, ap_journal_fn fn, void *ctx,
		    struct ap_journal **ret, struct ap_error *err)
{
	_cleanup_(ap_cleanup_journal) struct ap_journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return ap_error_set(err, -ENOMEM, "out of memory");
	j->dir_fd = j->lock_fd = j->fd = -1;
	j->file_bytes = o->file_bytes ? o->file_bytes : FILE_BYTES_DEFAULT;
	j->max_bytes = o->max_bytes;
	j->reserve = o->reserve;
	j->any_order = o->any_order;
	j->next = 1;
	pthread_mutex_init(&j->lock, NULL);
	pthread_cond_init(&j->changed, NULL);
	j->dir = strdup(o->dir);
	if (!j->dir)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = open_folder(j, err);
	if (r == 0)
		r = journal_scan(j, fn, ctx, err);
	if (r < 0)
		return r;
	AP_VEC_FOREACH(&j->damage, d)
		journal_put_aside(j, d);
	ap_vec_free(&j->damage);
	reserve(j);
	*ret = AP_TAKE_PTR(j);
	return 0;
}

static void group_free(struct journal_group *g)
{
	if (!g)
		return;
	ap_buf_free(&g->bytes);
	free(g);
}

void ap_journal_close(struct ap_journal *j)
{
	if (!j)
		return;
	group_free(j->gathering);
	ap_cleanup_fd(&j->fd);
	ap_cleanup_fd(&j->lock_fd);
	ap_cleanup_fd(&j->dir_fd);
	ap_vec_free(&j->files);
	ap_vec_free(&j->damage);
	pthread_cond_destroy(&j->changed);
	pthread_mutex_destroy(&j->lock);
	free(j->dir);
	free(j);
}

/* Begins a file after `before` (first 0: there is none), whose first record will be `first`: its head is on
 * disk, and its name too. */
static int begin_file(struct ap_journal *j, const struct journal_file *before, uint64_t first)
{
	struct file_head head = {
		.version = JOURNAL_VERSION,
		.first = first,
		.previous = before->first,
		.previous_end = before->end,
	};
	_cleanup_fd_ int fd = -1;
	char name[32];
	int r;

	memcpy(head.magic, journal_magic, sizeof(head.magic));
	head.checksum = journal_head_checksum(&head);
	journal_name(name, first);
	fd = openat(j->dir_fd, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = ap_write_all(fd, &head, sizeof(head));
	if (r == 0 && (fdatasync(fd) < 0 || fsync(j->dir_fd) < 0))
		r = -errno;
	if (r < 0) {
		unlinkat(j->dir_fd, name, 0);
		return r;
	}
	ap_cleanup_fd(&j->fd);
	j->fd = AP_TAKE_FD(fd);
	return 0;
}

/* The first record's number of a group that has at least one. */
static uint64_t first_of(const struct journal_group *g)
{
	struct record_head h;

	memcpy(&h, g->bytes.p, sizeof(h));
	return h.number;
}

/* Writes and syncs the group. */
static int write_group(int fd, const struct journal_group *g, uint64_t at)
{
	size_t done = 0;

	while (done < g->bytes.n) {
		ssize_t n = pwrite(fd, g->bytes.p + done, g->bytes.n - done, (off_t)(at + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

/* Leaves a file of which nobody knows what is on disk past `end`: the next one says up to where it holds. */
static void leave_file(struct ap_journal *j, uint64_t end)
{
	/* To give the room back where the disk is full; nothing depends on it. */
	int r = ftruncate(j->fd, (off_t)end);

	(void)r;
	close(AP_TAKE_FD(j->fd));
}

static void count_commit(struct ap_journal *j, int r, uint64_t took)
{
	struct ap_journal_stats *s = &j->stats;

	s->commits++;
	s->commit_ns += took;
	s->commit_max_ns = AP_MAX(s->commit_max_ns, took);
	s->last_error[0] = '\0';
	if (r == 0)
		return;
	s->failures++;
	snprintf(s->last_error, sizeof(s->last_error), "%s: %s", j->dir, ap_strerror(r));
}

/* Where the next write goes, with a new file if need be: 0 and `*ret_at`. With the lock, which it gives up
 * meanwhile: only the writer adds files, and the last one is never trimmed. */
static int place(struct ap_journal *j, uint64_t first, uint64_t *ret_at)
{
	struct journal_file last = {0}, fresh = {.first = first,
						 .bytes = sizeof(struct file_head),
						 .end = sizeof(struct file_head)};
	int r = ap_vec_reserve(&j->files, (size_t)1);

	if (r < 0)
		return r;
	if (j->files.n)
		last = j->files.p[j->files.n - 1];
	if (j->fd >= 0 && last.end < j->file_bytes) {
		*ret_at = last.end;
		return 0;
	}
	pthread_mutex_unlock(&j->lock);
	r = begin_file(j, &last, first);
	pthread_mutex_lock(&j->lock);
	if (r < 0)
		return r;
	j->files.p[j->files.n++] = fresh;
	j->stats.bytes += fresh.bytes;
	*ret_at = fresh.end;
	return 0;
}

/* Writes what was gathered, for all who wait for it. With the lock, which it gives up meanwhile. */
static void commit(struct ap_journal *j)
{
	struct journal_group *g = AP_TAKE_PTR(j->gathering);
	uint64_t begin = ap_clock_mono_ns(), at;
	int r;

	j->writing = true;
	r = place(j, first_of(g), &at);
	if (r == 0) {
		pthread_mutex_unlock(&j->lock);
		r = write_group(j->fd, g, at);
		pthread_mutex_lock(&j->lock);
		if (r < 0)
			leave_file(j, at);
	}
	if (r == 0) {
		struct journal_file *f = &j->files.p[j->files.n - 1];

		g->file = f->first;
		g->offset = at;
		f->end = f->bytes = at + g->bytes.n;
		f->live += g->records;
		j->stats.bytes += g->bytes.n;
		j->stats.live += g->records;
		j->stats.appended += g->records;
	}
	count_commit(j, r, ap_clock_mono_ns() - begin);
	g->error = r;
	g->done = true;
	j->writing = false;
	pthread_cond_broadcast(&j->changed);
}

/* Puts the record into the group that is written next. 0 and where in it; -ENOSPC, -ENOMEM. */
static int gather(struct ap_journal *j, struct ap_str head, struct ap_str body, bool bounded,
		  struct journal_group **ret, uint64_t *ret_offset, uint64_t *ret_number)
{
	struct record_head h = {.number = j->next, .bytes = (uint32_t)(head.n + body.n)};
	size_t whole = sizeof(h) + journal_padded(h.bytes);
	struct journal_group *g = j->gathering;
	uint8_t *p;

	if (bounded && j->max_bytes && j->stats.bytes + (g ? g->bytes.n : 0) + whole > j->max_bytes)
		return -ENOSPC;
	if (!g)
		g = j->gathering = calloc(1, sizeof(*g));
	p = g ? ap_buf_reserve(&g->bytes, whole) : NULL;
	if (!p) {
		if (g && !g->records)
			group_free(AP_TAKE_PTR(j->gathering));
		else if (g)
			g->bytes.err = 0; /* the others' records are whole */
		return -ENOMEM;
	}
	memset(p + whole - 8, 0, 8);
	if (head.n)
		memcpy(p + sizeof(h), head.p, head.n);
	if (body.n)
		memcpy(p + sizeof(h) + head.n, body.p, body.n);
	h.checksum = journal_checksum(&h, p + sizeof(h));
	memcpy(p, &h, sizeof(h));
	*ret_offset = g->bytes.n;
	*ret_number = j->next++;
	g->bytes.n += whole;
	g->records++;
	g->waiting++;
	*ret = g;
	return 0;
}

static int append(struct ap_journal *j, struct ap_str head, struct ap_str body, bool bounded,
		  struct ap_journal_at *ret)
{
	struct journal_group *g;
	uint64_t offset, number;
	int r;

	if (head.n > AP_JOURNAL_RECORD_MAX || body.n > AP_JOURNAL_RECORD_MAX - head.n)
		return -EFBIG;
	pthread_mutex_lock(&j->lock);
	r = gather(j, head, body, bounded, &g, &offset, &number);
	while (r == 0 && !g->done) {
		if (j->writing)
			pthread_cond_wait(&j->changed, &j->lock);
		else
			commit(j);
	}
	if (r == 0) {
		r = g->error;
		*ret = (struct ap_journal_at){g->file, g->offset + offset, number};
		if (--g->waiting == 0)
			group_free(g);
	}
	pthread_mutex_unlock(&j->lock);
	return r;
}

int ap_journal_append(struct ap_journal *j, struct ap_str head, struct ap_str body,
		      struct ap_journal_at *ret)
{
	return append(j, head, body, true, ret);
}

int ap_journal_append_urgent(struct ap_journal *j, struct ap_str head, struct ap_str body,
			     struct ap_journal_at *ret)
{
	int r = append(j, head, body, false, ret);

	if (r == -ENOSPC && unlinkat(j->dir_fd, RESERVE, 0) == 0)
		r = append(j, head, body, false, ret);
	return r;
}

int ap_journal_read(struct ap_journal *j, const struct ap_journal_at *at, struct ap_buf *ret)
{
	_cleanup_fd_ int fd = -1;
	struct record_head h;
	char name[32];
	uint8_t *p;
	ssize_t n;

	fd = openat(j->dir_fd, journal_name(name, at->file), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = pread(fd, &h, sizeof(h), (off_t)at->offset);
	if (n != (ssize_t)sizeof(h))
		return n < 0 ? -errno : -EBADMSG;
	if (h.number != at->number || h.bytes > AP_JOURNAL_RECORD_MAX)
		return -EBADMSG;
	p = ap_buf_reserve(ret, h.bytes);
	if (!p)
		return -ENOMEM;
	n = pread(fd, p, h.bytes, (off_t)(at->offset + sizeof(h)));
	if (n < 0)
		return -errno;
	if (n != (ssize_t)h.bytes || journal_checksum(&h, p) != h.checksum)
		return -EBADMSG;
	ret->n += h.bytes;
	return 0;
}

void ap_journal_release(struct ap_journal *j, const struct ap_journal_at *at)
{
	pthread_mutex_lock(&j->lock);
	AP_VEC_FOREACH(&j->files, f) {
		if (f->first != at->file || f->live == 0)
			continue;
		f->live--;
		j->stats.live--;
	}
	pthread_mutex_unlock(&j->lock);
}

/* Whether the file may go, where those before it do, once `but` is given up. With the lock held. */
static bool is_spent(const struct ap_journal *j, size_t i, const struct ap_journal_at *but)
{
	uint64_t live = but && but->number && but->file == j->files.p[i].first;

	/* The last file names the end of the one before it, and may be written to. */
	return j->files.p[i].live == live && (i + 1 < j->files.n || (j->any_order && !j->writing));
}

/* The first file from `i` on that may go; files.n: none. With the lock held. */
static size_t next_spent(const struct ap_journal *j, size_t i, const struct ap_journal_at *but)
{
	while (i < j->files.n && !is_spent(j, i, but))
		i = j->any_order ? i + 1 : j->files.n;
	return i;
}

uint32_t ap_journal_trimmable(struct ap_journal *j, const struct ap_journal_at *but)
{
	uint32_t n = 0;

	pthread_mutex_lock(&j->lock);
	for (size_t i = 0; (i = next_spent(j, i, but)) < j->files.n; i++)
		n++;
	pthread_mutex_unlock(&j->lock);
	return n;
}

void ap_journal_trim(struct ap_journal *j, uint32_t n)
{
	char name[32];
	size_t i = 0;

	pthread_mutex_lock(&j->lock);
	for (uint32_t done = 0; done < n && (i = next_spent(j, i, NULL)) < j->files.n; done++) {
		unlinkat(j->dir_fd, journal_name(name, j->files.p[i].first), 0);
		j->stats.bytes -= j->files.p[i].bytes;
		j->files.n--;
		if (i == j->files.n && j->fd >= 0)
			close(AP_TAKE_FD(j->fd));
		memmove(&j->files.p[i], &j->files.p[i + 1], (j->files.n - i) * sizeof(*j->files.p));
	}
	if (n)
		reserve(j);
	pthread_mutex_unlock(&j->lock);
}

void ap_journal_get_stats(struct ap_journal *j, struct ap_journal_stats *ret)
{
	pthread_mutex_lock(&j->lock);
	*ret = j->stats;
	ret->files = (uint32_t)j->files.n;
	ret->max_bytes = j->max_bytes;
	pthread_mutex_unlock(&j->lock);
}

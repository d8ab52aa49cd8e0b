/* SPDX-License-Identifier: Apache-2.0 */
/* What an earlier run left. A file holds up to where the next one says; the last one, up to its last
 * record that is whole. Whatever is in the files may be damaged. Nothing is changed until all has been read. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/journal_internal.h"

static int by_first(const void *a, const void *b)
{
	const struct journal_file *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

/* A file's number from its name; 0: it is not one of ours. */
static uint64_t first_of_name(const char *name)
{
	struct ap_str s = ap_str_of(name);
	uint64_t first;
	char ours[32];

	if (ap_parse_u64(ap_str_cut(&s, '.'), &first) < 0)
		return 0;
	return strcmp(journal_name(ours, first), name) == 0 ? first : 0;
}

static void count_aside(struct ap_journal *j, const char *name)
{
	struct stat st;

	if (ap_str_ends(ap_str_of(name), AP_STR(DAMAGED_SUFFIX)) &&
	    fstatat(j->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
		j->aside_bytes += (uint64_t)st.st_size;
}

static int list_files(struct ap_journal *j)
{
	int fd = fcntl(j->dir_fd, F_DUPFD_CLOEXEC, 0), r = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;

	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	rewinddir(d);
	while (r == 0 && (e = readdir(d)) != NULL) {
		const struct journal_file f = {.first = first_of_name(e->d_name)};

		if (f.first)
			r = ap_vec_push(&j->files, f);
		else
			count_aside(j, e->d_name);
	}
	closedir(d);
	if (j->files.n)
		qsort(j->files.p, j->files.n, sizeof(*j->files.p), by_first);
	return r;
}

/* A file that is being gone through. */
struct scan {
	struct ap_journal *j;
	ap_journal_fn fn;
	void *ctx;
	struct ap_error *err;
	struct journal_file *file;
	const uint8_t *p; /* its bytes */
	uint64_t n;
};

static int too_new(struct scan *s)
{
	return ap_error_set(s->err, -EPROTO,
			    "%s was written by a newer version of Aperture: upgrade, or use "
			    "another folder; its records were not touched",
			    s->j->dir);
}

/* Reads a file's head: 1; 0: it has none that holds, as a file that a crash met at its birth; or an error. */
static int read_head(struct scan *s, uint64_t first, struct file_head *ret)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int r = journal_load(s->j, first, 0, sizeof(*ret), &b);

	if (r < 0 || b.n < sizeof(*ret))
		return r;
	memcpy(ret, b.p, sizeof(*ret));
	if (memcmp(ret->magic, journal_magic, sizeof(ret->magic)) != 0)
		return 0;
	if (ret->version > JOURNAL_VERSION)
		return too_new(s);
	return ret->checksum == journal_head_checksum(ret) && ret->first == first;
}

/* Notes that `from` to `to` should be records, `records` of them at least. */
static int note_damage(struct scan *s, uint64_t from, uint64_t to, uint64_t records)
{
	const struct journal_damage d = {s->file->first, from, to, s->j->next};

	s->j->stats.damaged_records += records;
	s->j->stats.damaged_bytes += to - from;
	return ap_vec_push(&s->j->damage, d);
}

/* Hands over the record at `at`. */
static int take_record(struct scan *s, uint64_t at, uint64_t size, const struct record_head *h)
{
	const struct ap_journal_at where = {s->file->first, at, h->number};
	const struct ap_str payload = {(const char *)s->p + at + sizeof(*h), h->bytes};
	int r = s->fn(s->ctx, &where, payload);

	if (r == -EPROTO)
		return too_new(s);
	if (r < 0)
		return ap_error_set(s->err, r, "a record of %s cannot be taken in: %s", s->j->dir,
				    ap_strerror(r));
	s->j->next = h->number;
	if (r == AP_JOURNAL_DAMAGED)
		r = note_damage(s, at, at + size, 1);
	if (r < 0)
		return r;
	s->file->live += r > 0;
	s->j->stats.live += r > 0;
	s->j->next = h->number + 1;
	return 0;
}

/* Hands over the records up to `limit`, and says where they end. */
static int read_records(struct scan *s, uint64_t limit, uint64_t *ret_end)
{
	uint64_t at = sizeof(struct file_head), end = AP_MIN(limit, s->n), size, found;
	struct record_head h;
	int r = 0;

	while (r == 0 && at < end) {
		size = journal_record_at(s->p, end, at, s->j->next, UINT64_MAX, &h);
		if (size) {
			r = take_record(s, at, size, &h);
			at += size;
			continue;
		}
		found = journal_find_record(s->p, end, at, s->j->next);
		if (found == end)
			break;
		memcpy(&h, s->p + found, sizeof(h));
		r = note_damage(s, at, found, AP_MAX(h.number - s->j->next, 1u));
		at = found;
	}
	*ret_end = at;
	return r;
}

/* Goes through a file that holds up to `limit` (UINT64_MAX: up to its last whole record). 1; 0: it is not a
 * file at all. */
static int scan_bytes(struct scan *s, uint64_t limit)
{
	struct file_head head;
	uint64_t end = 0;
	int r = read_head(s, s->file->first, &head);

	if (r <= 0)
		return r;
	s->j->next = AP_MAX(s->j->next, head.first);
	r = read_records(s, limit, &end);
	if (r == 0 && limit != UINT64_MAX && end < limit)
		r = note_damage(s, end, limit, 1);
	if (r < 0)
		return r;
	s->file->end = limit != UINT64_MAX ? limit : end;
	return 1;
}

/* Up to where the file holds by what the one after it says: UINT64_MAX where there is none, or it has no
 * head. */
static int limit_of(struct scan *s, size_t i, uint64_t *ret)
{
	struct file_head head;
	int r = 0;

	*ret = UINT64_MAX;
	if (i + 1 < s->j->files.n)
		r = read_head(s, s->j->files.p[i + 1].first, &head);
	if (r == 1 && head.previous == s->file->first)
		*ret = head.previous_end;
	return AP_MIN(r, 0);
}

static void forget_file(struct ap_journal *j, size_t i)
{
	j->files.n--;
	memmove(&j->files.p[i], &j->files.p[i + 1], (j->files.n - i) * sizeof(*j->files.p));
}

static void drop_file(struct ap_journal *j, size_t i)
{
	char name[32], aside[48];

	journal_name(name, j->files.p[i].first);
	if (i + 1 == j->files.n) {
		unlinkat(j->dir_fd, name, 0);
	} else {
		snprintf(aside, sizeof(aside), "%s" DAMAGED_SUFFIX, name);
		renameat(j->dir_fd, name, j->dir_fd, aside);
		j->stats.damaged_records++;
		j->stats.damaged_bytes += j->files.p[i].bytes;
	}
	forget_file(j, i);
}

/* The last file, if it has no record: its number is that of the next one, and what it says of the one before
 * is remembered. */
static void drop_empty(struct ap_journal *j)
{
	const struct journal_file *last = j->files.n ? &j->files.p[j->files.n - 1] : NULL;
	char name[32];

	if (!last || last->first != j->next)
		return;
	unlinkat(j->dir_fd, journal_name(name, last->first), 0);
	j->stats.bytes -= last->bytes;
	forget_file(j, j->files.n - 1);
}

static int scan_file(struct scan *s, size_t i)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	uint64_t limit;
	int r;

	s->file = &s->j->files.p[i];
	r = limit_of(s, i, &limit);
	if (r == 0)
		r = journal_load(s->j, s->file->first, 0, UINT64_MAX, &bytes);
	if (r < 0)
		return r;
	s->p = bytes.p;
	s->n = s->file->bytes = bytes.n;
	r = scan_bytes(s, limit);
	if (r > 0)
		s->j->stats.bytes += s->n;
	return r;
}

/* Whether a newer version has written here, before anything is changed. */
static int check_versions(struct scan *s)
{
	struct file_head head;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < s->j->files.n; i++)
		r = read_head(s, s->j->files.p[i].first, &head);
	return AP_MIN(r, 0);
}

/* Files without a head that holds. The last one is what a crash left at its birth; another one is put aside, for
 * people to look at. */
static void drop_files(struct ap_journal *j)
{
	for (size_t i = 0; i < j->files.n;) {
		if (j->files.p[i].end)
			i++;
		else
			drop_file(j, i);
	}
}

int journal_scan(struct ap_journal *j, ap_journal_fn fn, void *ctx, struct ap_error *err)
{
	struct scan s = {.j = j, .fn = fn, .ctx = ctx, .err = err};
	int r = list_files(j);

	if (r == 0)
		r = check_versions(&s);
	for (size_t i = 0; r >= 0 && i < j->files.n; i++)
		r = scan_file(&s, i);
	if (r >= 0) {
		drop_files(j);
		drop_empty(j);
	}
	if (r < 0 && (!err || !err->code))
		return ap_error_set(err, r, "%s cannot be read: %s", j->dir, ap_strerror(r));
	return AP_MIN(r, 0);
}

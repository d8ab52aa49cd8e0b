/* SPDX-License-Identifier: Apache-2.0 */
/* Records that a disk does not give back: finding the next one, and keeping their bytes. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/io.h"
#include "base/journal_internal.h"

#define ASIDE_MAX_BYTES (64ull << 20)
#define PIECE		(1u << 20)
#define SECTOR		4096u /* what a disk fails to read is lost in units of that */

uint64_t journal_record_at(const uint8_t *p, uint64_t n, uint64_t at, uint64_t least, uint64_t most,
			   struct record_head *ret)
{
	if (at > n || n - at < sizeof(*ret))
		return 0;
	memcpy(ret, p + at, sizeof(*ret));
	if (ret->bytes > AP_JOURNAL_RECORD_MAX || ret->number < least || ret->number > most ||
	    n - at - sizeof(*ret) < journal_padded(ret->bytes) ||
	    journal_checksum(ret, p + at + sizeof(*ret)) != ret->checksum)
		return 0;
	return sizeof(*ret) + journal_padded(ret->bytes);
}

uint64_t journal_find_record(const uint8_t *p, uint64_t n, uint64_t at, uint64_t least)
{
	struct record_head h;

	/* Numbers ascend by one within a file: what lies between bounds them, and payloads that look like a
	 * record are none. */
	for (uint64_t i = at; i < n && n - i >= sizeof(h); i += 8)
		if (journal_record_at(p, n, i, least, least + (i - at) / sizeof(h), &h))
			return i;
	return n;
}

/* Reads up to `n` bytes; where the disk fails, zeros stand for a sector. */
static ssize_t read_piece(int fd, uint8_t *p, size_t n, uint64_t at)
{
	ssize_t got = pread(fd, p, n, (off_t)at);

	if (got < 0 && errno == EIO && n > SECTOR)
		got = pread(fd, p, n = SECTOR, (off_t)at);
	if (got < 0 && errno == EIO) {
		memset(p, 0, n);
		return (ssize_t)n;
	}
	return got < 0 ? -errno : got;
}

int journal_load(struct ap_journal *j, uint64_t file, uint64_t from, uint64_t to,
		 struct ap_buf *ret)
{
	_cleanup_fd_ int fd = -1;
	char name[32];
	struct stat st;
	uint8_t *p;

	fd = openat(j->dir_fd, journal_name(name, file), O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	to = AP_MIN(to, (uint64_t)st.st_size);
	if (from >= to)
		return 0;
	p = ap_buf_reserve(ret, (size_t)(to - from));
	if (!p)
		return -ENOMEM;
	for (uint64_t at = from; at < to;) {
		ssize_t n = read_piece(fd, p + (at - from), AP_MIN(to - at, PIECE), at);

		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		at += (uint64_t)n;
		ret->n += (size_t)n;
	}
	return 0;
}

/* Of bytes that are lost in any case: it may fail. */
void journal_put_aside(struct ap_journal *j, const struct journal_damage *d)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	_cleanup_fd_ int fd = -1;
	char name[48];

	if (d->to - d->from > ASIDE_MAX_BYTES ||
	    j->aside_bytes > ASIDE_MAX_BYTES - (d->to - d->from) ||
	    journal_load(j, d->file, d->from, d->to, &bytes) < 0)
		return;
	snprintf(name, sizeof(name), "%020llu" DAMAGED_SUFFIX, (unsigned long long)d->number);
	/* An earlier start may have been here. */
	fd = openat(j->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (ap_write_all(fd, bytes.p, bytes.n) < 0)
		unlinkat(j->dir_fd, name, 0);
	else
		j->aside_bytes += bytes.n;
}

/* Up to where the file holds; 0: it is not there. */
static uint64_t end_of(struct ap_journal *j, uint64_t file)
{
	uint64_t end = 0;

	pthread_mutex_lock(&j->lock);
	AP_VEC_FOREACH(&j->files, f)
		if (f->first == file)
			end = f->end;
	pthread_mutex_unlock(&j->lock);
	return end;
}

void ap_journal_set_aside(struct ap_journal *j, const struct ap_journal_at *at)
{
	struct journal_damage d = {at->file, at->offset, end_of(j, at->file), at->number};
	_cleanup_buf_ struct ap_buf b = {0};

	if (d.from < d.to && journal_load(j, d.file, d.from, d.to, &b) == 0)
		d.to = d.from + journal_find_record(b.p, b.n, 8, d.number + 1);
	d.to = AP_MAX(d.from, d.to);
	pthread_mutex_lock(&j->lock);
	j->stats.damaged_records++;
	j->stats.damaged_bytes += d.to - d.from;
	journal_put_aside(j, &d);
	pthread_mutex_unlock(&j->lock);
}

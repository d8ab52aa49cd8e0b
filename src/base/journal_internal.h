/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of a journal's files, little-endian, and what the journal's parts share. */
#ifndef AP_BASE_JOURNAL_INTERNAL_H
#define AP_BASE_JOURNAL_INTERNAL_H

#include <pthread.h>

#include "base/journal.h"
#include "base/vec.h"

#define JOURNAL_VERSION 1
#define JOURNAL_SUFFIX	".journal"
#define DAMAGED_SUFFIX	".damaged"

static const char journal_magic[8] = "APJRNL\r\n";

/* What a file begins with. */
struct file_head {
	char magic[8];
	uint32_t version, pad;
	uint64_t first;	       /* number of its first record */
	uint64_t previous;     /* first of the file before it, 0 = there was none */
	uint64_t previous_end; /* up to where that one holds */
	uint64_t checksum;     /* XXH3 of all before it */
};

/* What a record begins with; the payload follows, and zeros up to a multiple of 8. */
struct record_head {
	uint64_t checksum; /* XXH3 of the rest of the head and the payload */
	uint64_t number;
	uint32_t bytes, pad; /* of the payload */
};

struct journal_file {
	uint64_t first, bytes, live;
	uint64_t end; /* up to where it holds */
};

/* Bytes of a file that should be records. */
struct journal_damage {
	uint64_t file, from, to;
	uint64_t number; /* of the first of them */
};

/* Records that one write is for. */
struct journal_group {
	struct ap_buf bytes;
	uint32_t waiting; /* appenders that have not seen the outcome */
	uint32_t records;
	bool done;
	int error;
	uint64_t file, offset; /* once it is written: where it begins */
};

struct ap_journal {
	char *dir;
	int dir_fd, lock_fd;
	uint64_t file_bytes, max_bytes;
	bool reserve, any_order;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t changed;
	AP_VEC(struct journal_file)
	files; /* oldest first; the last one is written to, if fd >= 0 */
	int fd;
	uint64_t next;			 /* number of the next record */
	struct journal_group *gathering; /* NULL: none */
	bool writing;
	struct ap_journal_stats stats;
	AP_VEC(struct journal_damage) damage; /* found by the opening, to be put aside */
	uint64_t aside_bytes;		      /* of files of damaged records */
};

uint64_t journal_head_checksum(const struct file_head *h);
uint64_t journal_checksum(const struct record_head *h, const void *payload);
/* The name of the file: `buf` has room for 32 bytes. */
const char *journal_name(char *buf, uint64_t first);
static inline size_t journal_padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

/* journal_damage.c */

/* The size with padding of the record at `at` of a file's `n` bytes, whose number is to be one of `least` to
 * `most`; 0: there is no whole one. */
uint64_t journal_record_at(const uint8_t *p, uint64_t n, uint64_t at, uint64_t least, uint64_t most,
			   struct record_head *ret);
/* Where the first whole record from `at` on is, which is number `least` or a later one; `n`: there is none. */
uint64_t journal_find_record(const uint8_t *p, uint64_t n, uint64_t at, uint64_t least);
/* Appends the file's bytes from `from` up to `to` or its end; what the disk fails to read is zeros. */
int journal_load(struct ap_journal *j, uint64_t file, uint64_t from, uint64_t to,
		 struct ap_buf *ret);
/* Copies the bytes to a file of their own, if there is room. Counts nothing. */
void journal_put_aside(struct ap_journal *j, const struct journal_damage *d);

/* journal_scan.c: fills files, next and damage. */
int journal_scan(struct ap_journal *j, ap_journal_fn fn, void *ctx, struct ap_error *err);

#endif

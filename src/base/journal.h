/* SPDX-License-Identifier: Apache-2.0 */
/* Records that must outlive a crash, in files of a folder: appended, durable when the append returns, read
 * back in order at the next start, and given up one by one. A file goes when all of its records were given up,
 * and those of the files before it.
 *
 * Appends of several threads share a write and an fdatasync: whoever comes first while nobody writes does it for
 * all who wait. A record whose append failed is not read back, although its bytes may have reached the
 * disk: after a failure the file is left, and the next one says up to where that one holds. So does the
 * file that a start begins after a crash, for what was torn.
 *
 * A record that the disk does not give back as it was written is damaged: it is counted, its bytes are put aside in
 * NUMBER.damaged in the folder, for people to look at (64 MiB of such files at most), and the records around it
 * are read all the same. In the newest file that may also be a write that a loss of power tore and nobody was
 * told of.
 *
 * Thread-safe; one process at a time, which a lock in the folder sees to. */
#ifndef AP_BASE_JOURNAL_H
#define AP_BASE_JOURNAL_H

#include "base/buf.h"
#include "base/error.h"

#define AP_JOURNAL_RECORD_MAX (64u << 20)

struct ap_journal;

/* Where a record is. */
struct ap_journal_at {
	uint64_t file;	 /* the number of the file's first record, which names it */
	uint64_t offset; /* of the record's header */
	uint64_t number; /* of the record: 1, 2, … with gaps after a failure */
};

struct ap_journal_options {
	const char *dir;     /* made where it does not exist; copied */
	uint64_t file_bytes; /* a file ends past that; 0 = 64 MiB */
	uint64_t max_bytes;  /* all files together; 0 = no bound */
	bool reserve;	     /* sets disk aside for ap_journal_append_urgent() */
	/* A file goes as soon as its own records were given up, the last one too. For records that may be read
	 * back although their append failed. */
	bool any_order;
};

/* What an ap_journal_fn says of a record whose contents mean nothing to it: it is damaged, as above. */
#define AP_JOURNAL_DAMAGED 2

/* A record that an earlier run left; `payload` is valid during the call. 1: it is still needed; 0: it is
 * not; AP_JOURNAL_DAMAGED; negative: the opening fails with that, -EPROTO where a newer version wrote it. */
typedef int (*ap_journal_fn)(void *ctx, const struct ap_journal_at *at, struct ap_str payload);

/* Locks the folder and hands over what is there. -EBUSY: another process has it; -EPROTO: a newer version
 * wrote it, and its records stay untouched; -EACCES and other errors of the file system; what `fn` returned. */
int ap_journal_open(const struct ap_journal_options *o, ap_journal_fn fn, void *ctx,
		    struct ap_journal **ret, struct ap_error *err);
void ap_journal_close(struct ap_journal *j); /* nobody may be appending; NULL is fine */
AP_DEFINE_CLEANUP(journal, struct ap_journal, ap_journal_close)

/* Appends one record of `head` and `body`, one after the other: on disk when it returns 0. -EFBIG:
 * above AP_JOURNAL_RECORD_MAX; -ENOSPC: the bound is reached or the disk is full; -EIO, -ENOMEM. A failed
 * append leaves nothing, and the next one may succeed. */
int ap_journal_append(struct ap_journal *j, struct ap_str head, struct ap_str body,
		      struct ap_journal_at *ret);
/* The same for a record without which nothing can be trimmed: the bound does not hold for it, and where the disk
 * is full, it gets room that was set aside. */
int ap_journal_append_urgent(struct ap_journal *j, struct ap_str head, struct ap_str body,
			     struct ap_journal_at *ret);
/* Reads a record that was not given up. -EBADMSG: the disk returned something else; -ENOENT, -EIO. */
int ap_journal_read(struct ap_journal *j, const struct ap_journal_at *at, struct ap_buf *ret);
/* Counts a record that cannot be read, and was not given up, as damaged, and puts its bytes aside. */
void ap_journal_set_aside(struct ap_journal *j, const struct ap_journal_at *at);

/* Gives a record up. Its file is there until ap_journal_trim(). */
void ap_journal_release(struct ap_journal *j, const struct ap_journal_at *at);
/* How many files nobody needs any more, or would once `but` is given up too (NULL: as it is). */
uint32_t ap_journal_trimmable(struct ap_journal *j, const struct ap_journal_at *but);
/* Deletes the oldest `n` of them, at most. */
void ap_journal_trim(struct ap_journal *j, uint32_t n);

struct ap_journal_stats {
	uint32_t files;
	uint64_t bytes, max_bytes;		    /* of all files; the bound, 0 = none */
	uint64_t live;				    /* records that are needed */
	uint64_t appended;			    /* since the start */
	uint64_t commits, commit_ns, commit_max_ns; /* writes with their fdatasync */
	uint64_t failures;			    /* of those */
	/* What should have been records and was not, at the start and since; where a file's end is damaged,
	 * it counts as one record. */
	uint64_t damaged_records, damaged_bytes;
	char last_error[160]; /* of the last commit, "" if it succeeded */
};
void ap_journal_get_stats(struct ap_journal *j, struct ap_journal_stats *ret);

#endif

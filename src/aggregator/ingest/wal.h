/* SPDX-License-Identifier: Apache-2.0 */
/* The write-ahead log: every batch as it came, with the segments of its parts, until the store has it on
 * disk; and which batches have been accepted, so that one that comes again counts once, whenever the
 * aggregator was started in between.
 *
 *	Push ─▶ announced in the buffer ─▶ appended here ─▶ committed in the buffer ─▶ acknowledged
 *	start ─▶ replayed into the buffer ─▶ segments that the store may have are asked for, not inserted twice
 *
 * Thread-safe but for its opening. */
#ifndef AP_AGGREGATOR_INGEST_WAL_H
#define AP_AGGREGATOR_INGEST_WAL_H

#include "aggregator/ingest/agents.h"
#include "aggregator/ingest/buffer.h"
#include "aggregator/ingest/limits.h"

struct ap_wal;

struct ap_wal_options {
	const char *dir;	  /* copied */
	uint64_t max_bytes;	  /* of its files; 0 = 1 GiB */
	uint64_t file_bytes;	  /* of one file, about; 0 = 16 MiB */
	struct ap_agents *agents; /* borrowed */
	struct ap_limits
		*labels; /* what is read back is brought within them again; borrowed; NULL: none */
	struct ap_batch_limits limits;
};

int ap_wal_new(const struct ap_wal_options *o, struct ap_wal **ret); /* 0, -ENOMEM */
void ap_wal_free(struct ap_wal *w);				     /* after the buffer */
AP_DEFINE_CLEANUP(wal, struct ap_wal, ap_wal_free)
/* For struct ap_buffer_config: its `ctx` is the log. */
void ap_wal_release(void *wal, const struct ap_journal_at *at);

/* Opens the files and puts what they hold into the empty buffer and the agents; then
 * ap_buffer_restored(buffer, *ret_stored, …) is to be called. Errors as ap_journal_open(). */
int ap_wal_open(struct ap_wal *w, struct ap_buffer *buffer, uint64_t *ret_stored,
		struct ap_error *err);

/* The highest segment that the log has told of, also in records that it has no more; 0 = none. */
uint64_t ap_wal_last_segment(struct ap_wal *w);

/* The announced batch's record is on disk when it returns 0; errors as ap_journal_append(). */
int ap_wal_append(struct ap_wal *w, struct ap_str request, const struct ap_batch_list *parts,
		  uint64_t watermark, int64_t received_ns, struct ap_journal_at *ret);
/* Makes a copy of a part that is in the log alone, with profile and meta; ap_wal_unload() frees what it holds.
 * 0; -EBADMSG: the record is damaged and will never be read (see base/journal.h); -EIO: the disk failed, as it
 * may for a while, of which a few tries more are to decide; -ENOMEM. One thread. */
int ap_wal_load(struct ap_wal *w, const struct ap_batch *part, struct ap_batch *ret);
void ap_wal_unload(struct ap_batch *copy);
/* Deletes files that nobody needs any more, if there are any. 0, or an error of the journal. */
int ap_wal_trim(struct ap_wal *w);

struct ap_wal_stats {
	struct ap_journal_stats journal;
	uint64_t replayed; /* batches that the start found and the store did not have for certain */
	uint64_t replayed_rows; /* theirs */
};
void ap_wal_get_stats(struct ap_wal *w, struct ap_wal_stats *ret);
/* Whether it counts as full: with less than 1 MiB left. */
bool ap_wal_is_full(const struct ap_wal_stats *s);

#endif

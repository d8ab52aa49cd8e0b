/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that moves batches from the ingest buffer to the store. Every flush interval (or as
 * soon as a full block of rows waits) it cuts a segment from the buffer, turns its batches into
 * blocks (dictionaries first, then samples, then the ledger: a sample that is visible has its names)
 * and inserts them. The segment's id is in every row, so that queries can take what is stored up to
 * the buffer's watermark and the rest from the buffer: each sample counts once at any moment.
 *
 * A failed insert is repeated with back-off, and its batches stay where they are. An insert is of one
 * block in one partition, so a table has all of a segment's rows or none: before a segment is inserted that
 * the store may have, because an earlier run or an insert without an answer left it, each table is asked.
 *
 * A batch that is in the log alone, and that the log does not give back, is lost: it is counted, and its segment
 * is stored without it.
 *
 * While more than one segment waits, a second thread does the same: it makes rows while the other waits for the
 * disk or for a server. Segments may then be stored out of their order; the watermark
 * waits for those before. Both know together which stacks and frames were sent. Dictionaries are stored in the order in
 * which they were made, and a segment's samples after them, so they never rest on names that are still on their way.
 *
 * No token for the engine's own deduplication is given: one that comes again with other data would drop those
 * silently. */
#ifndef AP_AGGREGATOR_STORE_WRITER_H
#define AP_AGGREGATOR_STORE_WRITER_H

#include "aggregator/ingest/wal.h"
#include "aggregator/store/store.h"

struct ap_writer;

struct ap_writer_options {
	struct ap_store *store;	    /* outlives the writer */
	struct ap_buffer *buffer;   /* outlives the writer */
	struct ap_wal *wal;	    /* NULL: none; outlives the writer */
	uint64_t flush_interval_ns; /* 0 = 2 s */
	uint32_t max_block_rows;    /* rows worth an insert at once; 0 = AP_SEGMENT_ROWS */
	/* How long a segment stays in the log after a store without AP_STORE_CAP_FSYNC has taken it (hold.h);
	 * 0: not at all. With it the buffer's `hold` is to be set. */
	uint64_t hold_ns;
};

/* Totals since the start. */
struct ap_writer_stats {
	uint64_t flushes_ok, flushes_failed; /* segments stored; attempts that failed */
	uint64_t rows;			     /* sample rows stored */
	uint64_t periods_in;		     /* ledger: counts of rows taken from the buffer … */
	uint64_t periods_stored;	     /* … of those stored … */
	uint64_t
		periods_damaged; /* … and of those that the log does not give back; the rest is being retried */
	uint64_t stacks, frames; /* dictionary rows stored */
	uint64_t flush_ns;	 /* time spent in successful flushes, in all … */
	uint64_t last_flush_ns;	 /* … and in the last one */
	uint64_t segment;	 /* the last one stored */
	uint64_t held;		 /* segments in the hold now … */
	uint64_t refilled;	 /* … and those that the store had lost meanwhile */
	char last_error[480];	 /* of the last attempt, or of looking whether there
					      * is a store; "" if it succeeded */
};

/* The highest segment of this writer in the store; where he has none, the one before his first:
 * ap_store.segment_base. */
int ap_store_last_segment(struct ap_store *s, uint64_t *ret, struct ap_error *err);

/* 0, -ENOMEM, -EAGAIN (no thread). */
int ap_writer_start(const struct ap_writer_options *o, struct ap_writer **ret);
/* Asks for a flush now and waits until all that the buffer held at the call is stored, at most
 * until the deadline: 0 or -ETIMEDOUT. */
int ap_writer_flush(struct ap_writer *w, uint64_t deadline_mono_ns);
/* Ends the thread, after one last attempt to store what the buffer holds. Frees. NULL is allowed. */
void ap_writer_stop(struct ap_writer *w);
AP_DEFINE_CLEANUP(writer, struct ap_writer, ap_writer_stop)
void ap_writer_get_stats(struct ap_writer *w, struct ap_writer_stats *ret);

#endif

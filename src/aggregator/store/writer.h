/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that moves batches from the ingest buffer to the store. Every flush interval it cuts a
 * segment from the buffer, turns its batches into blocks (dictionaries first, then samples, then
 * the ledger: a sample that is visible has its names) and inserts them; rows of several days go to
 * a block for each. The segment's id is in every row, so that queries can take what is stored up to
 * the buffer's watermark and the rest from the buffer: each sample counts once at any moment. A
 * failed insert is repeated with back-off, with the same tokens; its batches stay in the buffer. */
#ifndef AP_AGGREGATOR_STORE_WRITER_H
#define AP_AGGREGATOR_STORE_WRITER_H

#include "aggregator/store/store.h"

struct ap_buffer;
struct ap_writer;

struct ap_writer_options {
	struct ap_store *store;	    /* outlives the writer */
	struct ap_buffer *buffer;   /* outlives the writer */
	uint64_t flush_interval_ns; /* 0 = 2 s */
	uint32_t max_block_rows;    /* rows of one INSERT; 0 = 100,000 */
};

/* Totals since the start. */
struct ap_writer_stats {
	uint64_t flushes_ok, flushes_failed; /* segments stored; attempts that failed */
	uint64_t rows;			     /* sample rows stored */
	uint64_t periods;		     /* what their counts sum to: the ledger's "stored" */
	uint64_t stacks, frames;	     /* dictionary rows stored */
	uint64_t flush_ns;		     /* time spent in successful flushes, in all … */
	uint64_t last_flush_ns;		     /* … and in the last one */
	uint64_t pending_rows;		     /* cut from the buffer, not stored yet */
	uint64_t segment;		     /* the last one stored */
	char last_error[480];		     /* of the last failed attempt, "" once one succeeds */
};

/* Continues after the highest segment in the store. -ENOMEM, -EAGAIN (no thread), store errors. */
int ap_writer_start(const struct ap_writer_options *o, struct ap_writer **ret,
		    struct ap_error *err);
/* Asks for a flush now and waits until all that the buffer held at the call is stored, at most
 * until the deadline: 0 or -ETIMEDOUT. */
int ap_writer_flush(struct ap_writer *w, uint64_t deadline_mono_ns);
/* Ends the thread, after one last attempt to store what the buffer holds. Frees. NULL is allowed. */
void ap_writer_stop(struct ap_writer *w);
void ap_writer_get_stats(struct ap_writer *w, struct ap_writer_stats *ret);

#endif

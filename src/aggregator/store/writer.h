/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that moves batches from the ingest buffer to the store. Every flush interval (or as
 * soon as a full block of rows waits) it cuts a segment from the buffer, turns its batches into
 * blocks (dictionaries first, then samples, then the ledger: a sample that is visible has its names)
 * and inserts them. The segment's id is in every row, so that queries can take what is stored up to
 * the buffer's watermark and the rest from the buffer: each sample counts once at any moment.
 *
 * A failed insert is repeated with back-off, and its batches stay in the buffer. The repeated block
 * is the same byte for byte, which is what the engine's deduplication goes by: no token is given,
 * since a token that comes again with other data (segment numbers start again where all data were
 * deleted) would drop those silently. */
#ifndef AP_AGGREGATOR_STORE_WRITER_H
#define AP_AGGREGATOR_STORE_WRITER_H

#include "aggregator/ingest/buffer.h"
#include "aggregator/store/store.h"

struct ap_writer;

struct ap_writer_options {
	struct ap_store *store;	    /* outlives the writer */
	struct ap_buffer *buffer;   /* outlives the writer */
	uint64_t flush_interval_ns; /* 0 = 2 s */
	uint32_t max_block_rows;    /* rows of one INSERT, about; 0 = AP_PART_ROWS */
};

/* Totals since the start. */
struct ap_writer_stats {
	uint64_t flushes_ok, flushes_failed; /* segments stored; attempts that failed */
	uint64_t rows;			     /* sample rows stored */
	uint64_t periods_in;		     /* ledger: counts of rows taken from the buffer … */
	uint64_t periods_stored;	     /* … and of those stored; the rest is being retried */
	uint64_t stacks, frames;	     /* dictionary rows stored */
	uint64_t flush_ns;		     /* time spent in successful flushes, in all … */
	uint64_t last_flush_ns;		     /* … and in the last one */
	uint64_t segment;		     /* the last one stored */
	char last_error[480];		     /* of the last attempt, "" if it succeeded */
};

/* The highest segment in the store, for struct ap_buffer_config.last_segment; 0 = none. */
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

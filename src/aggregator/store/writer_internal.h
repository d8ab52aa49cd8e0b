/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's own: what its files share. */
#ifndef AP_AGGREGATOR_STORE_WRITER_INTERNAL_H
#define AP_AGGREGATOR_STORE_WRITER_INTERNAL_H

#include <pthread.h>

#include "aggregator/store/hold.h"
#include "aggregator/store/rows.h"
#include "aggregator/store/writer.h"
#include "base/heap.h"

struct ap_writer {
	struct ap_store *store;
	struct ap_buffer *buffer;
	struct ap_wal *wal;
	uint64_t interval, hold_ns;
	uint32_t max_rows;
	pthread_t thread, helper;
	bool has_helper;
	/* The writer's thread's own, while the helper has nothing to do: */
	bool refilling;	       /* what the store had and has lost */
	unsigned int connects; /* of the store's, when what is held was last known to be there */
	/* The writer's thread's own: */
	uint64_t backoff;
	struct ap_heap_watch heap;
	struct ap_rows rows, helper_rows; /* each thread's own, but for what is known */
	struct ap_known *known;
	/* Held while a segment is cut and its rows are made, which what is known belongs to; before `naming`. */
	pthread_mutex_t making;
	/* Held while dictionaries are stored, from before `making` is let go: so they are stored in the order in
	 * which they were made. Guards the next. Before `lock`. */
	pthread_mutex_t naming;
	bool unnamed;	      /* what is known may not be stored */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping;
	bool helping, helper_ends;
	int helped; /* how the last help ended */
	struct ap_hold
		hold; /* the helper only adds to it: while it has nothing to do, the lock is not needed */
	uint64_t asked, done; /* flushes */
	struct ap_writer_stats stats;
};

/* A segment becomes rows and is stored. Called with `making` held, which is let go. */
int ap_writer_store_segment(struct ap_writer *w, struct ap_rows *rows, const struct ap_cut *cut,
			    const struct ap_batch_list *list, struct ap_error *err);

/* Holds the segment that the rows are of, where it has to be: before the buffer is told that it is stored. */
int ap_writer_hold(struct ap_writer *w, const struct ap_rows *rows, uint64_t segment,
		   const struct ap_batch_list *list, struct ap_error *err);
/* Lets go what has been stored for long enough and is there; all is counted after the store was away, and
 * nothing known of what it had. While the helper has nothing to do. */
int ap_writer_check_held(struct ap_writer *w, struct ap_error *err);
/* Lets the log go of what is on the store's disk. By the writer's thread. */
void ap_writer_settle(struct ap_writer *w);

#endif

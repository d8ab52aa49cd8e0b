/* SPDX-License-Identifier: Apache-2.0 */
/* The in-memory buffer between Push and the store.
 *
 * A decoded batch enters as one or more parts: a part's rows lie within one UTC day and are at most
 * AP_PART_ROWS, so that a segment (one insert = one block of one partition) can be made of whole
 * parts. Parts of one batch share its profile.
 *
 *	added --cut--> in a segment --stored--> recent --> gone
 *	                    ^  |
 *	                    +--+ retry
 *
 * A part leaves only after the store has it. Stored parts stay as "recent" while there is room for
 * them (keep_bytes), oldest out first; they make way for new ones at once. The buffer is bounded by
 * bytes: when what is not stored fills it, ap_buffer_add() says -EAGAIN and the agent keeps the
 * batch.
 *
 * Exactly once for readers: the watermark is the largest segment such that it and all before it are
 * stored. ap_buffer_snapshot() gives, in one step, the watermark and every part that no segment up
 * to it holds. Rows of the store with segment ≤ watermark plus these parts are everything, once.
 *
 * Thread-safe. One mutex guards all of it; held for pointer work only. */
#ifndef AP_AGGREGATOR_INGEST_BUFFER_H
#define AP_AGGREGATOR_INGEST_BUFFER_H

#include "base/vec.h"
#include "profile/profile.h"
#include "wire/batch.h"

#define AP_PART_ROWS 100000u

struct ap_buffer;

/* A part of a batch, reference-counted; everything but `refs` and `segment` is constant. */
struct ap_batch {
	uint32_t refs; /* atomic */
	uint32_t part; /* 0: the part that stands for the batch's ledger, reasons and status */
	const struct ap_profile *profile; /* of the whole batch */
	const struct ap_batch_meta *meta; /* of the whole batch */
	/* This part's rows: profile->samples.p[first_row … first_row + n_rows). May be none. */
	size_t first_row, n_rows;
	int64_t min_time_ns, max_time_ns; /* of its rows, inclusive; the batch's range if none */
	int32_t day;			  /* UTC day of its rows: Unix time / 86,400 s */
	uint64_t segment;		  /* atomic: read it with ap_batch_segment() */
	size_t bytes;			  /* of memory: its share of the batch */
	int64_t received_ns;		  /* Unix */
	struct ap_batch_data *data;
};

/* The segment that the part is in, 0 = in none yet. */
static inline uint64_t ap_batch_segment(const struct ap_batch *b)
{
	return __atomic_load_n(&b->segment, __ATOMIC_ACQUIRE);
}
struct ap_batch *ap_batch_ref(struct ap_batch *b);
void ap_batch_unref(struct ap_batch *b); /* NULL is fine */

/* Parts with one reference each. */
struct ap_batch_list {
	struct ap_batch **p;
	size_t n, cap;
};
void ap_batch_list_free(struct ap_batch_list *l); /* drops the references; leaves an empty list */
#define _cleanup_batch_list_ _cleanup_(ap_batch_list_free)

struct ap_buffer_config {
	size_t capacity_bytes; /* 0 = 256 MiB */
	size_t keep_bytes;     /* of stored parts kept as recent; 0 = an eighth of the capacity */
	uint64_t last_segment; /* the largest segment in the store: new ones start after it, and the
				* watermark starts there */
};

int ap_buffer_new(const struct ap_buffer_config *config, struct ap_buffer **ret); /* 0, -ENOMEM */
void ap_buffer_free(struct ap_buffer *buf);

/* Takes over `*profile` (NULL afterwards) on success. Sorts its rows by day where they span more
 * than one; within a day their order stays. 0; -EAGAIN: no room now; -EFBIG: larger than the whole buffer; -EPIPE: closed; -ENOMEM. */
int ap_buffer_add(struct ap_buffer *buf, struct ap_profile **profile,
		  const struct ap_batch_meta *meta);

/* Waits until at least `min_rows` rows are in no segment, the buffer is closed, or the deadline
 * (CLOCK_MONOTONIC ns) has passed. Returns how many such rows there are. */
size_t ap_buffer_wait(struct ap_buffer *buf, size_t min_rows, uint64_t deadline_mono_ns);

/* Takes the next segment for the store: one to retry, else a new one of the oldest parts of one UTC
 * day, of about `max_rows` rows at most (0 = AP_PART_ROWS). 0 and `*ret_list` appended to;
 * -ENOENT: nothing to store; -ENOMEM. Segments are numbered without gaps. */
int ap_buffer_cut(struct ap_buffer *buf, size_t max_rows, uint64_t *ret_segment,
		  struct ap_batch_list *ret_list);
/* The store has the segment for good. -ENOENT: no such segment is out. */
int ap_buffer_stored(struct ap_buffer *buf, uint64_t segment);
/* The insert failed or its outcome is unknown: a later cut gives the same segment with the same
 * rows again. -ENOENT as above. */
int ap_buffer_retry(struct ap_buffer *buf, uint64_t segment);

/* See the top: parts beyond the watermark, in order of arrival, appended. 0, -ENOMEM. */
int ap_buffer_snapshot(struct ap_buffer *buf, uint64_t *ret_watermark,
		       struct ap_batch_list *ret_list);
/* Every part that the buffer holds, recent ones too, oldest first; `ret_watermark` may be NULL.
 * A part is stored if its segment is not 0 and at most the watermark. */
int ap_buffer_recent(struct ap_buffer *buf, uint64_t *ret_watermark,
		     struct ap_batch_list *ret_list);

struct ap_buffer_stats {
	size_t batches;	     /* parts held, recent ones too */
	size_t bytes;	     /* that they take */
	size_t pending_rows; /* not stored yet */
	size_t pending_bytes;
	size_t capacity_bytes;
	uint64_t watermark;
	int64_t oldest_pending_ns; /* when the oldest part not stored came in, Unix; 0 = none */
};
void ap_buffer_get_stats(struct ap_buffer *buf, struct ap_buffer_stats *ret);

/* No more adds; wakes ap_buffer_wait(). Cuts go on until all is stored. */
void ap_buffer_close(struct ap_buffer *buf);
bool ap_buffer_closed(struct ap_buffer *buf);

#endif

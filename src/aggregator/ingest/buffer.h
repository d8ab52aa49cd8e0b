/* SPDX-License-Identifier: Apache-2.0 */
/* The buffer between Push and the store.
 *
 * A decoded batch enters as one or more parts: a part's rows lie within one UTC day and its samples are
 * at most AP_PART_ROWS, so that a segment (one insert = one block of one partition) can be made of whole
 * parts. Parts of one batch share its profile.
 *
 *	announced --committed--> waits --cut--> out --stored--> recent --> gone
 *	    |                                   ^  |
 *	    +--withdrawn                        +--+ retry
 *
 * Which segment a part is in is decided when it is announced, so that the journal can tell of it: after a
 * crash the same rows are in the same segments. Only whole segments go to the store.
 *
 * A part leaves only after the store has it. Stored parts stay as "recent" while there is room for
 * them (keep_bytes), oldest out first; they make way for new ones at once. The buffer is bounded by
 * bytes. What is not stored and does not fit is in the journal alone: such a part has no profile and no
 * meta, and readers do not see it until it is stored. Without a journal it is not taken in, and the agent
 * keeps it.
 *
 * Exactly once for readers: the watermark is the largest segment such that it and all before it are
 * stored. ap_buffer_snapshot() gives, in one step, the watermark and every part that no segment up
 * to it holds. Rows of the store with segment ≤ watermark plus these parts are everything, once.
 *
 * Thread-safe. One mutex guards all of it; held for pointer work only. */
#ifndef AP_AGGREGATOR_INGEST_BUFFER_H
#define AP_AGGREGATOR_INGEST_BUFFER_H

#include "base/journal.h"
#include "base/vec.h"
#include "profile/profile.h"
#include "wire/batch.h"

/* The log tells of a batch's parts, and is to find the same ones in it again. */
#define AP_PART_ROWS	200000u
#define AP_SEGMENT_ROWS 400000u	   /* of several parts, by default */
#define AP_SEGMENTS_MAX (1u << 24) /* that may wait for the store */

struct ap_buffer;

/* A part of a batch, reference-counted; everything but `refs` and `lost` is constant once it is committed. */
struct ap_batch {
	uint32_t refs; /* atomic */
	uint32_t part; /* 0: the part that stands for the batch's ledger, reasons and status */
	const struct ap_profile *profile; /* of the whole batch; NULL: in the journal alone */
	const struct ap_batch_meta *meta; /* of the whole batch; NULL: the same */
	/* This part's rows: profile->samples.p[first_row … first_row + n_rows), and of system calls
	 * profile->syscalls.p[first_call … first_call + n_calls). May be none. */
	size_t first_row, n_rows;
	uint64_t periods; /* the sum of its samples' counts */
	size_t first_call, n_calls;
	int64_t min_time_ns, max_time_ns; /* of its samples, inclusive; the batch's range if none */
	int64_t first_ns, last_ns;	  /* of all its rows, and of its batch; inclusive */
	int32_t day; /* UTC day of its rows, of part 0 the batch's first: Unix time / 86,400 s */
	uint64_t segment;
	size_t bytes;	     /* of memory: its share of the batch */
	int64_t received_ns; /* Unix */
	bool lost;	     /* the writer's own: the journal does not give it back */
	struct ap_batch_data *data;
};

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
	size_t segment_rows;   /* most rows of a segment of several parts; 0 = AP_SEGMENT_ROWS */
	/* With a journal: called, with a lock held, when the store has all of a record's batch, and has settled
	 * it where `hold` is set: then ap_buffer_settle() tells. */
	void (*release)(void *ctx, const struct ap_journal_at *at);
	void *ctx;
	bool hold;
};

int ap_buffer_new(const struct ap_buffer_config *config, struct ap_buffer **ret); /* 0, -ENOMEM */
void ap_buffer_free(struct ap_buffer *buf);

/* Begins to take a batch in: its parts with their segments are appended to the empty list, nobody sees them
 * yet. Takes over `*profile` (NULL afterwards) on success. Sorts its rows by day where they span more
 * than one; within a day their order stays. 0; without a journal -EAGAIN: no room now, -EFBIG: larger than
 * the whole buffer; -EPIPE: closed; -ENOMEM. Either of the next two must follow. */
int ap_buffer_announce(struct ap_buffer *buf, struct ap_profile **profile,
		       const struct ap_batch_meta *meta, struct ap_batch_list *ret);
/* The batch is in: for good, if it is in the journal (`at`; NULL: without one). Empties the list. */
void ap_buffer_commit(struct ap_buffer *buf, struct ap_batch_list *list,
		      const struct ap_journal_at *at);
/* It will not be; its profile is the caller's again. Empties the list. */
struct ap_profile *ap_buffer_withdraw(struct ap_buffer *buf, struct ap_batch_list *list);
/* All of it at once, without a journal. */
int ap_buffer_add(struct ap_buffer *buf, struct ap_profile **profile,
		  const struct ap_batch_meta *meta);

/* What the journal tells of a batch that was committed before the start. */
struct ap_restore {
	struct ap_journal_at at;
	const uint64_t *segments; /* of its parts, in their order */
	uint32_t n_parts;
	uint64_t watermark; /* when it was announced */
};
/* Before anything else enters, in the order of the journal: puts a batch into its segments again. Takes the
 * profile over, whatever happens. 1; 0: the store has all of it; -EBADMSG: the parts are others; -ENOMEM. */
int ap_buffer_restore(struct ap_buffer *buf, struct ap_profile **profile,
		      const struct ap_batch_meta *meta, const struct ap_restore *from);
/* Ends that: segments up to `stored` are known to be in the store, and new ones start after `last`. 0, -ENOMEM. */
int ap_buffer_restored(struct ap_buffer *buf, uint64_t stored, uint64_t last);

/* Waits until at least `min_rows` rows were not cut yet, the buffer is closed, or the deadline
 * (CLOCK_MONOTONIC ns) has passed. Returns how many such rows there are. */
size_t ap_buffer_wait(struct ap_buffer *buf, size_t min_rows, uint64_t deadline_mono_ns);

struct ap_cut {
	uint64_t segment;
	bool unsure; /* the store may have it, or some of its tables: it is to be asked first */
	bool again;  /* it was cut before */
};
/* Takes the next segment for the store: one to retry, else the oldest. 0 and `*ret_list` appended to, in
 * the order of the journal, so that the rows are in the same order whenever they are sent; -ENOENT: nothing to store; -ENOMEM. Segments are numbered without gaps. */
int ap_buffer_cut(struct ap_buffer *buf, struct ap_cut *ret, struct ap_batch_list *ret_list);
/* The store has the segment for good. -ENOENT: no such segment is out. */
int ap_buffer_stored(struct ap_buffer *buf, uint64_t segment);
/* The insert failed, or its outcome is unknown (`unsure`): a later cut gives the same segment with the same
 * rows again. -ENOENT as above. */
int ap_buffer_retry(struct ap_buffer *buf, uint64_t segment, bool unsure);
uint64_t ap_buffer_watermark(struct ap_buffer *buf);
/* When the rows of stored segments (after, upto] are of, and the batches that they are from: inclusive, min > max
 * where there are none. False: it is not known, since that was long ago or before the start, or they
 * are not stored. */
bool ap_buffer_stored_times(struct ap_buffer *buf, uint64_t after, uint64_t upto,
			    int64_t *ret_min_ns, int64_t *ret_max_ns);
/* With `hold`: segments up to this one, which are stored, cannot be lost by the store any more. */
void ap_buffer_settle(struct ap_buffer *buf, uint64_t segment);
/* The last segment that is so; without `hold` the watermark. */
uint64_t ap_buffer_settled(struct ap_buffer *buf);

/* See the top: parts beyond the watermark that are in memory, in order of arrival, appended; to `ret_hidden`
 * (may be NULL) those that are in the journal alone. 0, -ENOMEM. */
int ap_buffer_snapshot(struct ap_buffer *buf, uint64_t *ret_watermark,
		       struct ap_batch_list *ret_list, struct ap_batch_list *ret_hidden);
/* Every part that is in memory, recent ones too, oldest first; `ret_watermark` may be NULL.
 * A part is stored if its segment is at most the watermark. */
int ap_buffer_recent(struct ap_buffer *buf, uint64_t *ret_watermark, struct ap_batch_list *ret_list,
		     struct ap_batch_list *ret_hidden);

struct ap_buffer_stats {
	size_t batches;	      /* parts held, recent ones too */
	size_t bytes;	      /* that they take */
	size_t pending_rows;  /* not stored yet */
	size_t hidden_rows;   /* of those, in the journal alone */
	size_t restored_rows; /* that an earlier run had left to be stored, at the start */
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

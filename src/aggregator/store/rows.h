/* SPDX-License-Identifier: Apache-2.0 */
/* A segment as blocks: from the batches' profiles to rows of samples, stacks, frames and ledger.
 * Stacks and frames that are known for the day, because rows were made of them before, are left out. What is known may
 * be shared: one thread at a time makes rows. */
#ifndef AP_AGGREGATOR_STORE_ROWS_H
#define AP_AGGREGATOR_STORE_ROWS_H

#include "aggregator/ingest/buffer.h"
#include "aggregator/store/native.h"

/* Which stacks and frames are known, by day. */
struct ap_known;

struct ap_known *ap_known_new(void); /* NULL = out of memory */
void ap_known_free(struct ap_known *k);
/* Of that day, or of all, rows may not have reached the store: nothing is known any more. */
void ap_known_forget(struct ap_known *k, int32_t day);
void ap_known_forget_all(struct ap_known *k);

struct ap_rows {
	struct ap_native_block *samples, *stacks, *frames, *syscalls, *ledger;
	struct ap_rows_samples *gathered; /* until ap_rows_finish() */
	uint64_t segment;
	uint64_t periods; /* sum of the samples' counts */
	struct ap_known *known;
};

int ap_rows_init(struct ap_rows *r, struct ap_known *known); /* 0 or -ENOMEM; `known` outlives it */
void ap_rows_free(struct ap_rows *r);
/* Forgets the rows, keeps what is known. */
void ap_rows_clear(struct ap_rows *r);
/* Adds a batch's part to the segment; all of a segment lies in one UTC day. 0, -ENOMEM, -EINVAL. */
int ap_rows_add(struct ap_rows *r, const struct ap_batch *b, uint64_t segment);
/* After the last one, before the blocks are used: 0 or -ENOMEM. */
int ap_rows_finish(struct ap_rows *r);

#endif

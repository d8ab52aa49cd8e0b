/* SPDX-License-Identifier: Apache-2.0 */
/* A segment as blocks: from the batches' profiles to rows of samples, stacks, frames and ledger.
 * Stacks and frames that are known to be stored for the day are left out. One thread. */
#ifndef AP_AGGREGATOR_STORE_ROWS_H
#define AP_AGGREGATOR_STORE_ROWS_H

#include "aggregator/ingest/buffer.h"
#include "aggregator/store/native.h"

struct ap_rows {
	struct ap_native_block *samples, *stacks, *frames, *syscalls, *ledger;
	uint64_t periods; /* sum of the samples' counts */
	struct ap_known *known;
};

int ap_rows_init(struct ap_rows *r); /* 0 or -ENOMEM */
void ap_rows_free(struct ap_rows *r);
/* Forgets the rows, keeps what is known to be stored. */
void ap_rows_clear(struct ap_rows *r);
/* Adds a batch's part to the segment; all of a segment lies in one UTC day. 0, -ENOMEM, -EINVAL. */
int ap_rows_add(struct ap_rows *r, const struct ap_batch *b, uint64_t segment);
/* What the blocks hold may not have reached the store: nothing of that day is known any more. */
void ap_rows_forget(struct ap_rows *r, int32_t day);

#endif

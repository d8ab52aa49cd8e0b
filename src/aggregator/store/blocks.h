/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of a query on its way: its bytes as they arrive, cut into blocks, within the bounds of
 * the query. Shared by the drivers. */
#ifndef AP_AGGREGATOR_STORE_BLOCKS_H
#define AP_AGGREGATOR_STORE_BLOCKS_H

#include "aggregator/store/store.h"

struct ap_blocks {
	const struct ap_store_limits *limits;
	uint64_t timeout_ns, deadline; /* CLOCK_MONOTONIC */
	ap_store_block_fn fn;
	void *ctx;
	uint64_t rows;
	size_t wanted; /* no block ends before so many bytes are pending, as far as is known */
	struct ap_buf pending; /* bytes that are not a whole block yet */
	struct ap_native_view view;
};

/* The time begins to run. */
void ap_blocks_begin(struct ap_blocks *b, const struct ap_store_limits *limits,
		     ap_store_block_fn fn, void *ctx);
void ap_blocks_free(struct ap_blocks *b);
/* -ECANCELED or -ETIMEDOUT once it is time to stop. */
int ap_blocks_check(const struct ap_blocks *b, struct ap_error *err);
/* More bytes: hands over the blocks that are whole. 0, what the block function returned, -E2BIG (too
 * many rows), -EBADMSG, -ENOTSUP, -ENOMEM. */
int ap_blocks_add(struct ap_blocks *b, struct ap_str bytes, struct ap_error *err);
/* There are no more: the same, and -EBADMSG where the answer ends within a block. */
int ap_blocks_end(struct ap_blocks *b, struct ap_error *err);

#endif

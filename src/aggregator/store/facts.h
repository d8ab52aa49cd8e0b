/* SPDX-License-Identifier: Apache-2.0 */
/* The table `rollups`: what all that share a store are to know of it. Of several rows of a kind and a writer the
 * largest value holds, so a fact is never taken back. */
#ifndef AP_AGGREGATOR_STORE_FACTS_H
#define AP_AGGREGATOR_STORE_FACTS_H

#include "aggregator/store/store.h"

enum ap_fact {
	AP_FACT_UPTO = 0,   /* + level: a writer's segments up to the value are built (rollup.h) */
	AP_FACT_WHOLE = 16, /* + level: days from the value on (Unix seconds) are whole; writer 0 */
	AP_FACT_TURN = 32,  /* odd: he stores segments, even: he has left (peers.h) */
};

/* Blocks of three columns: kind, writer, value; `limits` may be NULL. Errors of statements. */
int ap_facts_read(struct ap_store *s, const struct ap_store_limits *limits, ap_store_block_fn fn,
		  void *ctx, struct ap_error *err);
int ap_facts_note(struct ap_store *s, unsigned int kind, uint64_t writer, uint64_t value,
		  struct ap_error *err);

#endif

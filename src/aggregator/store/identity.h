/* SPDX-License-Identifier: Apache-2.0 */
/* What a batch's rows are called in the store: content ids of its frames and stacks, and the value
 * of each label as it is stored. Writer and queries share it, so that a row means the same whether
 * it is still buffered or already stored. */
#ifndef AP_AGGREGATOR_STORE_IDENTITY_H
#define AP_AGGREGATOR_STORE_IDENTITY_H

#include "aggregator/ingest/buffer.h"

struct ap_identity {
	uint64_t *frames, *stacks; /* by the profile's own ids */
};

/* Hashes all of a profile's frames and stacks: 0 or -ENOMEM. */
int ap_identity_of(const struct ap_profile *p, struct ap_identity *ret);
void ap_identity_free(struct ap_identity *id);
#define _cleanup_identity_ _cleanup_(ap_identity_free)

/* A label of a row: the label set's own value, else what the batch says of its agent ("agent",
 * "host"), else "". "agent" is always the batch's. */
struct ap_str ap_batch_label(const struct ap_batch *b, uint32_t set, struct ap_str key);

/* Grows from batch to batch of an agent. */
uint64_t ap_store_batch_order(const struct ap_batch_meta *m);

/* The second that a time lies in, as stored; times before 1970 and after 2106 are cut to those. */
uint32_t ap_store_second(int64_t time_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A set of sequence numbers as sorted ranges: small, because an agent's sequences come almost
 * without gaps. Bounded: with more than AP_SEQUENCE_RANGES_MAX ranges the oldest gap closes, that is,
 * its numbers count as seen. An agent sends in order and drops its oldest batches first, so what
 * lies a thousand gaps back will not come any more. */
#ifndef AP_AGGREGATOR_INGEST_SEQUENCE_H
#define AP_AGGREGATOR_INGEST_SEQUENCE_H

#include "base/vec.h"

#define AP_SEQUENCE_RANGES_MAX 1024

struct ap_sequence_range {
	uint64_t first, last; /* inclusive */
};

struct ap_sequence_set {
	AP_VEC(struct ap_sequence_range) ranges; /* ascending, at least one number apart */
};

void ap_sequence_free(struct ap_sequence_set *s);
bool ap_sequence_has(const struct ap_sequence_set *s, uint64_t n);
/* 0; -EEXIST: it was in already; -ENOMEM. */
int ap_sequence_add(struct ap_sequence_set *s, uint64_t n);
/* Puts in all numbers of a range, whichever are in already. 0; -EINVAL: first > last; -ENOMEM. */
int ap_sequence_add_range(struct ap_sequence_set *s, uint64_t first, uint64_t last);
/* Takes out a number that ap_sequence_add() has just put in. */
void ap_sequence_remove(struct ap_sequence_set *s, uint64_t n);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* How many questions run at once, how many more wait for their turn, and what became of all of them.
 * Thread-safe. */
#ifndef AP_AGGREGATOR_QUERY_GUARD_H
#define AP_AGGREGATOR_QUERY_GUARD_H

#include <pthread.h>

#include "aggregator/query/query.h"

struct ap_query_guard {
	uint32_t max_running, max_waiting;
	uint64_t max_wait_ns;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t permit;
	struct ap_query_stats stats;
};

void ap_query_guard_init(struct ap_query_guard *g, const struct ap_query_engine_options *o);
void ap_query_guard_destroy(struct ap_query_guard *g);

/* Takes a permit, or waits for one: 0; -EBUSY: too many wait already, or it took too long;
 * -ECANCELED. */
int ap_query_guard_enter(struct ap_query_guard *g, const atomic_bool *cancel, struct ap_error *err);
/* Gives the permit back. */
void ap_query_guard_leave(struct ap_query_guard *g);
/* Counts what a question came to: 0 or its error. It took `ns`, its wait included. */
void ap_query_guard_count(struct ap_query_guard *g, enum ap_query_kind kind, int result,
			  uint64_t ns);

#endif

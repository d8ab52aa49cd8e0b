/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that threads share: each is used by one thread at a time. Thread-safe. */
#ifndef AP_AGGREGATOR_STORE_POOL_H
#define AP_AGGREGATOR_STORE_POOL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"

enum { AP_POOL_DEFAULT = 2, AP_POOL_MAX = 64 };

struct ap_pool {
	pthread_mutex_t lock; /* guards what follows; never held while a connection is in use */
	pthread_cond_t given; /* one has become free */
	void *free[AP_POOL_MAX];
	unsigned int n_free;
};

void ap_pool_init(struct ap_pool *p);
/* The connections must have been taken out. */
void ap_pool_destroy(struct ap_pool *p);
/* One that is free, or becomes so until the deadline (CLOCK_MONOTONIC); else NULL and -EBUSY in
 * `err`, or -ECANCELED once `cancel` (may be NULL) is set. Deadline 0: does not wait. */
void *ap_pool_take(struct ap_pool *p, uint64_t deadline, const atomic_bool *cancel,
		   struct ap_error *err);
/* Gives one back, or in: AP_POOL_MAX at most. */
void ap_pool_give(struct ap_pool *p, void *connection);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/pool.h"

#include "base/clock.h"

#define LOOK_NS (20 * AP_NSEC_PER_MSEC) /* how often a wish to cancel is looked for */

void ap_pool_init(struct ap_pool *p)
{
	pthread_condattr_t attr;

	p->n_free = 0;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->given, &attr);
	pthread_condattr_destroy(&attr);
}

void ap_pool_destroy(struct ap_pool *p)
{
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->given);
}

/* Until one is given, the deadline or, where there may be a wish to cancel, a moment has passed. */
static void wait_given(struct ap_pool *p, uint64_t deadline, const atomic_bool *cancel)
{
	uint64_t until = cancel ? AP_MIN(deadline, ap_clock_mono_ns() + LOOK_NS) : deadline;
	struct timespec ts = {(time_t)(until / AP_NSEC_PER_SEC), (long)(until % AP_NSEC_PER_SEC)};

	pthread_cond_timedwait(&p->given, &p->lock, &ts);
}

void *ap_pool_take(struct ap_pool *p, uint64_t deadline, const atomic_bool *cancel,
		   struct ap_error *err)
{
	bool cancelled = false;
	void *connection = NULL;

	pthread_mutex_lock(&p->lock);
	while (p->n_free == 0 && !cancelled && ap_clock_mono_ns() < deadline) {
		wait_given(p, deadline, cancel);
		cancelled = cancel && atomic_load(cancel);
	}
	if (p->n_free > 0)
		connection = p->free[--p->n_free];
	pthread_mutex_unlock(&p->lock);
	if (connection)
		return connection;
	if (cancelled)
		ap_error_set(err, -ECANCELED, "the query was cancelled");
	else
		ap_error_set(err, -EBUSY,
			     "the store is busy with other queries: try again in a moment");
	return NULL;
}

void ap_pool_give(struct ap_pool *p, void *connection)
{
	pthread_mutex_lock(&p->lock);
	p->free[p->n_free++] = connection;
	pthread_cond_signal(&p->given);
	pthread_mutex_unlock(&p->lock);
}

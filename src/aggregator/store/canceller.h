/* SPDX-License-Identifier: Apache-2.0 */
/* Stops statements whose asker no longer waits. The thread that runs a statement of the embedded engine
 * sleeps in it until the first rows are there, which may be at its very end: another thread looks after
 * the wish to cancel and has the engine end the statement. Thread-safe. */
#ifndef AP_AGGREGATOR_STORE_CANCELLER_H
#define AP_AGGREGATOR_STORE_CANCELLER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/macro.h"

/* A statement that runs; the runner's own memory. */
struct ap_cancel_watch {
	struct ap_cancel_watch *next;
	uint64_t id; /* of the statement, for `kill` */
	const atomic_bool *cancel;
};

struct ap_canceller {
	pthread_mutex_t lock; /* guards what follows; not held while `kill` runs */
	pthread_cond_t changed;
	struct ap_cancel_watch *watches;
	bool stopping, started;
	pthread_t thread;
	void (*kill)(void *ctx, uint64_t id); /* asks the engine; called again until it has ended */
	void *ctx;
};

/* 0 or -errno; `kill` runs in the canceller's own thread. */
int ap_canceller_start(struct ap_canceller *c, void (*kill)(void *ctx, uint64_t id), void *ctx);
/* No watch may be left. A canceller that is zero, and was never started, is fine. */
void ap_canceller_stop(struct ap_canceller *c);

/* Around the statement; with `cancel` NULL they do nothing. */
void ap_canceller_watch(struct ap_canceller *c, struct ap_cancel_watch *w);
void ap_canceller_unwatch(struct ap_canceller *c, struct ap_cancel_watch *w);

#endif

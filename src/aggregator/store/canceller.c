/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/canceller.h"

#include <errno.h>

#include "base/clock.h"

#define LOOK_NS (20 * AP_NSEC_PER_MSEC) /* how often a wish to cancel is looked for */
#define AGAIN_NS \
	(100 * AP_NSEC_PER_MSEC) /* a statement that was asked to end before it had begun */

enum { AT_ONCE = 16 };

/* Which statements are to end. With the lock held. */
static size_t list_cancelled(const struct ap_canceller *c, uint64_t ids[AT_ONCE])
{
	size_t n = 0;

	for (const struct ap_cancel_watch *w = c->watches; w && n < AT_ONCE; w = w->next)
		if (atomic_load(w->cancel))
			ids[n++] = w->id;
	return n;
}

/* With the lock held. */
static void pause_for(struct ap_canceller *c, uint64_t ns)
{
	uint64_t until = ap_clock_mono_ns() + ns;
	struct timespec ts = {(time_t)(until / AP_NSEC_PER_SEC), (long)(until % AP_NSEC_PER_SEC)};

	if (c->watches)
		pthread_cond_timedwait(&c->changed, &c->lock, &ts);
	else
		pthread_cond_wait(&c->changed, &c->lock);
}

static void *canceller_main(void *arg)
{
	struct ap_canceller *c = arg;
	uint64_t ids[AT_ONCE];
	size_t n;

	pthread_mutex_lock(&c->lock);
	while (!c->stopping) {
		n = list_cancelled(c, ids);
		pthread_mutex_unlock(&c->lock);
		for (size_t i = 0; i < n; i++)
			c->kill(c->ctx, ids[i]);
		pthread_mutex_lock(&c->lock);
		if (!c->stopping)
			pause_for(c, n ? AGAIN_NS : LOOK_NS);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int ap_canceller_start(struct ap_canceller *c, void (*kill)(void *ctx, uint64_t id), void *ctx)
{
	pthread_condattr_t attr;
	int r;

	*c = (struct ap_canceller){.kill = kill, .ctx = ctx};
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	r = pthread_create(&c->thread, NULL, canceller_main, c);
	c->started = r == 0;
	if (!c->started) {
		pthread_cond_destroy(&c->changed);
		pthread_mutex_destroy(&c->lock);
	}
	return -r;
}

void ap_canceller_stop(struct ap_canceller *c)
{
	if (!c->started)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	c->started = false;
}

void ap_canceller_watch(struct ap_canceller *c, struct ap_cancel_watch *w)
{
	if (!w->cancel)
		return;
	pthread_mutex_lock(&c->lock);
	w->next = c->watches;
	c->watches = w;
	/* The first one wakes it from its sleep; the others it finds when it looks next. */
	if (!w->next)
		pthread_cond_signal(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

void ap_canceller_unwatch(struct ap_canceller *c, struct ap_cancel_watch *w)
{
	if (!w->cancel)
		return;
	pthread_mutex_lock(&c->lock);
	for (struct ap_cancel_watch **at = &c->watches; *at; at = &(*at)->next) {
		if (*at == w) {
			*at = w->next;
			break;
		}
	}
	pthread_mutex_unlock(&c->lock);
}

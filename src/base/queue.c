/* SPDX-License-Identifier: Apache-2.0 */
#include "base/queue.h"

#include <pthread.h>
#include <time.h>

struct ap_queue {
	pthread_mutex_t lock; /* guards everything below */
	pthread_cond_t not_empty, not_full;
	bool closed;
	size_t head, n, cap;
	void *items[];
};

struct ap_queue *ap_queue_new(size_t capacity)
{
	struct ap_queue *q = calloc(1, sizeof(*q) + capacity * sizeof(void *));
	pthread_condattr_t attr;

	if (!q)
		return NULL;
	q->cap = capacity;
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->not_empty, &attr);
	pthread_cond_init(&q->not_full, &attr);
	pthread_condattr_destroy(&attr);
	return q;
}

void ap_queue_free(struct ap_queue *q)
{
	if (!q)
		return;
	pthread_cond_destroy(&q->not_empty);
	pthread_cond_destroy(&q->not_full);
	pthread_mutex_destroy(&q->lock);
	free(q);
}

static int push(struct ap_queue *q, void *item, bool wait)
{
	int r = 0;

	pthread_mutex_lock(&q->lock);
	while (wait && q->n == q->cap && !q->closed)
		pthread_cond_wait(&q->not_full, &q->lock);
	if (q->closed) {
		r = -EPIPE;
	} else if (q->n == q->cap) {
		r = -EAGAIN;
	} else {
		q->items[(q->head + q->n++) % q->cap] = item;
		pthread_cond_signal(&q->not_empty);
	}
	pthread_mutex_unlock(&q->lock);
	return r;
}

int ap_queue_try_push(struct ap_queue *q, void *item)
{
	return push(q, item, false);
}

int ap_queue_push(struct ap_queue *q, void *item)
{
	return push(q, item, true);
}

void *ap_queue_pop(struct ap_queue *q, uint64_t deadline)
{
	struct timespec ts = {(time_t)(deadline / 1000000000u), (long)(deadline % 1000000000u)};
	void *item = NULL;
	int r = 0;

	pthread_mutex_lock(&q->lock);
	while (q->n == 0 && !q->closed && r == 0) {
		if (deadline == UINT64_MAX)
			pthread_cond_wait(&q->not_empty, &q->lock);
		else
			r = pthread_cond_timedwait(&q->not_empty, &q->lock, &ts);
	}
	if (q->n) {
		item = q->items[q->head];
		q->head = (q->head + 1) % q->cap;
		q->n--;
		pthread_cond_signal(&q->not_full);
	}
	pthread_mutex_unlock(&q->lock);
	return item;
}

void ap_queue_close(struct ap_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_broadcast(&q->not_empty);
	pthread_cond_broadcast(&q->not_full);
	pthread_mutex_unlock(&q->lock);
}

bool ap_queue_closed(struct ap_queue *q)
{
	bool closed;

	pthread_mutex_lock(&q->lock);
	closed = q->closed;
	pthread_mutex_unlock(&q->lock);
	return closed;
}

size_t ap_queue_length(struct ap_queue *q)
{
	size_t n;

	pthread_mutex_lock(&q->lock);
	n = q->n;
	pthread_mutex_unlock(&q->lock);
	return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded queue of pointers between threads. It never grows: a push to a full queue waits or
 * fails, as its caller chooses, so that pressure travels back to the source. */
#ifndef AP_BASE_QUEUE_H
#define AP_BASE_QUEUE_H

#include "base/macro.h"

struct ap_queue;

struct ap_queue *ap_queue_new(size_t capacity); /* NULL = out of memory */
/* Does not free what is still inside: drain first. */
void ap_queue_free(struct ap_queue *q);
/* 0, -EAGAIN (full), -EPIPE (closed). */
int ap_queue_try_push(struct ap_queue *q, void *item);
/* Waits for room: 0 or -EPIPE. */
int ap_queue_push(struct ap_queue *q, void *item);
/* Waits for an item, at most until `deadline_mono_ns` (UINT64_MAX: for ever; 0: not at all).
 * NULL: nothing came, or the queue is closed and empty. */
void *ap_queue_pop(struct ap_queue *q, uint64_t deadline_mono_ns);
/* No more pushes; pops hand out what is left, then NULL at once. */
void ap_queue_close(struct ap_queue *q);
bool ap_queue_closed(struct ap_queue *q);
size_t ap_queue_length(struct ap_queue *q);

#endif

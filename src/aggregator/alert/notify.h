/* SPDX-License-Identifier: Apache-2.0 */
/* The thread that delivers notifications to webhooks. What cannot be delivered is tried again, ever more
 * seldom, for about an hour; messages of one rule to one address keep their order. The queue is bounded:
 * what does not fit, and what is given up, is counted. What waits when the program ends, however it ends, is tried
 * again by the next one (outbox.h). */
#ifndef AP_AGGREGATOR_ALERT_NOTIFY_H
#define AP_AGGREGATOR_ALERT_NOTIFY_H

#include "aggregator/alert/outbox.h"
#include "base/buf.h"

#define AP_NOTIFY_MAX	 256	   /* messages that wait */
#define AP_NOTIFY_AGE_MS 3600000ll /* older ones are no news any more */

struct ap_notifier;

struct ap_notifier_options {
	unsigned int timeout_ms;    /* of one try; 0 = 10 s */
	unsigned int first_wait_ms; /* after the first failure, then doubled; 0 = 1 s */
	unsigned int tries;	    /* 0 = 12, which take about 40 minutes */
	const char *path;	    /* of the file with the outbox; NULL: none */
};

/* 0, -ENOMEM, -EAGAIN (no thread), errors of ap_database_open(). */
int ap_notifier_start(const struct ap_notifier_options *o, struct ap_notifier **ret,
		      struct ap_error *err);
/* Tries once more what waits, within one try's time-out in all, then frees. NULL is fine. */
void ap_notifier_stop(struct ap_notifier *n);

/* `m` is copied. -ENOSPC: the queue is full, counted as dropped; -ENOMEM. What is refused stays in the outbox for
 * the caller to take out. */
int ap_notifier_push(struct ap_notifier *n, const struct ap_outbox_message *m);

struct ap_notifier_stats {
	uint64_t delivered, retried, dropped;
	uint32_t waiting;
	char last_error[480]; /* with the address's host; "" after a delivery */
};
void ap_notifier_get_stats(struct ap_notifier *n, struct ap_notifier_stats *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Notifications on their way, as a table: put there with the state that they tell of, in one transaction, and
 * taken out when they were delivered or given up. What a crash leaves is what was not delivered, or was in the very
 * moment. */
#ifndef AP_AGGREGATOR_ALERT_OUTBOX_H
#define AP_AGGREGATOR_ALERT_OUTBOX_H

#include "aggregator/state/database.h"

struct ap_outbox_message {
	uint64_t id; /* 0: not in the table */
	uint64_t rule;
	const char *url, *body;
	int64_t created_ms; /* Unix */
};

int ap_outbox_put(struct ap_database *db, const struct ap_outbox_message *m, uint64_t *ret_id,
		  struct ap_error *err);
int ap_outbox_delete(struct ap_database *db, uint64_t id);
/* Oldest first; the texts live as long as the call, and a negative result ends it. */
int ap_outbox_load(struct ap_database *db, int (*fn)(void *ctx, const struct ap_outbox_message *m),
		   void *ctx, struct ap_error *err);

#endif

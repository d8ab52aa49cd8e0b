/* SPDX-License-Identifier: Apache-2.0 */
/* What agents were asked to do, as a table, so that the aggregator's next start asks for what is left of it. What has
 * ended by then is neither asked for again nor kept. */
#ifndef AP_AGGREGATOR_INGEST_WANTED_H
#define AP_AGGREGATOR_INGEST_WANTED_H

#include "aggregator/ingest/agents.h"
#include "aggregator/state/database.h"

/* In place of what that agent was asked before. */
int ap_wanted_put(struct ap_database *db, const char *agent, const struct ap_wanted *w,
		  struct ap_error *err);
/* Drops what has ended at `now_ns` (Unix) and calls `fn` for the others. */
int ap_wanted_load(struct ap_database *db, int64_t now_ns,
		   void (*fn)(void *ctx, const char *agent, const struct ap_wanted *w), void *ctx,
		   struct ap_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that build rollups share. */
#ifndef AP_AGGREGATOR_STORE_ROLLUP_INTERNAL_H
#define AP_AGGREGATOR_STORE_ROLLUP_INTERNAL_H

#include "aggregator/store/rollup.h"
#include "aggregator/store/rollup_hold.h"

struct ap_rollup {
	struct ap_store *store;
	uint64_t hold_ns;
	/* Of the thread that builds: */
	struct ap_rollup_hold hold;
	bool aligned; /* what is held follows what the store says is complete */
	uint64_t goal[AP_ROLLUP_LEVELS];
	pthread_mutex_t lock; /* guards what follows */
	bool known;
	struct ap_rollup_view view;
	struct ap_rollup_stats stats;
};

/* Chooses the end of the range after `after`, at most `upto`; what was begun is what is to be completed first, if
 * `begun`: then there are rows beyond what is known. */
int ap_rollup_choose(struct ap_rollup *r, enum ap_rollup_level level, uint64_t after, uint64_t upto,
		     bool begun, uint64_t *ret, struct ap_error *err);
/* Makes what lacks of a range's rows, and lists the days that it has any of. */
int ap_rollup_build(struct ap_rollup *r, enum ap_rollup_level level,
		    const struct ap_rollup_range *range, struct ap_held_days *ret,
		    struct ap_error *err);

#endif

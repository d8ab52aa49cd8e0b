/* SPDX-License-Identifier: Apache-2.0 */
/* The statements that build rollups; the store's own. */
#ifndef AP_AGGREGATOR_STORE_ROLLUP_SQL_H
#define AP_AGGREGATOR_STORE_ROLLUP_SQL_H

#include "aggregator/store/rollup.h"

/* Segments (after, to] of one writer. */
struct ap_rollup_range {
	uint64_t after, to;
};

/* Appends the INSERT … SELECT of a family's rows of one day (its begin, Unix seconds) from the level
 * below; the family has that level. `ordered`: the same rows come in the same order each time. */
void ap_rollup_sql(enum ap_rollup_family f, enum ap_rollup_level level,
		   const struct ap_rollup_range *range, uint32_t day, bool ordered,
		   struct ap_buf *sql);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept and what goes first: a pure function of what each day takes, the limits and the time.
 *
 * A day goes from a level once all of it is older than the level's retention. Where that leaves more
 * than there is room for, oldest days go before their time: of the rows themselves first, since they are
 * nine tenths of all bytes and of what they say only seconds, processes and threads are lost; when just
 * today is left of those, of the hours, for what is said by days remains; then the days. Today stays. */
#ifndef AP_AGGREGATOR_STORE_KEEP_H
#define AP_AGGREGATOR_STORE_KEEP_H

#include "aggregator/store/parts.h"
#include "aggregator/store/rollup.h"

/* The names of stacks, and the ledger by hour, which every level needs: kept as long as the longest. */
enum { AP_KEEP_SHARED = AP_ROLLUP_LEVELS, AP_KEEP_LEVELS };

/* The level of a table, AP_KEEP_LEVELS: none, it does not go by days. */
unsigned int ap_keep_level(const char *table);
/* "raw", "hourly", "daily", "shared" */
extern const char *const ap_keep_level_names[AP_KEEP_LEVELS];

struct ap_keep_limits {
	uint64_t retention_s[AP_ROLLUP_LEVELS]; /* each at least as long as the one before */
	uint64_t max_bytes;			/* of all tables; UINT64_MAX: no bound */
	uint64_t must_free;			/* bytes that are to become free in any case */
};

struct ap_keep_plan {
	int32_t before[AP_KEEP_LEVELS]; /* days before that one go */
	/* Where room is what made that so: the day that the retention alone would say. */
	int32_t due[AP_KEEP_LEVELS];
	uint64_t short_of; /* bytes that are still to be freed when nothing is left to go */
};
void ap_keep_plan(const struct ap_store_days *days, const struct ap_keep_limits *l, int64_t now_s,
		  struct ap_keep_plan *ret);

enum ap_keep_limit { AP_KEEP_BY_RETENTION, AP_KEEP_BY_BUDGET, AP_KEEP_BY_FREE };
extern const char *const ap_keep_limit_names[]; /* "retention", "budget", "free" */

struct ap_keep_forecast {
	uint64_t bytes_per_day; /* that come, of all tables; 0: not known yet */
	uint64_t bytes_full;	/* once each table holds all that its retention says */
	double days_left;	/* until room is what makes days go; -1: never, or not known */
	enum ap_keep_limit acts_first;
};
/* `room` and `spare`: how much may come until the budget, and until the free part of the disk, is used
 * up; UINT64_MAX: no bound. */
void ap_keep_forecast(const struct ap_store_days *days, const struct ap_keep_limits *l,
		      int64_t now_s, uint64_t room, uint64_t spare, struct ap_keep_forecast *ret);
/* What whole days of late have brought a table, on average; 0: there is none yet. */
uint64_t ap_keep_bytes_per_day(const struct ap_store_days *days, const char *table, int64_t now_s);

#endif

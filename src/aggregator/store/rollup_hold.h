/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges of sums that a server has taken and may not have on disk.
 *
 * As with segments (hold.h), a server that does not sync what it inserts may come back without it. So a range is not
 * written down as complete when its sums have been made, but when they are still there after the time of the hold:
 * until then questions are answered from what it sums up. What lacks is made again. Nor does what was written down
 * survive for certain, so a range is held until that has been read again after another such time.
 *
 * Rows of sums tell where their range ends, not where it begins. That is in a file of the data folder, which has a
 * range before its first row is made: so several can be in doubt at once, and be completed whatever is left of them. */
#ifndef AP_AGGREGATOR_STORE_ROLLUP_HOLD_H
#define AP_AGGREGATOR_STORE_ROLLUP_HOLD_H

#include "aggregator/store/rollup_sql.h"

/* Of one level; the file has 60 bytes of each. */
enum { AP_ROLLUP_HELD_MAX = 1000 };

struct ap_held_day {
	enum ap_rollup_family family;
	uint32_t day; /* its begin, Unix seconds */
	bool found;
};
struct ap_held_days {
	AP_VEC(struct ap_held_day) v;
};
struct ap_held_range {
	struct ap_rollup_range range;
	struct ap_held_days days; /* that it has sums of */
	uint64_t since;		  /* it was made, or noted: CLOCK_MONOTONIC, ns */
	bool made;		  /* all its rows were there at that time */
	bool noted;		  /* written down as complete */
};
struct ap_rollup_hold {
	char *path; /* NULL: it is not kept */
	struct {
		AP_VEC(struct ap_held_range) v; /* each follows the one before */
	} levels[AP_ROLLUP_LEVELS];
};

/* Reads the ranges of the folder's file, if there is one; `base` is the writer's. */
int ap_rollup_hold_open(struct ap_rollup_hold *h, const char *folder, uint64_t base,
			struct ap_error *err);
void ap_rollup_hold_free(struct ap_rollup_hold *h);
/* On disk when they return 0; otherwise nothing has changed. */
int ap_rollup_hold_add(struct ap_rollup_hold *h, enum ap_rollup_level level,
		       const struct ap_rollup_range *range, struct ap_error *err);
int ap_rollup_hold_drop(struct ap_rollup_hold *h, enum ap_rollup_level level, size_t first,
			struct ap_error *err);
/* Where ranges do not follow what the store says is complete, it is another store, or was put back from a copy: they
 * are forgotten. */
void ap_rollup_hold_align(struct ap_rollup_hold *h, enum ap_rollup_level level, uint64_t complete);
/* Looks for the days of those of [first, last) that were made; errors as ap_store_query(). */
int ap_rollup_hold_count(struct ap_rollup_hold *h, enum ap_rollup_level level, size_t first,
			 size_t last, struct ap_store *s, struct ap_error *err);
bool ap_held_range_is_whole(const struct ap_held_range *held);

#endif

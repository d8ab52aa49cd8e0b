/* SPDX-License-Identifier: Apache-2.0 */
/* Segments that a server has stored and may not have on disk.
 *
 * A server without the setting fsync_after_insert, such as 18.16, does not sync what it inserts: the kernel
 * writes it out some half a minute later, and a machine that loses power before that comes back without it. Until a segment has been stored for the time of
 * the hold, its records stay in the write-ahead log; then its rows are counted once more, and what is missing is
 * stored again from the log. So is what a server that was away is missing, at once: with the dictionaries,
 * of which nothing is known then.
 *
 * For queries a held segment is stored like any other. Used by the writer's thread. */
#ifndef AP_AGGREGATOR_STORE_HOLD_H
#define AP_AGGREGATOR_STORE_HOLD_H

#include "aggregator/ingest/buffer.h"
#include "aggregator/store/store.h"

enum { AP_HOLD_TABLES = 3 };
/* Tables of which a segment has all its rows or none. */
extern const char *const ap_hold_tables[AP_HOLD_TABLES];

struct ap_held {
	uint64_t segment;
	uint64_t since; /* stored: CLOCK_MONOTONIC, ns */
	int32_t day;
	uint64_t rows[AP_HOLD_TABLES], found[AP_HOLD_TABLES];
	struct ap_batch_list parts; /* in the log alone */
};

struct ap_hold {
	AP_VEC(struct ap_held) list; /* by segment */
};

void ap_hold_free(struct ap_hold *h);
/* Holds a segment with so many rows in each table. 0, -ENOMEM. */
int ap_hold_add(struct ap_hold *h, uint64_t segment, const struct ap_batch_list *parts,
		const uint64_t rows[AP_HOLD_TABLES]);
/* Whether it is time to count those stored before `before`: a while after the first of them, so that one
 * question is about many. */
bool ap_hold_is_due(const struct ap_hold *h, uint64_t before, uint64_t hold_ns);
/* Counts the rows of those stored before `before`; errors as ap_store_query(). */
int ap_hold_count(struct ap_hold *h, struct ap_store *s, uint64_t before, struct ap_error *err);
bool ap_held_is_whole(const struct ap_held *held);
/* Lets those go that were stored before `before`. */
void ap_hold_release(struct ap_hold *h, uint64_t before);

#endif

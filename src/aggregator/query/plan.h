/* SPDX-License-Identifier: Apache-2.0 */
/* Statements about a range, whatever of their answers is kept: recall.c is in front of this. Each may tell of one
 * group several times. 0 or an error of the question. */
#ifndef AP_AGGREGATOR_QUERY_PLAN_H
#define AP_AGGREGATOR_QUERY_PLAN_H

#include "aggregator/query/internal.h"

enum { AP_BATCH_SECONDS_MAX = 3600 };

/* The last and the first multiple of a length that is not after, or not before, a second. */
static inline uint32_t ap_floor_to(uint32_t second, uint32_t length)
{
	return second - second % length;
}
static inline uint32_t ap_ceil_to(uint32_t second, uint32_t length)
{
	return second > UINT32_MAX - length ? UINT32_MAX : ap_floor_to(second + length - 1, length);
}

/* The first second that rows of the range may have: a batch is in the range if it ends in it. */
uint32_t ap_plan_first(const struct ap_range *r, const struct ap_select *what);

/* All of it, of the tables with the fewest rows. */
int ap_plan_select(struct ap_question *q, const struct ap_range *r, const struct ap_select *what,
		   ap_store_block_fn fn, void *ctx);

/* A part of a range, [from, to), that is not asked for; nor may be what is left, or right, of it. */
struct ap_plan_gap {
	uint32_t from, to;
	bool left_out, right_out;
};
/* The rows themselves, which must be there. */
int ap_plan_select_around(struct ap_question *q, const struct ap_range *r,
			  const struct ap_plan_gap *gap, const struct ap_select *what,
			  ap_store_block_fn fn, void *ctx);
/* The same of all of a range, of this writer's segments after one; `max_groups` as in struct ap_store_limits. */
struct ap_plan_rows {
	uint64_t after; /* 0: of all that the question sees, others' too */
	uint64_t max_groups;
};
int ap_plan_select_rows(struct ap_question *q, const struct ap_range *r,
			const struct ap_select *what, const struct ap_plan_rows *rows,
			ap_store_block_fn fn, void *ctx);

#endif

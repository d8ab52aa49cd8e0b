/* SPDX-License-Identifier: Apache-2.0 */
/* What one agent may cost the aggregator: bytes a second, labels of a row, and distinct values of a label.
 *
 * A batch beyond the rate is told to come again: the agent keeps it, so nothing is lost. A value beyond the limit of its
 * label becomes "(other)": the row and its sums stay exact, only what it can be told apart by is coarser, which is what
 * a label with too many values has lost anyway. A row with too many labels loses the last ones by name, after those
 * that Aperture itself gives. Both are counted. Values are counted per agent, label and hour of the aggregator's clock, so
 * that names that come and go do not add up for ever. Thread-safe. */
#ifndef AP_AGGREGATOR_INGEST_LIMITS_H
#define AP_AGGREGATOR_INGEST_LIMITS_H

#include "profile/profile.h"

#define AP_LABEL_OTHER "(other)"

struct ap_limits_config {
	uint64_t
		bytes_per_second; /* of pushes of one agent, on average; as much at once; 0 = no limit */
	uint64_t values_per_label; /* 0 = 50,000 */
	uint32_t labels;	   /* of a row; 0 = 64, at least the 12 that Aperture gives */
};

struct ap_limits;

int ap_limits_new(const struct ap_limits_config *c, struct ap_limits **ret); /* 0, -ENOMEM */
void ap_limits_free(struct ap_limits *l);				     /* NULL is fine */

/* Whether an agent may push so many bytes now: 0, and they count; else the milliseconds after which it may. */
uint32_t ap_limits_charge(struct ap_limits *l, const char *agent, uint64_t bytes, uint64_t mono_ns);
/* Brings a batch's labels within the limits. Rows keep their order and number. `again`: the batch was counted
 * before, and is only read again. 0, -ENOMEM. */
int ap_limits_apply(struct ap_limits *l, struct ap_profile *p, const char *agent, int64_t unix_ns,
		    bool again);

struct ap_limits_stats {
	uint64_t rate_limited;		/* batches told to come again */
	uint64_t values_folded;		/* labels of rows that became "(other)" */
	uint64_t labels_dropped;	/* labels of rows that were left out */
	uint64_t values;		/* distinct values known in this hour, of all agents */
	struct ap_limits_config config; /* in force */
};
void ap_limits_get_stats(struct ap_limits *l, struct ap_limits_stats *ret);

#endif

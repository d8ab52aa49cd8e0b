/* SPDX-License-Identifier: Apache-2.0 */
/* Where readings come from: the aggregator's own counters (vitals.h); the agents; and questions about profiles. */
#ifndef AP_AGGREGATOR_ALERT_SOURCE_H
#define AP_AGGREGATOR_ALERT_SOURCE_H

#include "aggregator/alert/message.h"
#include "aggregator/alert/state.h"
#include "aggregator/alert/vitals.h"
#include "aggregator/query/query.h"

/* An agent that has been silent for longer is gone, and no news any more. */
#define AP_ALERT_GONE_S 86400

struct ap_alert_source_options {
	struct ap_vitals_log *vitals; /* all borrowed */
	struct ap_agents *agents;
	struct ap_query_engine *query;
};

struct ap_alert_source_data;

int ap_alert_source_new(const struct ap_alert_source_options *o,
			struct ap_alert_source_data **ret); /* 0, -ENOMEM */
void ap_alert_source_free(struct ap_alert_source_data *s);  /* NULL is fine */

/* For ap_alert_engine_options, whose ctx is the source; see there. Not thread-safe. */
int ap_alert_source_read(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
			 struct ap_alert_reading *ret, struct ap_error *err);
/* Thread-safe. */
int ap_alert_source_explain(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
			    struct ap_alert_context *ret);
int ap_alert_source_covered(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
			    struct ap_filter *const *filters);
int ap_alert_source_left(void *ctx, void (*fn)(void *arg, const char *agent, uint64_t epoch),
			 void *arg);

/* For how long an agent has been silent that should not be; negative: it has left or gone, or the filter (NULL: none)
 * does not select its host. */
double ap_alert_silence_of(const struct ap_agent_info *a, const struct ap_filter *filter,
			   int64_t now_ns);

/* Readings of profiles and of system calls, and what explains them (source_profile.c). */
int ap_alert_profile_read(struct ap_query_engine *query, const struct ap_alert_rule *rule,
			  int64_t at_ms, struct ap_alert_reading *ret, struct ap_error *err);
int ap_alert_profile_covered(struct ap_query_engine *query, const struct ap_alert_rule *rule,
			     int64_t at_ms, struct ap_filter *const *filters);
int ap_alert_profile_explain(struct ap_query_engine *query, const struct ap_alert_rule *rule,
			     int64_t at_ms, struct ap_alert_context *ret);

/* Whether one of the filters (NULL-terminated) selects what a rule reads of a host: 1, 0, or an error of
 * ap_filter_match(). Labels besides `host` and `agent` are those that the rule's own filter is about. */
int ap_alert_host_covered(struct ap_filter *const *filters, const struct ap_filter *own,
			  struct ap_str host, struct ap_str agent);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a notification says: one message per rule, whatever number of hosts it is about. */
#ifndef AP_AGGREGATOR_ALERT_MESSAGE_H
#define AP_AGGREGATOR_ALERT_MESSAGE_H

#include "aggregator/alert/state.h"
#include "base/arena.h"

#define AP_ALERT_CONTEXT_HOSTS	20
#define AP_ALERT_CONTEXT_RISERS 5

/* What helps to understand a reading; texts in the arena. */
struct ap_alert_context {
	struct ap_arena arena;
	struct ap_str hosts[AP_ALERT_CONTEXT_HOSTS];
	uint32_t n_hosts;
	uint64_t hosts_total; /* 0: it is about no hosts in particular */
	struct {
		struct ap_str function, module;
		double share, share_before; /* of what ran in the function itself, 0..1 */
	} risers[AP_ALERT_CONTEXT_RISERS];  /* by how much the share rose, largest first */
	uint32_t n_risers;
	/* What was compared, Unix milliseconds; to_ms 0: nothing. */
	int64_t from_ms, to_ms, base_from_ms, base_to_ms;
};
void ap_alert_context_free(struct ap_alert_context *c);

struct ap_alert_message {
	const struct ap_alert_rule *rule;
	const struct ap_alert_status *status;
	const struct ap_alert_context *context; /* NULL: none */
	bool firing;				/* else: it is over */
	int64_t now_ms;
	const char *base_url; /* of the dashboard, ending in '/' */
};
/* Appends the message as a webhook of that format wants it: Aperture's own JSON object, or an array of one
 * alert for POST /api/v2/alerts of an Alertmanager. */
void ap_alert_message_write(struct ap_buf *b, const struct ap_alert_message *m,
			    enum ap_alert_format format);
/* "value 0.31 is gt 0.2 (500 samples)" in words for a person. */
void ap_alert_message_summary(struct ap_buf *b, const struct ap_alert_message *m);

#endif

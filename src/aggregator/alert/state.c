/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/alert/state.h"

#include <math.h>

const char *const ap_alert_state_names[] = {"ok",	"pending",	"firing",
					    "resolved", "insufficient", NULL};

/* Clocks may be set back: a time to come is now. */
static bool is_gap(const struct ap_alert_rule *rule, const struct ap_alert_status *s,
		   int64_t now_ms)
{
	return now_ms - s->evaluated_ms > rule->interval_s * 1000ll + AP_ALERT_GAP_MS;
}

static enum ap_alert_state holds(const struct ap_alert_rule *rule, struct ap_alert_status *s,
				 int64_t now_ms)
{
	if (s->open)
		return AP_ALERT_FIRING;
	if (s->pending_ms == 0 || s->pending_ms > now_ms || is_gap(rule, s, now_ms))
		s->pending_ms = now_ms;
	if (now_ms - s->pending_ms < rule->for_s * 1000ll)
		return AP_ALERT_PENDING;
	s->open = true;
	s->fired_ms = now_ms;
	return AP_ALERT_FIRING;
}

static enum ap_alert_state is_quiet(struct ap_alert_status *s)
{
	bool was_open = s->open;

	s->open = false;
	s->pending_ms = 0;
	if (was_open || s->state == AP_ALERT_RESOLVED)
		return AP_ALERT_RESOLVED;
	return AP_ALERT_OK;
}

static enum ap_alert_state next(const struct ap_alert_rule *rule, struct ap_alert_status *s,
				const struct ap_alert_reading *reading, int64_t now_ms)
{
	if (!reading->sufficient || !isfinite(reading->value)) {
		s->pending_ms = 0;
		return AP_ALERT_INSUFFICIENT;
	}
	if (ap_alert_compare(rule->op, reading->value, s->open ? rule->recover : rule->threshold))
		return holds(rule, s, now_ms);
	return is_quiet(s);
}

bool ap_alert_step(const struct ap_alert_rule *rule, struct ap_alert_status *s,
		   const struct ap_alert_reading *reading, int64_t now_ms,
		   struct ap_alert_transition *ret)
{
	enum ap_alert_state from = s->state, to = next(rule, s, reading, now_ms);

	s->evaluated_ms = now_ms;
	s->value = reading->sufficient ? reading->value : NAN;
	s->samples = reading->samples;
	s->state = to;
	if (s->since_ms == 0 || from != to || s->since_ms > now_ms)
		s->since_ms = now_ms;
	if (from == to)
		return false;
	*ret = (struct ap_alert_transition){from, to};
	return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule's readings make of it. No clock and no input but the arguments: the same readings give the
 * same states, in a test, in a dry run and in service.
 *
 *	ok ──holds──▶ pending ──for_s──▶ firing ──recovered──▶ resolved ──holds──▶ pending
 *	 any ──too few samples──▶ insufficient ──▶ where the next reading leads
 *
 * A firing rule that loses its data has not recovered: the next reading that holds makes it firing again
 * at once, the next that does not, resolved. A reading that could not be taken at all changes nothing; but
 * of a time of more than AP_ALERT_GAP_MS without any, nothing is known, so that a pending rule starts anew. */
#ifndef AP_AGGREGATOR_ALERT_STATE_H
#define AP_AGGREGATOR_ALERT_STATE_H

#include "aggregator/alert/rule.h"

enum ap_alert_state {
	AP_ALERT_OK,
	AP_ALERT_PENDING,
	AP_ALERT_FIRING,
	AP_ALERT_RESOLVED,
	AP_ALERT_INSUFFICIENT,
};
extern const char *const ap_alert_state_names[]; /* NULL-terminated */

#define AP_ALERT_GAP_MS (300 * 1000ll) /* beside the rule's own interval */

struct ap_alert_status {
	enum ap_alert_state state;
	bool open;	  /* it fired and has not recovered since, whatever the state */
	bool announced;	  /* whom to tell has been told that it fires; ap_alert_step() leaves it */
	int64_t since_ms; /* when the state began; 0 = never evaluated */
	int64_t pending_ms;   /* since when it holds; 0: it does not */
	int64_t fired_ms;     /* when it fired last; 0 = never */
	int64_t evaluated_ms; /* the last reading; 0 = none */
	double value;	      /* of that; NAN: there was none */
	uint64_t samples;     /* that it rests on; 0 where that means nothing */
};

struct ap_alert_reading {
	bool sufficient;
	double value;
	uint64_t samples;
	char why[200]; /* it is not sufficient, in words; "" where they are not needed */
};

struct ap_alert_transition {
	enum ap_alert_state from, to;
};

/* Takes a reading of `now_ms` in. True: the state changed, as `*ret` says. */
bool ap_alert_step(const struct ap_alert_rule *rule, struct ap_alert_status *s,
		   const struct ap_alert_reading *reading, int64_t now_ms,
		   struct ap_alert_transition *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent is to profile: its own configuration, or for a bounded time what the aggregator asks for. The
 * decisions, apart from clocks, profiler and wire.
 *
 * Settings from the aggregator say modes, rate and threshold, and nothing else. They are followed within limits
 * that the agent's own configuration sets, and end by the agent's own clock: an aggregator that is gone, or was
 * another one than it should have been, leaves nothing behind. */
#ifndef AP_AGENT_CONTROL_H
#define AP_AGENT_CONTROL_H

#include "agent/profiler.h"
#include "wire/batch.h"

struct ap_control_limits {
	bool accepted; /* false: no settings are followed */
	uint32_t max_frequency_hz;
	uint64_t max_duration_ns;
};

struct ap_control {
	struct ap_control_limits limits;
	struct ap_profiler_setting own;
	struct ap_profiler_setting wanted; /* to be in force now */
	uint64_t version;		   /* of the settings dealt with last; 0 = none */
	uint64_t until_ns;     /* CLOCK_BOOTTIME: when `own` is to return; 0: it is there */
	struct ap_error error; /* why those settings are not followed; code 0: they are */
};

/* The own configuration is wanted at first. */
void ap_control_init(struct ap_control *c, const struct ap_control_limits *limits,
		     const struct ap_profiler_setting *own);

/* Takes settings at a moment (CLOCK_BOOTTIME ns): those of a version that was dealt with before are left alone,
 * those that a limit forbids are not followed, and `error` says why; what was in force then stays. Returns whether
 * `wanted` is to be put in force. */
bool ap_control_take(struct ap_control *c, uint64_t version, const struct ap_settings *s,
		     uint64_t now_ns);
/* Whether the time is over: `wanted` is the own configuration again. */
bool ap_control_expire(struct ap_control *c, uint64_t now_ns);
/* What was wanted cannot be had: the own configuration is wanted again. */
void ap_control_fail(struct ap_control *c, const struct ap_error *why);

/* For how long settings are still in force; 0: the own configuration is. */
uint64_t ap_control_remaining(const struct ap_control *c, uint64_t now_ns);

#endif

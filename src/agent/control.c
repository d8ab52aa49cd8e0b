/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/control.h"

#include "base/clock.h"
#include "base/macro.h"

void ap_control_init(struct ap_control *c, const struct ap_control_limits *limits,
		     const struct ap_profiler_setting *own)
{
	*c = (struct ap_control){.limits = *limits, .own = *own, .wanted = *own};
}

static int check_modes(const struct ap_settings *s, uint32_t *ret, struct ap_error *err)
{
	char *names[AP_MODES_MAX];
	const struct ap_strings list = {.p = names, .n = s->n_modes};

	for (uint32_t i = 0; i < s->n_modes; i++)
		names[i] = (char *)s->modes[i];
	return ap_modes_parse(&list, ret, err);
}

/* The setting that they ask for, or why it may not be. */
static int check(const struct ap_control *c, const struct ap_settings *s,
		 struct ap_profiler_setting *ret, struct ap_error *err)
{
	const struct ap_control_limits *l = &c->limits;

	if (!l->accepted)
		return ap_error_set(err, -EPERM,
				    "this agent follows no settings from the aggregator "
				    "(--remote-control off)");
	if (s->remaining_ns > l->max_duration_ns)
		return ap_error_set(err, -EPERM,
				    "%llu s are more than this agent's --remote-max-time of %llu s",
				    (unsigned long long)(s->remaining_ns / AP_NSEC_PER_SEC),
				    (unsigned long long)(l->max_duration_ns / AP_NSEC_PER_SEC));
	if (s->frequency_hz > l->max_frequency_hz)
		return ap_error_set(err, -EPERM,
				    "%u Hz are more than this agent's --remote-max-frequency of %u",
				    s->frequency_hz, l->max_frequency_hz);
	if (s->wait_threshold_ns && s->wait_threshold_ns < AP_SETTINGS_THRESHOLD_MIN_NS)
		return ap_error_set(err, -EPERM,
				    "a wait threshold below %llu us would cost too much",
				    AP_SETTINGS_THRESHOLD_MIN_NS / 1000);
	*ret = c->own;
	if (s->frequency_hz)
		ret->frequency_hz = s->frequency_hz;
	if (s->wait_threshold_ns)
		ret->wait_threshold_ns = s->wait_threshold_ns;
	return s->n_modes ? check_modes(s, &ret->modes, err) : 0;
}

/* Returns whether that is a change. */
static bool to_own(struct ap_control *c)
{
	bool changes = c->until_ns != 0;

	c->until_ns = 0;
	c->wanted = c->own;
	return changes;
}

bool ap_control_take(struct ap_control *c, uint64_t version, const struct ap_settings *s,
		     uint64_t now_ns)
{
	struct ap_profiler_setting wanted;

	if (version <= c->version)
		return false;
	c->version = version;
	c->error = (struct ap_error){0};
	if (s->remaining_ns == 0)
		return to_own(c);
	if (check(c, s, &wanted, &c->error) < 0)
		return false;
	c->wanted = wanted;
	c->until_ns = now_ns + s->remaining_ns;
	return true;
}

bool ap_control_expire(struct ap_control *c, uint64_t now_ns)
{
	return c->until_ns && now_ns >= c->until_ns && to_own(c);
}

void ap_control_fail(struct ap_control *c, const struct ap_error *why)
{
	c->error = *why;
	to_own(c);
}

uint64_t ap_control_remaining(const struct ap_control *c, uint64_t now_ns)
{
	return c->until_ns > now_ns ? c->until_ns - now_ns : 0;
}

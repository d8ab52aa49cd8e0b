/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent is to profile for a time, in place of its own configuration. Checked here against what the agent has
 * said of its limits, so that who asks hears at once; the agent checks again. */
#include <jansson.h>

#include "aggregator/api/answer.h"
#include "base/clock.h"

#define INVALID "invalid_argument"

enum { FREQUENCY_MAX = 10000, DURATION_MAX_S = 86400 };

static const char *const modes[] = {"cpu", "offcpu", "lock", "syscall"};

/* The one agent of that id, or of that host's those that are heard of before those that are not. NULL: answered. */
static const struct ap_agent_info *choose(struct ap_http_request *req,
					  const struct ap_agent_info *agents, size_t n)
{
	struct ap_str name = ap_http_path_param(req, "agent");
	const struct ap_agent_info *best = NULL;
	bool several = false;

	for (size_t i = 0; i < n; i++) {
		if (ap_str_is(name, agents[i].meta.agent_id))
			return &agents[i];
		if (!ap_str_is(name, agents[i].meta.host) ||
		    (best && best->state < agents[i].state))
			continue;
		several = best && best->state == agents[i].state;
		best = &agents[i];
	}
	if (!best)
		ap_http_reply_error(req, 404, "not_found", "agent",
				    "no agent has the id or host '%.*s': /api/v1/agents lists them",
				    (int)AP_MIN(name.n, (size_t)100), name.p);
	else if (several)
		ap_http_reply_error(req, 409, "ambiguous", "agent",
				    "several agents report from host '%.*s': name one by its id",
				    (int)AP_MIN(name.n, (size_t)100), name.p);
	return several ? NULL : best;
}

/* False: answered. */
static bool check_control(struct ap_http_request *req, const struct ap_agent_info *a)
{
	const struct ap_settings_status *s = &a->meta.status.settings;

	if (s->known && s->accepted)
		return true;
	ap_http_reply_error(
		req, 409, "not_accepted", "agent",
		s->known
			? "the agent on %s follows no settings: it runs with --remote-control off"
			: "the agent on %s knows nothing of settings, or has not reported since this "
			  "aggregator began: upgrade it, or wait for its next batch",
		a->meta.host);
	return false;
}

static bool parse_modes(struct ap_http_request *req, json_t *list, struct ap_settings *ret)
{
	uint32_t seen = 0;
	json_t *v;
	size_t i, k;

	if (json_array_size(list) == 0) {
		ap_http_reply_error(req, 400, INVALID, "modes",
				    "modes is an array of at least one");
		return false;
	}
	json_array_foreach(list, i, v)
	{
		const char *name = json_is_string(v) ? json_string_value(v) : "";

		for (k = 0; k < AP_ARRAY_SIZE(modes) && strcmp(name, modes[k]) != 0; k++)
			;
		if (k == AP_ARRAY_SIZE(modes)) {
			ap_http_reply_error(req, 400, INVALID, "modes",
					    "there is no mode '%.40s': choose among cpu, offcpu, "
					    "lock and syscall",
					    name);
			return false;
		}
		if (!(seen & 1u << k))
			strcpy(ret->modes[ret->n_modes++], modes[k]);
		seen |= 1u << k;
	}
	return true;
}

/* The values that no agent could follow. */
static bool check_values(struct ap_http_request *req, json_int_t duration, json_int_t frequency,
			 json_int_t threshold, bool any)
{
	const json_int_t least = AP_SETTINGS_THRESHOLD_MIN_NS, most = 60 * AP_NSEC_PER_SEC;

	if (duration < 1 || duration > DURATION_MAX_S)
		ap_http_reply_error(req, 400, INVALID, "duration_s",
				    "duration_s must be 1 to %d seconds", DURATION_MAX_S);
	else if (frequency < 0 || frequency > FREQUENCY_MAX)
		ap_http_reply_error(req, 400, INVALID, "frequency_hz",
				    "frequency_hz must be 1 to %d", FREQUENCY_MAX);
	else if (threshold && (threshold < least || threshold > most))
		ap_http_reply_error(req, 400, INVALID, "wait_threshold_ns",
				    "wait_threshold_ns must be %lld (10 us) to %lld (60 s)",
				    (long long)least, (long long)most);
	else if (!any)
		ap_http_reply_error(req, 400, INVALID, NULL,
				    "nothing is asked for: give modes, frequency_hz or "
				    "wait_threshold_ns");
	else
		return true;
	return false;
}

/* False: answered. */
static bool parse(struct ap_http_request *req, struct ap_settings *ret)
{
	json_int_t duration, frequency = 0, threshold = 0;
	json_t *body, *list = NULL;
	json_error_t e;

	if (ap_http_body_json(req, &body) < 0)
		return false;
	if (json_unpack_ex(body, &e, JSON_STRICT, "{s:I,s?o,s?I,s?I}", "duration_s", &duration,
			   "modes", &list, "frequency_hz", &frequency, "wait_threshold_ns",
			   &threshold) < 0) {
		ap_http_reply_error(req, 400, INVALID, NULL, "the body: %s", e.text);
		return false;
	}
	if (!check_values(req, duration, frequency, threshold, list || frequency || threshold) ||
	    (list && !parse_modes(req, list, ret)))
		return false;
	ret->frequency_hz = (uint32_t)frequency;
	ret->wait_threshold_ns = (uint64_t)threshold;
	ret->remaining_ns = (uint64_t)duration * AP_NSEC_PER_SEC;
	return true;
}

/* Those that this agent does not follow. False: answered. */
static bool check_limits(struct ap_http_request *req, const struct ap_settings *s,
			 const struct ap_settings_status *limits)
{
	if (s->frequency_hz > limits->max_frequency_hz)
		ap_http_reply_error(req, 422, INVALID, "frequency_hz",
				    "that agent follows at most %u Hz (--remote-max-frequency)",
				    limits->max_frequency_hz);
	else if (s->remaining_ns > limits->max_duration_ns)
		ap_http_reply_error(
			req, 422, INVALID, "duration_s",
			"that agent follows settings for at most %llu s (--remote-max-time)",
			(unsigned long long)(limits->max_duration_ns / AP_NSEC_PER_SEC));
	else
		return true;
	return false;
}

static void answer(struct ap_http_request *req, const struct ap_api *api, const char *id)
{
	_cleanup_free_ struct ap_agent_info *agents = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	int64_t now = ap_clock_unix_ns();
	size_t n;

	if (ap_agents_list(api->agents, now, &agents, &n) < 0) {
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (strcmp(agents[i].meta.agent_id, id) == 0)
			ap_answer_agent(&b, &agents[i], now);
	ap_http_reply_json(req, 200, &b);
}

/* `reset`: back to its own configuration. */
static void want(struct ap_http_request *req, const struct ap_api *api, bool reset)
{
	static const char *const names[] = {NULL};
	_cleanup_free_ struct ap_agent_info *agents = NULL;
	const struct ap_agent_info *a;
	struct ap_settings s = {0};
	int64_t now = ap_clock_unix_ns();
	struct ap_error err = {0};
	struct ap_params p;
	size_t n;
	int r;

	if (!ap_params_query(req, names, &p) || (!reset && !parse(req, &s)))
		return;
	if (ap_agents_list(api->agents, now, &agents, &n) < 0) {
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
		return;
	}
	a = choose(req, agents, n);
	if (!a || !check_control(req, a) || !check_limits(req, &s, &a->meta.status.settings))
		return;
	r = ap_agents_want(api->agents, a->meta.agent_id, &s, now, &err);
	if (r == -ENOENT)
		ap_http_reply_error(req, 404, "not_found", "agent",
				    "that agent has just been forgotten");
	else if (r < 0)
		ap_http_reply_error(req, 503, "state_unwritable", NULL, "%s", err.msg);
	else
		answer(req, api, a->meta.agent_id);
}

void ap_api_settings_put(struct ap_http_request *req, void *ctx)
{
	want(req, ctx, false);
}

void ap_api_settings_reset(struct ap_http_request *req, void *ctx)
{
	want(req, ctx, true);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* aperture agents: who reports to an aggregator and what they profile, and changing that for a time. */
#include <time.h>

#include "agent/profiler.h"
#include "base/clock.h"
#include "base/json.h"
#include "cli/remote.h"
#include "cli/report.h"

#define HEAR_NS (30 * AP_NSEC_PER_SEC) /* at most, for an agent's word */
#define ASK_NS	(AP_NSEC_PER_SEC / 2)

struct settings {
	struct ap_remote remote;
	struct ap_strings modes;
	uint64_t rate, wait_threshold, duration;
	bool wait;
};

#define FIELD(f) offsetof(struct settings, f)

static const struct ap_option options[] = {
	AP_REMOTE_OPTION_SERVER(struct settings),
	AP_REMOTE_OPTION_FORMAT(struct settings),
	{.name = "mode",
	 .type = AP_OPT_LIST,
	 .metavar = "MODE[,MODE…]",
	 .group = "set",
	 .help = "cpu, offcpu, lock, wall: cpu and offcpu, syscall (default: the agent's own)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(modes)},
	{.name = "rate",
	 .type = AP_OPT_UINT,
	 .metavar = "HZ",
	 .min = 1,
	 .max = AP_FREQUENCY_MAX,
	 .group = "set",
	 .help = "samples per second and CPU (default: the agent's own)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(rate)},
	{.name = "wait-threshold",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .min = 10000,
	 .max = 60 * AP_NSEC_PER_SEC,
	 .group = "set",
	 .help = "shorter waits are counted without their stacks (default: the agent's own)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(wait_threshold)},
	{.name = "for",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "1m",
	 .min = AP_NSEC_PER_SEC,
	 .max = 86400 * AP_NSEC_PER_SEC,
	 .group = "set",
	 .help = "for how long; then the agent returns to its own settings by itself",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(duration)},
	{.name = "wait",
	 .type = AP_OPT_BOOL,
	 .value = "true",
	 .group = "set, reset",
	 .help = "wait until the agent has said what has become of it (--no-wait: do not)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(wait)},
};

static const struct ap_program program = {
	.name = "aperture agents",
	.section = "cli.agents",
	.sections = ap_cli_sections,
	.summary = "Shows the agents of an aggregator, and changes for a time what they profile.",
	.operands = "list | set AGENT | reset AGENT",
	.notes =
		"AGENT is a host's name, or an agent's id where several run there. set and reset "
		"wait until the agent has reported: it hears of them when it pushes next, which "
		"by default takes at most 10 s. A time that is over, or an aggregator that is gone, "
		"needs nobody's care: the agent returns to its own settings by itself.\n"
		"Exit status: 0 done, 1 an error or refused by the agent, 2 usage, 4 not permitted.",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.file_optional = true,
};

static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key)) ?: "";
}

static long long number_of(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

static void put_cell(struct ap_buf *out, const json_t *agent, const char *key, size_t width)
{
	ap_remote_put_text(out, json_object_get(agent, key), width);
	ap_buf_puts(out, "  ");
}

static void put_modes(struct ap_buf *out, const json_t *agent)
{
	size_t from = out->n, i;
	json_t *mode;

	json_array_foreach(json_object_get(agent, "modes"), i, mode)
	{
		ap_buf_puts(out, i ? "," : "");
		ap_remote_put_text(out, mode, 0);
	}
	ap_buf_printf(out, "%*s", (int)(25 - AP_MIN(out->n - from, (size_t)23)), "");
}

/* "for 42 s more": whose settings are in force. */
static void put_whose(struct ap_buf *out, const json_t *agent)
{
	const json_t *s = json_object_get(agent, "settings"),
		     *wanted = json_object_get(s, "wanted");
	long long now = ap_clock_unix_ns() / (long long)AP_NSEC_PER_MSEC;
	const char *error = text_of(s, "error");

	if (json_is_integer(json_object_get(s, "active_until")))
		ap_buf_printf(out, "for %lld s more",
			      AP_MAX((number_of(s, "active_until") - now + 500) / 1000, 0ll));
	else
		ap_buf_puts(out, strcmp(text_of(s, "control"), "on") == 0 ? "its own"
									  : "its own, fixed");
	if (json_is_object(wanted) && !json_is_true(json_object_get(wanted, "heard")))
		ap_buf_puts(out, "; others are on their way");
	if (error[0]) {
		ap_buf_puts(out, "; ");
		ap_report_text(out, ap_str_of(error), 0);
	}
}

static void put_agent(struct ap_buf *out, const json_t *agent)
{
	double stride = (double)AP_MAX(number_of(agent, "stride"), 1ll);
	char rate[32], threshold[32];

	snprintf(rate, sizeof(rate), "%.4g Hz", (double)number_of(agent, "frequency_hz") / stride);
	snprintf(threshold, sizeof(threshold), "%.6g us",
		 (double)number_of(agent, "wait_threshold_ns") / 1e3);
	put_cell(out, agent, "host", 20);
	put_cell(out, agent, "state", 5);
	put_modes(out, agent);
	ap_buf_printf(out, "%-8s  %-9s  ", rate, threshold);
	put_cell(out, agent, "id", 36);
	put_whose(out, agent);
	ap_buf_byte(out, '\n');
}

static void put_head(struct ap_buf *out)
{
	ap_buf_printf(out, "%-20s  %-5s  %-23s  %-8s  %-9s  %-36s  %s\n", "HOST", "STATE", "MODES",
		      "RATE", "THRESHOLD", "ID", "SETTINGS");
}

static void put_list(struct ap_buf *out, const json_t *answer)
{
	const json_t *agents = json_object_get(answer, "agents"), *agent;
	size_t i;

	if (json_array_size(agents) == 0) {
		ap_buf_puts(out, "No agent has reported.\n");
		return;
	}
	put_head(out);
	json_array_foreach(agents, i, agent) put_agent(out, agent);
}

static void put_one(struct ap_buf *out, const json_t *agent)
{
	put_head(out);
	put_agent(out, agent);
}

static int list(struct ap_remote_call *c)
{
	return ap_remote_get(c, "/api/v1/agents", NULL, put_list);
}

/* The agent of that id as it is now, with a reference; NULL: it is not there. */
static json_t *find(const json_t *answer, const char *id)
{
	json_t *agent;
	size_t i;

	json_array_foreach(json_object_get(answer, "agents"), i,
			   agent) if (strcmp(text_of(agent, "id"), id) ==
				      0) return json_incref(agent);
	return NULL;
}

static bool has_heard(const json_t *agent, bool reset)
{
	const json_t *s = json_object_get(agent, "settings"),
		     *wanted = json_object_get(s, "wanted");

	return reset ? json_is_null(json_object_get(s, "active_until"))
		     : !json_is_object(wanted) || json_is_true(json_object_get(wanted, "heard"));
}

/* Asks until the agent has said that it knows; `*agent` is replaced by what is known of it then. */
static int wait_for_word(struct ap_http_client *c, bool reset, json_t **agent, struct ap_error *err)
{
	const struct timespec pause = ap_clock_timespec(ASK_NS);
	uint64_t until = ap_clock_mono_ns() + HEAR_NS;
	int r = 0;

	while (r == 0 && !has_heard(*agent, reset) && ap_clock_mono_ns() < until) {
		json_t *answer = NULL, *now = NULL;

		nanosleep(&pause, NULL);
		r = ap_http_client_get(c, "/api/v1/agents", NULL, &answer, err);
		if (r == 0)
			now = find(answer, text_of(*agent, "id"));
		json_decref(answer);
		if (!now)
			continue;
		json_decref(*agent);
		*agent = now;
	}
	return r;
}

static int make_body(const struct settings *set, struct ap_buf *b, struct ap_error *err)
{
	uint32_t modes = 0;
	bool comma = false;
	int r = set->modes.n ? ap_modes_parse(&set->modes, &modes, err) : 0;

	if (r < 0)
		return r;
	if (!modes && !set->rate && !set->wait_threshold)
		return ap_error_set(
			err, -EINVAL,
			"nothing is asked for: give --mode, --rate or --wait-threshold");
	ap_buf_printf(
		b, "{\"duration_s\":%llu",
		(unsigned long long)((set->duration + AP_NSEC_PER_SEC - 1) / AP_NSEC_PER_SEC));
	if (modes)
		ap_buf_puts(b, ",\"modes\":[");
	for (uint32_t bit = 1; modes && bit; bit <<= 1) {
		if (!(modes & bit))
			continue;
		ap_buf_printf(b, "%s\"%s\"", comma ? "," : "", ap_mode_name(bit));
		comma = true;
	}
	if (modes)
		ap_buf_byte(b, ']');
	if (set->rate)
		ap_buf_printf(b, ",\"frequency_hz\":%llu", (unsigned long long)set->rate);
	if (set->wait_threshold)
		ap_buf_printf(b, ",\"wait_threshold_ns\":%llu",
			      (unsigned long long)set->wait_threshold);
	ap_buf_byte(b, '}');
	return ap_buf_error(b) ? ap_error_set(err, -ENOMEM, "out of memory") : 0;
}

/* Names of hosts, and ids, need no escapes in a path. */
static bool is_plain(const char *name)
{
	return name[0] && name[0] != '.' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
		       strlen(name);
}

/* The word has been given; what becomes of it. */
static int report_outcome(struct ap_remote_call *c, bool reset, json_t *agent)
{
	const struct settings *set = c->settings;
	const json_t *s = json_object_get(agent, "settings");
	int status = ap_remote_finish(c, 0, json_incref(agent), put_one);

	if (status != AP_EXIT_OK || !set->wait)
		return status;
	if (!has_heard(agent, reset)) {
		ap_cli_say(&program,
			   "%s has not reported meanwhile: it will hear of it when it does",
			   text_of(agent, "host"));
	} else if (!reset && json_is_null(json_object_get(s, "active_until"))) {
		ap_cli_say(&program, "the agent did not follow: %s", text_of(s, "error"));
		return AP_EXIT_ERROR;
	}
	return AP_EXIT_OK;
}

static int change(struct ap_remote_call *c, bool reset, struct ap_str body)
{
	const struct settings *set = c->settings;
	const char *name = c->operands[0];
	_cleanup_free_ char *path = NULL;
	json_t *agent = NULL;
	int r = 0, status;

	if (!is_plain(name))
		return ap_remote_usage(c, "'%.64s' is neither a host's name nor an agent's id",
				       name);
	if (asprintf(&path, "/api/v1/agents/%s/settings", name) < 0)
		r = ap_error_set(&c->err, -ENOMEM, "out of memory");
	else if (reset)
		r = ap_http_client_delete(c->client, path, &agent, &c->err);
	else
		r = ap_http_client_post(c->client, path, body, &agent, &c->err);
	if (r == 0 && set->wait)
		r = wait_for_word(c->client, reset, &agent, &c->err);
	status = r < 0 ? ap_remote_finish(c, r, NULL, NULL) : report_outcome(c, reset, agent);
	json_decref(agent);
	return status;
}

static int set_agent(struct ap_remote_call *c)
{
	_cleanup_buf_ struct ap_buf body = {0};
	int r = make_body(c->settings, &body, &c->err);

	return r < 0 ? ap_remote_finish(c, r, NULL, NULL) : change(c, false, ap_buf_view(&body));
}

static int reset_agent(struct ap_remote_call *c)
{
	return change(c, true, AP_STR(""));
}

int ap_cmd_agents(int argc, char **argv)
{
	static const char takes[] = "needs one AGENT: a host's name, or an agent's id";
	static const struct ap_remote_verb verbs[] = {
		{"list", list, 0, 0, "takes no operand"},
		{"set", set_agent, 1, 1, takes},
		{"reset", reset_agent, 1, 1, takes},
	};
	struct settings set = {0};

	return ap_remote_run(&program, verbs, AP_ARRAY_SIZE(verbs), &set, &set.remote, argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* aperture alerts: an aggregator's alert rules. */
#include "cli/alerts.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/json.h"

#define RULE_MAX (64u << 10)

struct settings {
	struct ap_remote remote;
	uint64_t duration_ns;
	char *filter, *comment;
};

#define FIELD(f) offsetof(struct settings, f)

static const struct ap_option options[] = {
	AP_REMOTE_OPTION_SERVER(struct settings),
	AP_REMOTE_OPTION_FORMAT(struct settings),
	{.name = "duration",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "1h",
	 .min = AP_NSEC_PER_SEC,
	 .max = 366 * 86400 * AP_NSEC_PER_SEC,
	 .group = "silence",
	 .help = "how long nobody is told",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(duration_ns)},
	{.name = "filter",
	 .type = AP_OPT_STRING,
	 .metavar = "SELECTOR",
	 .group = "silence",
	 .help = "only for these hosts or services, {host=\"web-1\"} (default: whatever it is about)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(filter)},
	{.name = "comment",
	 .type = AP_OPT_STRING,
	 .metavar = "TEXT",
	 .group = "silence",
	 .help = "why",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(comment)},
};

static const struct ap_program program = {
	.name = "aperture alerts",
	.section = "cli.alerts",
	.sections = ap_cli_sections,
	.summary = "Lists, adds, tries and silences an aggregator's alert rules.",
	.operands = "ACTION [FILE… | ID…]",
	.notes =
		"Actions: list, history [ID], add FILE…, dry-run FILE, rm ID…, toggle ID…, "
		"eval [ID], silence [ID…], unsilence ID….\n"
		"add reads a rule as JSON from each FILE (- is standard input); dry-run says what it "
		"would have done over the last day, and stores nothing. silence without an ID is for "
		"all rules, with --filter for them as far as they fire for those hosts alone; unsilence takes a silence's ID, as list shows it.",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.file_optional = true,
};

static int cmd_list(struct ap_remote_call *c)
{
	return ap_remote_get(c, "/api/alerts", NULL, ap_alerts_put_list);
}

static int cmd_history(struct ap_remote_call *c)
{
	char query[40];
	uint64_t id;

	if (c->n == 0)
		return ap_remote_get(c, "/api/alerts/history", NULL, ap_alerts_put_history);
	if (!ap_remote_id(c, c->operands[0], &id))
		return AP_EXIT_USAGE;
	snprintf(query, sizeof(query), "rule=%llu", (unsigned long long)id);
	return ap_remote_get(c, "/api/alerts/history", (const char *const[]){query, NULL},
			     ap_alerts_put_history);
}

static int post_file(struct ap_remote_call *c, const char *file, const char *path,
		     ap_remote_put *put)
{
	_cleanup_buf_ struct ap_buf body = {0};
	int r = strcmp(file, "-") == 0 ? ap_read_fd(STDIN_FILENO, RULE_MAX, &body)
				       : ap_read_file(AT_FDCWD, file, RULE_MAX, &body);

	if (r == 0)
		return ap_remote_post(c, path, ap_buf_view(&body), put);
	ap_error_set(&c->err, r, "%s cannot be read: %s", file, ap_strerror(r));
	return ap_cli_fail(c->program, &c->err);
}

static int cmd_add(struct ap_remote_call *c)
{
	int status = AP_EXIT_OK;

	for (size_t i = 0; i < c->n && status == AP_EXIT_OK; i++)
		status = post_file(c, c->operands[i], "/api/alerts", ap_remote_put_id);
	return status;
}

static int cmd_dry_run(struct ap_remote_call *c)
{
	return post_file(c, c->operands[0], "/api/alerts/dry-run", ap_alerts_put_dry_run);
}

static int cmd_rm(struct ap_remote_call *c)
{
	return ap_remote_each_id(c, "/api/alerts/", NULL);
}

static int cmd_toggle(struct ap_remote_call *c)
{
	return ap_remote_each_id(c, "/api/alerts/", "/toggle");
}

static int cmd_unsilence(struct ap_remote_call *c)
{
	return ap_remote_each_id(c, "/api/alerts/silences/", NULL);
}

static int cmd_eval(struct ap_remote_call *c)
{
	static const char path[] = "/api/alerts/evaluate";
	json_t *answer = NULL;
	char query[40] = "";
	const char *const list[] = {query, NULL};
	uint64_t id;
	int r;

	if (c->n == 1 && !ap_remote_id(c, c->operands[0], &id))
		return AP_EXIT_USAGE;
	if (c->n == 1)
		snprintf(query, sizeof(query), "rule=%llu", (unsigned long long)id);
	r = ap_http_client_post_query(c->client, path, c->n ? list : NULL, AP_STR(""), &answer,
				      &c->err);
	return ap_remote_finish(c, r, answer, ap_alerts_put_list);
}

static int silence(struct ap_remote_call *c, uint64_t rule)
{
	const struct settings *set = c->settings;
	_cleanup_buf_ struct ap_buf body = {0};

	ap_buf_puts(&body, "{\"rule\":");
	if (rule)
		ap_json_u64(&body, rule);
	else
		ap_buf_puts(&body, "null");
	ap_json_key(&body, "duration_s");
	ap_json_u64(&body, set->duration_ns / AP_NSEC_PER_SEC);
	ap_json_key(&body, "filter");
	ap_json_string(&body, ap_str_of(set->filter ? set->filter : ""));
	ap_json_key(&body, "comment");
	ap_json_string(&body, ap_str_of(set->comment ? set->comment : ""));
	ap_buf_byte(&body, '}');
	return ap_remote_post(c, "/api/alerts/silences", ap_buf_view(&body), ap_remote_put_id);
}

static int cmd_silence(struct ap_remote_call *c)
{
	int status = AP_EXIT_OK;

	if (c->n == 0)
		return silence(c, 0);
	for (size_t i = 0; i < c->n && status == AP_EXIT_OK; i++) {
		uint64_t id;

		if (!ap_remote_id(c, c->operands[i], &id))
			return AP_EXIT_USAGE;
		status = silence(c, id);
	}
	return status;
}

int ap_cmd_alerts(int argc, char **argv)
{
	static const char no_file[] = "needs a FILE with a rule as JSON, or - for standard input";
	static const char no_id[] = "needs an ID: `aperture alerts list` shows them";
	static const char one_id[] = "takes one ID at most";
	static const struct ap_remote_verb verbs[] = {
		{"list", cmd_list, 0, 0, "takes no operand"},
		{"history", cmd_history, 0, 1, one_id},
		{"add", cmd_add, 1, SIZE_MAX, no_file},
		{"dry-run", cmd_dry_run, 1, 1, no_file},
		{"rm", cmd_rm, 1, SIZE_MAX, no_id},
		{"toggle", cmd_toggle, 1, SIZE_MAX, no_id},
		{"eval", cmd_eval, 0, 1, one_id},
		{"silence", cmd_silence, 0, SIZE_MAX, ""},
		{"unsilence", cmd_unsilence, 1, SIZE_MAX, no_id},
	};
	struct settings set = {0};

	return ap_remote_run(&program, verbs, AP_ARRAY_SIZE(verbs), &set, &set.remote, argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* aperture annotate: what happened beside the profiles, noted at an aggregator; by a person, or by what deploys. */
#include "base/json.h"
#include "cli/remote.h"

struct settings {
	struct ap_remote remote;
	char *service, *at, *until, *link, *from;
	struct ap_strings labels;
};

#define FIELD(f) offsetof(struct settings, f)

static const struct ap_option options[] = {
	AP_REMOTE_OPTION_SERVER(struct settings),
	AP_REMOTE_OPTION_FORMAT(struct settings),
	{.name = "service",
	 .type = AP_OPT_STRING,
	 .metavar = "NAME",
	 .group = "add",
	 .help = "the service that it is about (default: all)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(service)},
	{.name = "at",
	 .type = AP_OPT_STRING,
	 .metavar = "TIME",
	 .value = "now",
	 .group = "add",
	 .help = "when: now-5m, 2026-11-23T10:00:00Z or Unix milliseconds",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(at)},
	{.name = "until",
	 .type = AP_OPT_STRING,
	 .metavar = "TIME",
	 .group = "add",
	 .help = "until when, where it took a while",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(until)},
	{.name = "link",
	 .type = AP_OPT_STRING,
	 .metavar = "URL",
	 .group = "add",
	 .help = "where there is more about it",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(link)},
	{.name = "label",
	 .type = AP_OPT_LIST,
	 .metavar = "NAME=VALUE",
	 .group = "add",
	 .help = "a label that it is about, such as namespace=shop; may be repeated",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(labels)},
	{.name = "from",
	 .type = AP_OPT_STRING,
	 .metavar = "TIME",
	 .value = "now-7d",
	 .group = "list",
	 .help = "since when",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 .offset = FIELD(from)},
};

static const struct ap_program program = {
	.name = "aperture annotate",
	.section = "cli.annotate",
	.sections = ap_cli_sections,
	.summary = "Notes at an aggregator what happened, for its charts; lists and removes notes.",
	.operands = "add TEXT | list | rm ID…",
	.notes =
		"add prints the note's ID. list shows deploys that the aggregator has seen as well.\n"
		"In a pipeline:  aperture annotate add \"web 1.8.2\" --service web --link \"$URL\"",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.file_optional = true,
};

static void put_member(struct ap_buf *b, const char *key, const char *value)
{
	if (!value)
		return;
	ap_json_key(b, key);
	ap_json_string(b, ap_str_of(value));
}

/* False: it has been said what is wrong. */
static bool put_labels(const struct ap_remote_call *c, struct ap_buf *b,
		       const struct ap_strings *labels)
{
	if (labels->n == 0)
		return true;
	ap_json_key(b, "labels");
	ap_buf_byte(b, '{');
	for (size_t i = 0; i < labels->n; i++) {
		struct ap_str value = ap_str_of(labels->p[i]), name = ap_str_cut(&value, '=');

		if (!value.p || name.n == 0) {
			ap_remote_usage(c, "--label %s: write NAME=VALUE", labels->p[i]);
			return false;
		}
		ap_json_next(b);
		ap_json_string(b, name);
		ap_buf_byte(b, ':');
		ap_json_string(b, value);
	}
	ap_buf_byte(b, '}');
	return true;
}

static int add(struct ap_remote_call *c)
{
	const struct settings *set = c->settings;
	_cleanup_buf_ struct ap_buf body = {0};

	ap_buf_byte(&body, '{');
	put_member(&body, "text", c->operands[0]);
	put_member(&body, "service", set->service);
	put_member(&body, "from", set->at);
	put_member(&body, "to", set->until);
	put_member(&body, "link", set->link);
	if (!put_labels(c, &body, &set->labels))
		return AP_EXIT_USAGE;
	ap_buf_byte(&body, '}');
	return ap_remote_post(c, "/api/v1/annotations", ap_buf_view(&body), ap_remote_put_id);
}

static void put_list(struct ap_buf *out, const json_t *answer)
{
	json_t *v;
	size_t i;

	if (json_array_size(json_object_get(answer, "annotations")) == 0)
		ap_buf_puts(out, "Nothing was noted, and no deploy was seen.\n");
	json_array_foreach(json_object_get(answer, "annotations"), i, v)
	{
		ap_buf_printf(out, "%6lld  ",
			      (long long)json_integer_value(json_object_get(v, "id")));
		ap_remote_put_time(out, json_object_get(v, "from"));
		ap_buf_puts(out, "  ");
		ap_remote_put_text(out, json_object_get(v, "kind"), 6);
		ap_buf_puts(out, "  ");
		ap_remote_put_text(out, json_object_get(v, "service"), 20);
		ap_buf_puts(out, "  ");
		ap_remote_put_text(out, json_object_get(v, "text"), 0);
		ap_buf_byte(out, '\n');
	}
}

static int list(struct ap_remote_call *c)
{
	const struct settings *set = c->settings;
	_cleanup_free_ char *from = NULL;

	if (asprintf(&from, "from=%s", set->from) < 0) {
		from = NULL;
		ap_error_set(&c->err, -ENOMEM, "out of memory");
		return ap_cli_fail(c->program, &c->err);
	}
	return ap_remote_get(c, "/api/v1/annotations", (const char *const[]){from, NULL}, put_list);
}

static int rm(struct ap_remote_call *c)
{
	return ap_remote_each_id(c, "/api/v1/annotations/", NULL);
}

int ap_cmd_annotate(int argc, char **argv)
{
	static const struct ap_remote_verb verbs[] = {
		{"add", add, 1, 1, "needs one TEXT, in quotes"},
		{"list", list, 0, 0, "takes no operand"},
		{"rm", rm, 1, SIZE_MAX, "needs an ID: `aperture annotate list` shows them"},
	};
	struct settings set = {0};

	return ap_remote_run(&program, verbs, AP_ARRAY_SIZE(verbs), &set, &set.remote, argc, argv);
}

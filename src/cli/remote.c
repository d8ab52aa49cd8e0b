/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote.h"

#include <stdarg.h>
#include <time.h>

#include "base/io.h"
#include "cli/report.h"
#include "profile/value.h"
#include "tls/secret.h"

const char *const ap_remote_formats[] = {"text", "json", NULL};

/* ---- The command line. ---- */

static int connect_to(const struct ap_remote *remote, struct ap_http_client **ret,
		      struct ap_error *err)
{
	_cleanup_(ap_cleanup_http_client) struct ap_http_client *c = NULL;
	_cleanup_secret_ char *read = NULL;
	struct ap_http_security s = {
		.ca_file = remote->ca,
		.cert_file = remote->cert,
		.key_file = remote->key,
		.token = getenv("APERTURE_TOKEN"),
	};
	int r = ap_http_client_new(remote->server, "--server", &c, err);

	if (r == 0 && remote->token_file) {
		r = ap_secret_read(remote->token_file, "--token-file", &read, err);
		s.token = read;
	}
	if (r == 0)
		r = ap_http_client_secure(c, &s, err);
	if (r < 0)
		return r;
	*ret = AP_TAKE_PTR(c);
	return 0;
}

int ap_remote_usage(const struct ap_remote_call *c, const char *fmt, ...)
{
	struct ap_error err;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	ap_cli_say(c->program, "%s", err.msg);
	return AP_EXIT_USAGE;
}

/* What the aggregator finds wrong with an operand or an option is wrong usage, too. */
static int fail(const struct ap_remote_call *c, int r)
{
	int status = ap_cli_fail(c->program, &c->err);

	return r == -EINVAL ? AP_EXIT_USAGE : status;
}

/* NULL: there is none of that name, which has been said. */
static const struct ap_remote_verb *find(const struct ap_remote_call *c,
					 const struct ap_remote_verb *verbs, size_t n,
					 const char *name)
{
	_cleanup_free_ const char **names = calloc(n + 1, sizeof(*names));
	const char *near;

	for (size_t i = 0; i < n; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
		if (names)
			names[i] = verbs[i].name;
	}
	near = names ? ap_nearest_name(ap_str_of(name), names) : NULL;
	ap_remote_usage(c, "there is no action '%.64s'%s%s%s (--help lists them)", name,
			near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
	return NULL;
}

int ap_remote_run(const struct ap_program *program, const struct ap_remote_verb *verbs,
		  size_t n_verbs, void *settings, const struct ap_remote *remote, int argc,
		  char **argv)
{
	_cleanup_config_ struct ap_config cfg = {0};
	_cleanup_(ap_cleanup_http_client) struct ap_http_client *client = NULL;
	struct ap_remote_call c = {.program = program, .settings = settings, .remote = remote};
	const struct ap_remote_verb *verb;
	int status, r;

	if (!ap_cli_parse(&cfg, program, settings, argc, argv, &status))
		return status;
	verb = verbs->name ? find(&c, verbs, n_verbs, cfg.operands[0]) : verbs;
	if (!verb)
		return AP_EXIT_USAGE;
	c.operands = cfg.operands + (verb->name != NULL);
	c.n = cfg.n_operands - (verb->name != NULL);
	if (verb->name && (c.n < verb->min || c.n > verb->max))
		return ap_remote_usage(&c, "%s %s", verb->name, verb->takes);
	r = connect_to(remote, &client, &c.err);
	if (r < 0)
		return fail(&c, r);
	c.client = client;
	return verb->run(&c);
}

bool ap_remote_id(const struct ap_remote_call *c, const char *text, uint64_t *ret)
{
	if (ap_parse_u64(ap_str_of(text), ret) == 0 && *ret > 0)
		return true;
	ap_remote_usage(c, "'%.64s' is no ID: `%s list` shows them", text, c->program->name);
	return false;
}

/* ---- Requests. ---- */

/* The answer as it came, for people to read. */
static int put_json(struct ap_buf *out, const json_t *answer)
{
	char *text = json_dumps(answer, JSON_INDENT(2));

	if (!text)
		return -ENOMEM;
	ap_buf_puts(out, text);
	ap_buf_byte(out, '\n');
	free(text);
	return 0;
}

int ap_remote_write(struct ap_remote_call *c, int r, const struct ap_buf *out)
{
	if (r == 0)
		r = ap_buf_error(out);
	if (r == 0)
		r = ap_write_all(STDOUT_FILENO, out->p, out->n);
	/* A pager that was left early has seen what it wanted. */
	if (r == 0 || r == -EPIPE)
		return AP_EXIT_OK;
	ap_error_set(&c->err, r, "cannot write: %s", ap_strerror(r));
	return ap_cli_fail(c->program, &c->err);
}

int ap_remote_finish(struct ap_remote_call *c, int r, json_t *answer, ap_remote_put *put)
{
	_cleanup_buf_ struct ap_buf out = {0};

	if (r < 0)
		return fail(c, r);
	if (c->remote->format == AP_REMOTE_JSON)
		r = put_json(&out, answer);
	else if (put)
		put(&out, answer);
	json_decref(answer);
	return ap_remote_write(c, r, &out);
}

int ap_remote_get(struct ap_remote_call *c, const char *path, const char *const *query,
		  ap_remote_put *put)
{
	json_t *answer = NULL;
	int r = ap_http_client_get(c->client, path, query, &answer, &c->err);

	return ap_remote_finish(c, r, answer, put);
}

int ap_remote_select(struct ap_remote_call *c, const char *path,
		     const struct ap_remote_selection *s, const char *const *more, json_t **ret)
{
	_cleanup_free_ char *from = NULL, *to = NULL, *type = NULL, *filter = NULL;
	const char *query[4 + AP_REMOTE_MORE_MAX + 1] = {NULL};
	size_t n = 0;

	if (asprintf(&from, "from=%s", s->from) < 0 || asprintf(&to, "to=%s", s->to) < 0 ||
	    asprintf(&type, "type=%s", s->type) < 0 ||
	    asprintf(&filter, "filter=%s", s->filter ?: "") < 0)
		return ap_error_set(&c->err, -ENOMEM, "out of memory");
	query[n++] = from;
	query[n++] = to;
	query[n++] = type;
	if (s->filter)
		query[n++] = filter;
	for (size_t i = 0; more[i] && i < AP_REMOTE_MORE_MAX; i++)
		query[n++] = more[i];
	return ap_http_client_get(c->client, path, query, ret, &c->err);
}

int ap_remote_post(struct ap_remote_call *c, const char *path, struct ap_str body,
		   ap_remote_put *put)
{
	json_t *answer = NULL;
	int r = ap_http_client_post(c->client, path, body, &answer, &c->err);

	return ap_remote_finish(c, r, answer, put);
}

int ap_remote_each_id(struct ap_remote_call *c, const char *prefix, const char *suffix)
{
	int status = AP_EXIT_OK;
	uint64_t id;

	for (size_t i = 0; i < c->n; i++)
		if (!ap_remote_id(c, c->operands[i], &id))
			return AP_EXIT_USAGE;
	for (size_t i = 0; i < c->n && status == AP_EXIT_OK; i++) {
		json_t *answer = NULL;
		char path[80];
		int r;

		snprintf(path, sizeof(path), "%s%s%s", prefix, c->operands[i], suffix ?: "");
		r = suffix ? ap_http_client_post(c->client, path, AP_STR(""), &answer, &c->err)
			   : ap_http_client_delete(c->client, path, &answer, &c->err);
		status = ap_remote_finish(c, r, answer, NULL);
	}
	return status;
}

/* ---- Answers. ---- */

void ap_remote_put_id(struct ap_buf *out, const json_t *answer)
{
	ap_buf_printf(out, "%lld\n", (long long)json_integer_value(json_object_get(answer, "id")));
}

void ap_remote_put_text(struct ap_buf *out, const json_t *text, size_t width)
{
	const char *s = json_string_value(text);
	size_t from = out->n;

	ap_report_text(out, ap_str_of(s && s[0] ? s : "-"), 0);
	while (out->n - from < width)
		ap_buf_byte(out, ' ');
}

static long long number(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

void ap_remote_put_coverage(struct ap_buf *out, const json_t *answer)
{
	const json_t *coverage = json_object_get(answer, "coverage");
	long long lost = number(coverage, "lost");

	ap_buf_printf(out, "%lld of %lld hosts reported", number(coverage, "hosts_reporting"),
		      number(coverage, "hosts_expected"));
	if (lost > 0) {
		ap_buf_puts(out, ", lost ");
		ap_value_text(out, (uint64_t)lost, "samples");
	}
}

void ap_remote_put_time(struct ap_buf *out, const json_t *ms)
{
	time_t s = (time_t)(json_integer_value(ms) / 1000);
	char t[32] = "-";
	struct tm tm;

	if (s > 0 && localtime_r(&s, &tm))
		strftime(t, sizeof(t), "%Y-%m-%d %H:%M:%S", &tm);
	ap_buf_printf(out, "%-19s", t);
}

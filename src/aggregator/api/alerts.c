/* SPDX-License-Identifier: Apache-2.0 */
/* Alert rules, silences, history. The engine writes the JSON of what it keeps. */
#include <jansson.h>

#include "aggregator/alert/engine.h"
#include "aggregator/api/answer.h"
#include "base/clock.h"

#define INVALID	      "invalid_argument"
#define HISTORY_LIMIT 100
#define TEXT_MAX      1000 /* bytes of a comment, a selector */
#define DRY_RUN_NS    (20 * AP_NSEC_PER_SEC)

static int64_t now_ms(void)
{
	return ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_MSEC;
}

static void answer_error(struct ap_http_request *req, int code, const char *field,
			 const struct ap_error *err)
{
	const char *text = err->msg[0] ? err->msg : ap_strerror(code);

	switch (code) {
	case -ENOENT:
		ap_http_reply_error(req, 404, "not_found", field, "%s", text);
		break;
	case -EEXIST:
		ap_http_reply_error(req, 409, "conflict", "name", "%s", text);
		break;
	case -ENOSPC:
		ap_http_reply_error(req, 422, "too_many", field, "%s", text);
		break;
	case -ERANGE:
		ap_http_reply_error(req, 422, "not_kept", "baseline", "%s", text);
		break;
	case -ENOTSUP:
		ap_http_reply_error(req, 422, "not_supported", "filter", "%s", text);
		break;
	case -EIO:
	case -EBADMSG:
		ap_http_reply_error(req, 503, "state_unwritable", NULL, "%s", text);
		break;
	case -EINVAL:
		ap_http_reply_error(req, 400, INVALID, field, "%s", text);
		break;
	default:
		ap_answer_query_error(req, code, err);
	}
}

/* False: answered. */
static bool no_parameters(struct ap_http_request *req)
{
	static const char *const names[] = {NULL};
	struct ap_params p;

	return ap_params_query(req, names, &p);
}

/* The id in the path. False: answered. */
static bool path_id(struct ap_http_request *req, uint64_t *ret)
{
	struct ap_str text = ap_http_path_param(req, "id");

	if (ap_parse_u64(text, ret) == 0 && *ret > 0 && *ret <= INT64_MAX)
		return true;
	ap_http_reply_error(req, 404, "not_found", "id",
			    "'%.*s' is no id: GET /api/alerts lists them",
			    (int)AP_MIN(text.n, (size_t)40), text.p ? text.p : "");
	return false;
}

/* False: answered. */
static bool body_rule(struct ap_http_request *req, struct ap_alert_rule **ret)
{
	struct ap_error err = {0};
	const char *field = NULL;
	json_t *body;
	int r;

	if (ap_http_body_json(req, &body) < 0)
		return false;
	r = ap_alert_rule_parse(body, ret, &field, &err);
	if (r < 0)
		answer_error(req, r, field, &err);
	return r == 0;
}

static void answer_rule(struct ap_http_request *req, const struct ap_api *api, uint64_t id)
{
	_cleanup_buf_ struct ap_buf b = {0};

	if (ap_alert_engine_rule_json(api->alerts, id, now_ms(), &b) < 0)
		ap_http_reply_error(req, 404, "not_found", "id", "the rule was deleted meanwhile");
	else
		ap_http_reply_json(req, 200, &b);
}

static void answer_list(struct ap_http_request *req, const struct ap_api *api)
{
	_cleanup_buf_ struct ap_buf b = {0};

	ap_buf_byte(&b, '{');
	ap_alert_engine_list_json(api->alerts, now_ms(), &b);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

static void answer_id(struct ap_http_request *req, const char *key, uint64_t id)
{
	_cleanup_buf_ struct ap_buf b = {0};

	ap_buf_byte(&b, '{');
	ap_answer_u64(&b, key, id);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

void ap_api_alerts(struct ap_http_request *req, void *ctx)
{
	if (no_parameters(req))
		answer_list(req, ctx);
}

void ap_api_alerts_add(struct ap_http_request *req, void *ctx)
{
	const struct ap_api *api = ctx;
	struct ap_alert_rule *rule = NULL;
	struct ap_error err = {0};
	uint64_t id = 0;
	int r;

	if (!no_parameters(req) || !body_rule(req, &rule))
		return;
	r = ap_alert_engine_add(api->alerts, rule, now_ms(), &id, &err);
	if (r < 0)
		answer_error(req, r, NULL, &err);
	else
		answer_rule(req, api, id);
}

void ap_api_alerts_change(struct ap_http_request *req, void *ctx)
{
	const struct ap_api *api = ctx;
	struct ap_alert_rule *rule = NULL;
	struct ap_error err = {0};
	uint64_t id;
	int r;

	if (!no_parameters(req) || !path_id(req, &id) || !body_rule(req, &rule))
		return;
	r = ap_alert_engine_change(api->alerts, id, rule, now_ms(), &err);
	if (r < 0)
		answer_error(req, r, "id", &err);
	else
		answer_rule(req, api, id);
}

/* Calls `fn` with the id in the path. False: answered. */
static bool change_by_id(struct ap_http_request *req, const struct ap_api *api,
			 int (*fn)(struct ap_alert_engine *, uint64_t, int64_t, struct ap_error *),
			 uint64_t *ret_id)
{
	struct ap_error err = {0};
	int r;

	if (!no_parameters(req) || !path_id(req, ret_id))
		return false;
	r = fn(api->alerts, *ret_id, now_ms(), &err);
	if (r < 0)
		answer_error(req, r, "id", &err);
	return r == 0;
}

void ap_api_alerts_delete(struct ap_http_request *req, void *ctx)
{
	uint64_t id;

	if (change_by_id(req, ctx, ap_alert_engine_delete, &id))
		answer_id(req, "deleted", id);
}

void ap_api_alerts_toggle(struct ap_http_request *req, void *ctx)
{
	uint64_t id;

	if (change_by_id(req, ctx, ap_alert_engine_toggle, &id))
		answer_rule(req, ctx, id);
}

void ap_api_alerts_unsilence(struct ap_http_request *req, void *ctx)
{
	uint64_t id;

	if (change_by_id(req, ctx, ap_alert_engine_unsilence, &id))
		answer_id(req, "deleted", id);
}

void ap_api_alerts_history(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"rule", "before", "limit", NULL};
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	uint64_t rule, before, limit;
	struct ap_params p;

	if (!ap_params_query(req, names, &p) ||
	    !ap_params_uint(&p, "rule", 0, INT64_MAX, 0, &rule) ||
	    !ap_params_uint(&p, "before", 0, INT64_MAX, 0, &before) ||
	    !ap_params_uint(&p, "limit", 1, AP_ALERT_HISTORY_MAX, HISTORY_LIMIT, &limit))
		return;
	ap_buf_byte(&b, '{');
	ap_alert_engine_history_json(api->alerts, rule, before, (uint32_t)limit, &b);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

void ap_api_alerts_evaluate(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"rule", NULL};
	const struct ap_api *api = ctx;
	struct ap_params p;
	uint64_t rule;
	int r;

	if (!ap_params_query(req, names, &p) || !ap_params_uint(&p, "rule", 0, INT64_MAX, 0, &rule))
		return;
	r = ap_alert_engine_evaluate(api->alerts, rule, now_ms());
	if (r == -ENOENT)
		ap_http_reply_error(req, 404, "not_found", "rule",
				    "there is no rule %llu that is switched on",
				    (unsigned long long)rule);
	else if (r < 0)
		ap_http_reply_error(req, 500, "internal", NULL, "%s", ap_strerror(r));
	else
		answer_list(req, api);
}

void ap_api_alerts_dry_run(struct ap_http_request *req, void *ctx)
{
	_cleanup_(ap_cleanup_alert_rule) struct ap_alert_rule *rule = NULL;
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_error err = {0};
	int r;

	if (!no_parameters(req) || !body_rule(req, &rule))
		return;
	ap_buf_byte(&b, '{');
	r = ap_alert_engine_dry_run(api->alerts, rule, now_ms(), DRY_RUN_NS, &b, &err);
	ap_buf_byte(&b, '}');
	if (r < 0)
		answer_error(req, r, NULL, &err);
	else
		ap_http_reply_json(req, 200, &b);
}

struct silence {
	uint64_t rule; /* 0: all */
	uint32_t duration_s;
	struct ap_str filter, comment; /* the request's */
};

static bool check_filter(struct ap_http_request *req, struct ap_str text)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	struct ap_error err = {0};
	int r = ap_filter_parse(text, &filter, NULL, &err);

	if (r < 0)
		answer_error(req, r == -ENOMEM ? r : -EINVAL, "filter", &err);
	return r == 0;
}

/* {"rule":ID or null,"duration_s":N,"filter":"{…}","comment":"…"}. False: answered. */
static bool body_silence(struct ap_http_request *req, struct silence *ret)
{
	json_t *body, *rule = NULL;
	json_int_t duration = 0;
	json_error_t e;

	*ret = (struct silence){.filter = AP_STR(""), .comment = AP_STR("")};
	if (ap_http_body_json(req, &body) < 0)
		return false;
	if (json_unpack_ex(body, &e, JSON_STRICT, "{s?o,s:I,s?s%,s?s%}", "rule", &rule,
			   "duration_s", &duration, "filter", &ret->filter.p, &ret->filter.n,
			   "comment", &ret->comment.p, &ret->comment.n) < 0)
		ap_http_reply_error(req, 400, INVALID, NULL, "the body: %s", e.text);
	else if (rule && !json_is_null(rule) && json_integer_value(rule) <= 0)
		ap_http_reply_error(req, 400, INVALID, "rule", "an id, or null for all rules");
	else if (duration < 1 || duration > AP_ALERT_SILENCE_MAX_S)
		ap_http_reply_error(req, 400, INVALID, "duration_s", "1 second to 366 days");
	else if (ret->comment.n > TEXT_MAX)
		ap_http_reply_error(req, 400, INVALID, "comment", "at most %d bytes", TEXT_MAX);
	else if (ret->filter.n > TEXT_MAX)
		ap_http_reply_error(req, 400, INVALID, "filter", "at most %d bytes", TEXT_MAX);
	else if (check_filter(req, ret->filter)) {
		ret->rule = (uint64_t)json_integer_value(rule);
		ret->duration_s = (uint32_t)duration;
		return true;
	}
	return false;
}

void ap_api_alerts_silence(struct ap_http_request *req, void *ctx)
{
	const struct ap_api *api = ctx;
	struct ap_error err = {0};
	struct silence s;
	uint64_t id = 0;
	int r;

	if (!no_parameters(req) || !body_silence(req, &s))
		return;
	r = ap_alert_engine_silence(api->alerts, s.rule, now_ms(), s.duration_s, s.filter,
				    s.comment, &id, &err);
	if (r < 0)
		answer_error(req, r, "rule", &err);
	else
		answer_id(req, "id", id);
}

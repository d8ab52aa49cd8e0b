/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/params.h"

#include <inttypes.h>
#include <stdio.h>

#include <jansson.h>

#include "base/clock.h"

#define INVALID	     "invalid_argument"
#define PARAMS_MAX   64
#define RANGE_MAX_MS (400 * 86400000ll) /* the longest retention of any table */
#define AHEAD_MAX_MS (10 * 60000ll)	/* as for what agents send */
#define SHOWN_BYTES  100		/* of a user's value, in a message */

static int shown(struct ap_str s)
{
	return (int)AP_MIN(s.n, (size_t)SHOWN_BYTES);
}

static bool check_names(const struct ap_params *p, const char *const *names)
{
	for (size_t i = 0; i < p->n; i++) {
		const char *const *known = names;
		struct ap_str name = p->p[i].name;

		while (*known && !ap_str_is(name, *known))
			known++;
		if (!*known) {
			ap_http_reply_error(p->req, 400, INVALID, name.p,
					    "there is no parameter '%.*s' here", shown(name),
					    name.p);
			return false;
		}
		for (size_t j = 0; j < i; j++) {
			if (ap_str_eq(p->p[j].name, name)) {
				ap_http_reply_error(p->req, 400, INVALID, *known,
						    "%s is given twice", *known);
				return false;
			}
		}
	}
	return true;
}

bool ap_params_query(struct ap_http_request *req, const char *const *names, struct ap_params *ret)
{
	*ret = (struct ap_params){.req = req, .now_ms = ap_clock_unix_ns() / 1000000};
	ret->p = ap_http_query(req, &ret->n);
	return check_names(ret, names);
}

/* A body's members while they are being collected. */
struct flatten {
	struct ap_http_request *req;
	struct ap_http_param *p;
	size_t n;
};

static bool flatten_value(struct flatten *f, const char *name, json_t *v)
{
	struct ap_arena *a = ap_http_arena(f->req);
	char number[32], *copy;

	if (f->n == PARAMS_MAX) {
		ap_http_reply_error(f->req, 400, INVALID, NULL, "the body has more than %d values",
				    PARAMS_MAX);
		return false;
	}
	if (!json_is_string(v) && !json_is_integer(v)) {
		ap_http_reply_error(f->req, 400, INVALID, name,
				    "%.*s must be a string or an integer", SHOWN_BYTES, name);
		return false;
	}
	f->p[f->n].name = ap_str_of(ap_arena_strdup(a, ap_str_of(name)));
	if (json_is_string(v)) {
		f->p[f->n].value = (struct ap_str){json_string_value(v), json_string_length(v)};
	} else {
		snprintf(number, sizeof(number), "%" PRId64, (int64_t)json_integer_value(v));
		copy = ap_arena_strdup(a, ap_str_of(number));
		f->p[f->n].value = ap_str_of(copy);
	}
	f->n++;
	return true;
}

/* One level of nesting is all that a body has. */
static bool flatten(struct flatten *f, json_t *object, const char *prefix)
{
	const char *key;
	json_t *v;

	json_object_foreach(object, key, v)
	{
		char name[256];

		if ((size_t)snprintf(name, sizeof(name), "%s%s", prefix, key) >= sizeof(name)) {
			ap_http_reply_error(f->req, 400, INVALID, NULL, "a key is too long");
			return false;
		}
		if (json_is_object(v) && !*prefix) {
			strncat(name, ".", sizeof(name) - strlen(name) - 1);
			if (!flatten(f, v, name))
				return false;
		} else if (!flatten_value(f, name, v)) {
			return false;
		}
	}
	return true;
}

bool ap_params_body(struct ap_http_request *req, const char *const *names, struct ap_params *ret)
{
	struct flatten f = {.req = req};
	json_t *body;

	if (ap_http_body_json(req, &body) < 0)
		return false;
	if (!json_is_object(body)) {
		ap_http_reply_error(req, 400, INVALID, NULL, "the body must be a JSON object");
		return false;
	}
	f.p = ap_arena_alloc(ap_http_arena(req), PARAMS_MAX * sizeof(*f.p));
	if (!f.p || !flatten(&f, body, ""))
		return false;
	*ret = (struct ap_params){
		.req = req, .p = f.p, .n = f.n, .now_ms = ap_clock_unix_ns() / 1000000};
	return check_names(ret, names);
}

bool ap_params_get(const struct ap_params *p, const char *name, struct ap_str *ret)
{
	for (size_t i = 0; i < p->n; i++) {
		if (ap_str_is(p->p[i].name, name)) {
			*ret = p->p[i].value;
			return true;
		}
	}
	return false;
}

bool ap_params_uint(const struct ap_params *p, const char *name, uint64_t min, uint64_t max,
		    uint64_t fallback, uint64_t *ret)
{
	struct ap_str s;
	uint64_t v = fallback;

	if (ap_params_get(p, name, &s) && (ap_parse_u64(s, &v) < 0 || v < min || v > max)) {
		ap_http_reply_error(p->req, 400, INVALID, name,
				    "'%.*s' is not a whole number from %" PRIu64 " to %" PRIu64,
				    shown(s), s.p, min, max);
		return false;
	}
	*ret = v;
	return true;
}

bool ap_params_choice(const struct ap_params *p, const char *name, const char *const *choices,
		      unsigned int *ret)
{
	_cleanup_buf_ struct ap_buf list = {0};
	struct ap_str s;

	if (!ap_params_get(p, name, &s)) {
		*ret = 0;
		return true;
	}
	for (unsigned int i = 0; choices[i]; i++) {
		if (ap_str_is(s, choices[i])) {
			*ret = i;
			return true;
		}
		ap_buf_printf(&list, "%s%s", i ? ", " : "", choices[i]);
	}
	ap_http_reply_error(p->req, 400, INVALID, name, "'%.*s' is none of: %.*s", shown(s), s.p,
			    AP_STR_ARG(ap_buf_view(&list)));
	return false;
}

bool ap_params_label(const struct ap_params *p, const char *name, bool required, struct ap_str *ret)
{
	struct ap_str s = {0};
	bool given = ap_params_get(p, name, &s);

	if ((required || s.n) && (!given || !ap_label_name_ok(s))) {
		ap_http_reply_error(
			p->req, 400, INVALID, name,
			given ? "'%.*s' is not a label's name: /api/v1/labels lists them"
			      : "a label's name is needed%.*s",
			shown(s), s.n ? s.p : "");
		return false;
	}
	*ret = s;
	return true;
}

/* ---- Selections. ---- */

bool ap_params_step(const struct ap_params *p, const struct ap_query *q, int64_t *ret_ms)
{
	struct ap_str s;
	uint64_t ns;

	*ret_ms = 0;
	if (!ap_params_get(p, "step", &s))
		return true;
	if (ap_parse_duration(s, &ns) < 0 || ns == 0 || ns % AP_NSEC_PER_SEC) {
		ap_http_reply_error(p->req, 400, INVALID, "step",
				    "'%.*s' is not a number of whole seconds: write 10s, 1m or 1h",
				    (int)AP_MIN(s.n, (size_t)100), s.p);
		return false;
	}
	*ret_ms = (int64_t)(ns / AP_NSEC_PER_MSEC);
	if ((q->to_ms - q->from_ms) / *ret_ms >= AP_SERIES_STEPS_MAX - 1) {
		ap_http_reply_error(
			p->req, 400, INVALID, "step",
			"that step divides the range into more than %d: take a longer one",
			AP_SERIES_STEPS_MAX);
		return false;
	}
	return true;
}

/* The parameter's full name, in the request's memory since answers refer to it. */
static const char *full_name(const struct ap_params *p, const char *prefix, const char *name)
{
	char text[32];

	snprintf(text, sizeof(text), "%s%s", prefix, name);
	return ap_arena_strdup(ap_http_arena(p->req), ap_str_of(text));
}

static bool parse_time(const struct ap_params *p, const char *name, const char *fallback,
		       int64_t *ret)
{
	struct ap_str s = ap_str_of(fallback);

	ap_params_get(p, name, &s);
	if (ap_time_parse(s, p->now_ms, ret) < 0) {
		ap_http_reply_error(p->req, 400, INVALID, name,
				    "'%.*s' is not a time: write Unix milliseconds, now, now-1h or "
				    "2026-11-23T10:00:00Z",
				    shown(s), s.p);
		return false;
	}
	if (*ret < 0 || *ret > AP_QUERY_TIME_MAX_MS) {
		ap_http_reply_error(p->req, 400, INVALID, name,
				    "%.*s is out of range: times are Unix milliseconds", shown(s),
				    s.p);
		return false;
	}
	return true;
}

static bool parse_range(const struct ap_params *p, const char *prefix, struct ap_query *q)
{
	const char *from = full_name(p, prefix, "from"), *to = full_name(p, prefix, "to");

	if (!from || !to || !parse_time(p, from, "now-1h", &q->from_ms) ||
	    !parse_time(p, to, "now", &q->to_ms))
		return false;
	if (q->from_ms > p->now_ms + AHEAD_MAX_MS) {
		ap_http_reply_error(p->req, 400, INVALID, from, "%s lies in the future", from);
		return false;
	}
	if (q->to_ms <= q->from_ms) {
		ap_http_reply_error(p->req, 400, INVALID, to,
				    "%s (%" PRId64 ") must be later than %s (%" PRId64 ")", to,
				    q->to_ms, from, q->from_ms);
		return false;
	}
	if (q->to_ms - q->from_ms > RANGE_MAX_MS) {
		ap_http_reply_error(
			p->req, 400, INVALID, from,
			"the range is longer than 400 days, which is more than is kept");
		return false;
	}
	return true;
}

static bool parse_type(const struct ap_params *p, const char *prefix, struct ap_query *q)
{
	const char *name = full_name(p, prefix, "type");
	struct ap_str s = AP_STR("cpu:nanoseconds");

	if (!name)
		return false;
	ap_params_get(p, name, &s);
	q->type = ap_profile_type_find(s);
	if (!q->type)
		ap_http_reply_error(p->req, 400, INVALID, name,
				    "there is no profile type '%.*s': /api/v1/profile-types lists "
				    "them",
				    shown(s), s.p);
	return q->type != NULL;
}

static bool parse_filter(const struct ap_params *p, const char *prefix, struct ap_selection *s)
{
	const char *name = full_name(p, prefix, "filter");
	struct ap_error err = {0};
	int r;

	if (!name)
		return false;
	if (!ap_params_get(p, name, &s->filter_text) || s->filter_text.n == 0)
		return true;
	r = ap_filter_parse(s->filter_text, &s->filter, NULL, &err);
	if (r < 0)
		ap_http_reply_error(p->req, r == -ENOMEM ? 500 : 400,
				    r == -ENOMEM ? "internal" : INVALID, name, "%s", err.msg);
	s->query.filter = s->filter;
	return r == 0;
}

bool ap_params_selection(const struct ap_params *p, const char *prefix, struct ap_selection *ret)
{
	uint64_t max_nodes;

	if (!parse_range(p, prefix, &ret->query) || !parse_type(p, prefix, &ret->query) ||
	    !parse_filter(p, prefix, ret) ||
	    !ap_params_uint(p, "max_nodes", 1, AP_TREE_NODES_MAX, AP_TREE_NODES_DEFAULT,
			    &max_nodes))
		return false;
	ret->query.max_nodes = (uint32_t)AP_MAX(max_nodes, 2u); /* the root and "(other)" */
	ret->query.cancel = ap_http_gone(p->req);
	return true;
}

void ap_selection_free(struct ap_selection *s)
{
	ap_filter_free(s->filter);
	s->filter = NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>

#include "aggregator/alert/rule.h"
#include "aggregator/query/filter.h"
#include "http/post.h"

#define NAME_MAX_BYTES 200
#define TEXT_MAX       2048
#define DAY_S	       86400
#define WINDOW_S       300
#define SYSTEM_S       15 /* between readings of counters … */
#define PROFILE_S      60 /* … and of profiles */

/* What is being parsed; errors are set once, with the member at fault. */
struct parser {
	const json_t *body;
	const char *field;
	struct ap_error *err;
};

static int refuse(struct parser *p, const char *field, const char *fmt, ...) AP_PRINTF(3, 4);

static int refuse(struct parser *p, const char *field, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	p->field = field;
	return ap_error_set(p->err, -EINVAL, "%s: %s", field ? field : "rule", text);
}

static int no_memory(struct parser *p)
{
	return ap_error_set(p->err, -ENOMEM, "out of memory");
}

/* A text without NUL; "" where the member is absent. */
static int take_text(struct parser *p, const json_t *object, const char *key, size_t max,
		     char **ret)
{
	const json_t *v = json_object_get(object, key);
	const char *text = v ? json_string_value(v) : "";

	if (!text)
		return refuse(p, key, "a text is expected");
	if (v && (json_string_length(v) > max || strlen(text) != json_string_length(v)))
		return refuse(p, key, "at most %zu bytes, none of them NUL", max);
	*ret = strdup(text);
	return *ret ? 0 : no_memory(p);
}

static int take_choice(struct parser *p, const json_t *object, const char *key,
		       const char *const *names, unsigned int fallback, unsigned int *ret)
{
	const json_t *v = json_object_get(object, key);
	const char *text = json_string_value(v);

	*ret = fallback;
	if (!v && fallback != UINT32_MAX)
		return 0;
	for (unsigned int i = 0; text && names[i]; i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret = i;
			return 0;
		}
	}
	return refuse(p, key, "%s is expected, such as \"%s\"", v ? "a known word" : "a value",
		      names[0]);
}

static int take_number(struct parser *p, const char *key, bool required, double *ret)
{
	const json_t *v = json_object_get(p->body, key);

	if ((!v || json_is_null(v)) && !required)
		return 0;
	if (!json_is_number(v) || !isfinite(json_number_value(v)))
		return refuse(p, key, "a number is expected");
	*ret = json_number_value(v);
	return 0;
}

static int take_uint(struct parser *p, const json_t *object, const char *key, uint64_t min,
		     uint64_t max, uint64_t fallback, uint64_t *ret)
{
	const json_t *v = json_object_get(object, key);
	json_int_t n = json_integer_value(v);

	*ret = fallback;
	if (!v)
		return 0;
	if (!json_is_integer(v) || n < 0 || (uint64_t)n < min || (uint64_t)n > max)
		return refuse(p, key, "a whole number from %llu to %llu is expected",
			      (unsigned long long)min, (unsigned long long)max);
	*ret = (uint64_t)n;
	return 0;
}

static int take_seconds(struct parser *p, const json_t *object, const char *key, uint32_t min,
			uint32_t max, uint32_t fallback, uint32_t *ret)
{
	uint64_t v;
	int r = take_uint(p, object, key, min, max, fallback, &v);

	if (r == 0)
		*ret = (uint32_t)v;
	return r;
}

static int check_keys(struct parser *p, const json_t *object, const char *const *known,
		      const char *where)
{
	void *it = json_object_iter((json_t *)(uintptr_t)object);

	for (; it; it = json_object_iter_next((json_t *)(uintptr_t)object, it)) {
		const char *key = json_object_iter_key(it);
		size_t i = 0;

		while (known[i] && strcmp(known[i], key) != 0)
			i++;
		if (!known[i])
			return refuse(p, where, "there is no member \"%.60s\"", key);
	}
	return 0;
}

static int take_metric(struct parser *p, struct ap_alert_rule *r)
{
	const char *text = json_string_value(json_object_get(p->body, "metric"));

	for (unsigned int i = 0; text && i < AP_ALERT_METRIC_MAX; i++) {
		if (strcmp(text, ap_alert_metrics[i].name) == 0) {
			r->metric = (enum ap_alert_metric)i;
			return 0;
		}
	}
	return refuse(p, "metric", "one of the metrics that GET /api/alerts lists is expected");
}

/* A member that the metric does not take would be passed over in silence: refused. */
static int check_taken(struct parser *p, const struct ap_alert_rule *r)
{
	static const struct {
		uint32_t bit;
		const char *key;
	} members[] = {
		{AP_ALERT_TAKES_WINDOW, "window_s"},   {AP_ALERT_TAKES_FILTER, "filter"},
		{AP_ALERT_TAKES_TYPE, "type"},	       {AP_ALERT_TAKES_FUNCTION, "function"},
		{AP_ALERT_TAKES_MODULE, "module"},     {AP_ALERT_TAKES_SYSCALL, "syscall"},
		{AP_ALERT_TAKES_BASELINE, "baseline"},
	};
	const struct ap_alert_metric_info *info = ap_alert_info(r);

	for (size_t i = 0; i < AP_ARRAY_SIZE(members); i++) {
		if (json_object_get(p->body, members[i].key) && !(info->takes & members[i].bit))
			return refuse(p, members[i].key, "%s does not take it", info->name);
	}
	if (json_object_get(p->body, "min_samples") && !ap_alert_is_profile(r))
		return refuse(p, "min_samples", "%s does not take it", info->name);
	return 0;
}

/* The threshold, and the one beyond which a firing rule has recovered. */
static int take_thresholds(struct parser *p, struct ap_alert_rule *r)
{
	unsigned int op = 0;
	bool wrong;
	int e = take_choice(p, p->body, "operator", ap_alert_op_names, UINT32_MAX, &op);

	r->op = (enum ap_alert_op)op;
	if (e == 0)
		e = take_number(p, "threshold", true, &r->threshold);
	r->recover = r->threshold;
	if (e == 0)
		e = take_number(p, "recover", false, &r->recover);
	if (e < 0)
		return e;
	if (r->op == AP_ALERT_GT || r->op == AP_ALERT_GTE)
		wrong = r->recover > r->threshold;
	else if (r->op == AP_ALERT_EQ)
		wrong = r->recover != r->threshold;
	else
		wrong = r->recover < r->threshold;
	if (wrong)
		return refuse(p, "recover", "it must lie on the quiet side of the threshold");
	return 0;
}

static int take_baseline(struct parser *p, struct ap_alert_rule *r)
{
	static const char *const keys[] = {"offset_s", "window_s", NULL};
	const json_t *b = json_object_get(p->body, "baseline");
	int e;

	if (!b || json_is_null(b))
		return 0;
	if (!json_is_object(b))
		return refuse(p, "baseline", "{\"offset_s\":…,\"window_s\":…} or null is expected");
	e = check_keys(p, b, keys, "baseline");
	if (e == 0)
		e = take_seconds(p, b, "offset_s", r->window_s, 400 * DAY_S, r->window_s,
				 &r->baseline_offset_s);
	if (e == 0)
		e = take_seconds(p, b, "window_s", 60, 7 * DAY_S, r->window_s,
				 &r->baseline_window_s);
	return e;
}

static int take_filter(struct parser *p, struct ap_alert_rule *r)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *f = NULL;
	struct ap_error err = {0};
	int e = take_text(p, p->body, "filter", 16384, &r->filter);

	if (e < 0)
		return e;
	e = ap_filter_parse(ap_str_of(r->filter), &f, NULL, &err);
	if (e == -ENOMEM)
		return no_memory(p);
	if (e < 0)
		return refuse(p, "filter", "%s", err.msg);
	for (uint32_t i = 0; f && r->metric == AP_ALERT_AGENT_SILENT && i < f->n; i++) {
		if (!ap_str_is(f->matchers[i].label, "host") &&
		    !ap_str_is(f->matchers[i].label, "agent"))
			return refuse(p, "filter", "agents are told apart by host and agent only");
	}
	return 0;
}

static int take_type(struct parser *p, struct ap_alert_rule *r)
{
	static const char *const own[] = {
		[AP_ALERT_CPU_TIME] = "cpu:nanoseconds",
		[AP_ALERT_OFFCPU_TIME] = "offcpu:nanoseconds",
		[AP_ALERT_LOCK_TIME] = "lock:nanoseconds",
		[AP_ALERT_SYSCALL_P99] = NULL,
	};
	_cleanup_free_ char *name = NULL;
	const char *fixed = r->metric < AP_ARRAY_SIZE(own) ? own[r->metric] : NULL;
	int e = take_text(p, p->body, "type", 64, &name);

	if (e < 0)
		return e;
	r->type = ap_profile_type_find(
		ap_str_of(fixed ? fixed : (name[0] ? name : "cpu:nanoseconds")));
	return r->type ? 0 : refuse(p, "type", "/api/v1/profile-types lists the profile types");
}

static int take_selection(struct parser *p, struct ap_alert_rule *r)
{
	int e = take_filter(p, r);

	if (e == 0)
		e = take_type(p, r);
	if (e == 0)
		e = take_text(p, p->body, "function", TEXT_MAX, &r->function);
	if (e == 0)
		e = take_text(p, p->body, "module", TEXT_MAX, &r->module);
	if (e == 0)
		e = take_text(p, p->body, "syscall", 64, &r->syscall);
	if (e < 0)
		return e;
	if (r->metric == AP_ALERT_FUNCTION_SHARE && !r->function[0])
		return refuse(p, "function", "the function's name is needed");
	if (r->metric == AP_ALERT_MODULE_SHARE && !r->module[0])
		return refuse(p, "module", "the module's path is needed");
	return 0;
}

static int take_hook(struct parser *p, const json_t *v, struct ap_alert_rule *r)
{
	static const char *const keys[] = {"url", "format", NULL};
	struct ap_alert_hook *h = &r->hooks[r->n_hooks];
	unsigned int format;
	int e;

	if (!json_is_object(v))
		return refuse(p, "webhooks", "each is {\"url\":…,\"format\":…}");
	e = check_keys(p, v, keys, "webhooks");
	if (e == 0)
		e = take_choice(p, v, "format", ap_alert_format_names, 0, &format);
	if (e == 0)
		e = take_text(p, v, "url", TEXT_MAX, &h->url);
	if (e < 0)
		return e;
	h->format = (enum ap_alert_format)format;
	r->n_hooks++;
	if (!ap_http_url_ok(h->url))
		return refuse(p, "webhooks", "the url must be http:// or https://, with a host");
	return 0;
}

static int take_hooks(struct parser *p, struct ap_alert_rule *r)
{
	const json_t *v = json_object_get(p->body, "webhooks");
	int e = 0;

	if (v && (!json_is_array(v) || json_array_size(v) > AP_ALERT_HOOKS_MAX))
		return refuse(p, "webhooks", "an array of at most %d is expected",
			      AP_ALERT_HOOKS_MAX);
	for (size_t i = 0; i < json_array_size(v) && e == 0; i++)
		e = take_hook(p, json_array_get(v, i), r);
	return e;
}

static int take_head(struct parser *p, struct ap_alert_rule *r)
{
	const json_t *enabled = json_object_get(p->body, "enabled");
	unsigned int severity;
	int e = take_text(p, p->body, "name", NAME_MAX_BYTES, &r->name);

	if (e == 0 && !ap_str_trim(ap_str_of(r->name)).n)
		e = refuse(p, "name", "a rule has a name");
	if (e == 0)
		e = take_text(p, p->body, "description", TEXT_MAX, &r->description);
	if (e == 0 && enabled && !json_is_boolean(enabled))
		e = refuse(p, "enabled", "true or false is expected");
	r->enabled = !json_is_false(enabled);
	if (e == 0)
		e = take_choice(p, p->body, "severity", ap_alert_severity_names, AP_ALERT_WARNING,
				&severity);
	if (e == 0)
		r->severity = (enum ap_alert_severity)severity;
	return e;
}

static int take_times(struct parser *p, struct ap_alert_rule *r)
{
	uint32_t interval = ap_alert_is_profile(r) ? PROFILE_S : SYSTEM_S;
	int e = take_seconds(p, p->body, "for_s", 0, 7 * DAY_S, 0, &r->for_s);

	if (e == 0)
		e = take_seconds(p, p->body, "window_s", 60, DAY_S, WINDOW_S, &r->window_s);
	if (e == 0)
		e = take_seconds(p, p->body, "interval_s", 5, 3600, interval, &r->interval_s);
	if (e == 0)
		e = take_uint(p, p->body, "min_samples", 1, UINT32_MAX, AP_ALERT_SAMPLES_MIN,
			      &r->min_samples);
	return e;
}

static int parse(struct parser *p, struct ap_alert_rule *r)
{
	static const char *const keys[] = {"name",     "description", "enabled",    "severity",
					   "metric",   "operator",    "threshold",  "recover",
					   "for_s",    "window_s",    "interval_s", "type",
					   "filter",   "function",    "module",	    "syscall",
					   "baseline", "min_samples", "webhooks",   NULL};
	int e;

	if (!json_is_object(p->body))
		return refuse(p, NULL, "a JSON object is expected");
	e = check_keys(p, p->body, keys, NULL);
	if (e == 0)
		e = take_head(p, r);
	if (e == 0)
		e = take_metric(p, r);
	if (e == 0)
		e = check_taken(p, r);
	if (e == 0)
		e = take_thresholds(p, r);
	if (e == 0)
		e = take_times(p, r);
	if (e == 0)
		e = take_baseline(p, r);
	if (e == 0)
		e = take_selection(p, r);
	if (e == 0)
		e = take_hooks(p, r);
	return e;
}

int ap_alert_rule_parse(const json_t *body, struct ap_alert_rule **ret, const char **ret_field,
			struct ap_error *err)
{
	_cleanup_(ap_cleanup_alert_rule) struct ap_alert_rule *r = calloc(1, sizeof(*r));
	struct parser p = {.body = body, .err = err};
	int e;

	if (!r)
		return no_memory(&p);
	r->refs = 1;
	e = parse(&p, r);
	if (ret_field)
		*ret_field = p.field;
	if (e < 0)
		return e;
	*ret = AP_TAKE_PTR(r);
	return 0;
}

int ap_alert_rule_parse_text(struct ap_str text, struct ap_alert_rule **ret, const char **ret_field,
			     struct ap_error *err)
{
	json_error_t e;
	json_t *body;
	int r;

	if (ret_field)
		*ret_field = NULL;
	if (text.n > AP_ALERT_BODY_MAX)
		return ap_error_set(err, -EINVAL, "a rule has at most %u bytes", AP_ALERT_BODY_MAX);
	body = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES, &e);
	if (!body)
		return ap_error_set(err, -EINVAL, "no JSON: %s (line %d, column %d)", e.text,
				    e.line, e.column);
	r = ap_alert_rule_parse(body, ret, ret_field, err);
	json_decref(body);
	return r;
}

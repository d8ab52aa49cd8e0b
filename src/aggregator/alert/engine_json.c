/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "aggregator/alert/engine_internal.h"
#include "base/json.h"

static void put_text(struct ap_buf *b, const char *key, const char *v)
{
	ap_json_key(b, key);
	ap_json_string(b, ap_str_of(v));
}

static void put_u64(struct ap_buf *b, const char *key, uint64_t v)
{
	ap_json_key(b, key);
	ap_json_u64(b, v);
}

/* null where it is empty. */
static void put_error(struct ap_buf *b, const char *key, const char *v)
{
	ap_json_key(b, key);
	if (v[0])
		ap_json_string(b, ap_str_of(v));
	else
		ap_buf_puts(b, "null");
}

/* A time; null where there is none. */
static void put_time(struct ap_buf *b, const char *key, int64_t ms)
{
	ap_json_key(b, key);
	if (ms > 0)
		ap_json_i64(b, ms);
	else
		ap_buf_puts(b, "null");
}

static void put_value(struct ap_buf *b, double v)
{
	ap_json_key(b, "value");
	ap_json_double(b, v);
}

static void put_entry(struct ap_buf *b, const struct ap_alert_engine *e,
		      const struct ap_alert_entry *it, int64_t now_ms)
{
	const struct ap_alert_status *s = &it->status;

	ap_buf_byte(b, '{');
	put_u64(b, "id", it->rule->id);
	ap_alert_rule_json(b, it->rule);
	put_text(b, "unit", it->rule->baseline_offset_s ? "ratio" : ap_alert_info(it->rule)->unit);
	ap_json_key(b, "status");
	ap_buf_byte(b, '{');
	put_text(b, "state", ap_alert_state_names[s->state]);
	put_time(b, "since", s->since_ms);
	put_time(b, "fired_at", s->fired_ms);
	put_time(b, "evaluated_at", s->evaluated_ms);
	/* A rule that was not read yet has no value; the file's default is 0. */
	put_value(b, s->evaluated_ms ? s->value : NAN);
	put_u64(b, "samples", s->samples);
	ap_json_key(b, "silenced");
	ap_buf_puts(b, it->covered || ap_alert_entry_silenced(e, it->rule->id, now_ms) ? "true"
										       : "false");
	put_error(b, "error", it->error);
	ap_buf_puts(b, "}}");
}

int ap_alert_engine_rule_json(struct ap_alert_engine *e, uint64_t id, int64_t now_ms,
			      struct ap_buf *b)
{
	struct ap_alert_entry *it;

	pthread_mutex_lock(&e->lock);
	it = ap_alert_entry_find(e, id);
	if (it)
		put_entry(b, e, it, now_ms);
	pthread_mutex_unlock(&e->lock);
	return it ? 0 : -ENOENT;
}

static void put_silences(struct ap_buf *b, const struct ap_alert_engine *e, int64_t now_ms)
{
	ap_json_key(b, "silences");
	ap_buf_byte(b, '[');
	AP_VEC_FOREACH(&e->silences, s) {
		if (s->until_ms <= now_ms)
			continue;
		if (b->p[b->n - 1] != '[')
			ap_buf_byte(b, ',');
		ap_buf_byte(b, '{');
		put_u64(b, "id", s->id);
		ap_json_key(b, "rule");
		if (s->rule)
			ap_json_u64(b, s->rule);
		else
			ap_buf_puts(b, "null");
		put_time(b, "from", s->from_ms);
		put_time(b, "until", s->until_ms);
		put_text(b, "filter", s->filter);
		put_text(b, "comment", s->comment);
		ap_buf_byte(b, '}');
	}
	ap_buf_byte(b, ']');
}

static void put_metrics(struct ap_buf *b)
{
	static const char *const sources[] = {"system", "agents", "samples", "syscalls"};
	static const char *const members[] = {"window_s", "filter",  "type",	"function",
					      "module",	  "syscall", "baseline"};

	ap_json_key(b, "metrics");
	ap_buf_byte(b, '[');
	for (int i = 0; i < AP_ALERT_METRIC_MAX; i++) {
		const struct ap_alert_metric_info *m = &ap_alert_metrics[i];

		ap_buf_puts(b, i ? ",{" : "{");
		put_text(b, "name", m->name);
		put_text(b, "unit", m->unit);
		put_text(b, "text", m->text);
		put_text(b, "source", sources[m->source]);
		ap_json_key(b, "takes");
		ap_buf_byte(b, '[');
		for (size_t k = 0; k < AP_ARRAY_SIZE(members); k++) {
			if (!(m->takes & (1u << k)))
				continue;
			if (b->p[b->n - 1] != '[')
				ap_buf_byte(b, ',');
			ap_json_string(b, ap_str_of(members[k]));
		}
		ap_buf_puts(b, "]}");
	}
	ap_buf_byte(b, ']');
}

static void put_notifications(struct ap_buf *b, const struct ap_alert_engine *e)
{
	struct ap_notifier_stats s = {0};

	if (e->o.notifier)
		ap_notifier_get_stats(e->o.notifier, &s);
	ap_json_key(b, "notifications");
	ap_buf_byte(b, '{');
	put_u64(b, "delivered", s.delivered);
	put_u64(b, "retried", s.retried);
	put_u64(b, "dropped", s.dropped);
	put_u64(b, "waiting", s.waiting);
	put_error(b, "last_error", s.last_error);
	ap_buf_byte(b, '}');
}

void ap_alert_engine_list_json(struct ap_alert_engine *e, int64_t now_ms, struct ap_buf *b)
{
	pthread_mutex_lock(&e->lock);
	ap_json_key(b, "rules");
	ap_buf_byte(b, '[');
	AP_VEC_FOREACH(&e->entries, it) {
		if (it != e->entries.p)
			ap_buf_byte(b, ',');
		put_entry(b, e, it, now_ms);
	}
	ap_buf_byte(b, ']');
	put_silences(b, e, now_ms);
	put_metrics(b);
	put_error(b, "state_error", e->error.code ? e->error.msg : "");
	put_notifications(b, e);
	pthread_mutex_unlock(&e->lock);
}

static void put_event(struct ap_buf *b, const struct ap_alert_event *v)
{
	ap_buf_byte(b, '{');
	put_u64(b, "id", v->id);
	put_u64(b, "rule", v->rule);
	put_text(b, "name", v->name);
	put_text(b, "severity", ap_alert_severity_names[v->severity]);
	put_time(b, "at", v->at_ms);
	put_text(b, "from", ap_alert_state_names[v->from]);
	put_text(b, "to", ap_alert_state_names[v->to]);
	put_value(b, v->value);
	put_u64(b, "samples", v->samples);
	ap_buf_byte(b, '}');
}

void ap_alert_engine_history_json(struct ap_alert_engine *e, uint64_t rule, uint64_t before,
				  uint32_t limit, struct ap_buf *b)
{
	uint64_t total = 0;

	pthread_mutex_lock(&e->lock);
	ap_json_key(b, "events");
	ap_buf_byte(b, '[');
	for (size_t i = e->events.n; i-- > 0;) {
		const struct ap_alert_event *v = &e->events.p[i];

		if ((rule && v->rule != rule) || (before && v->id >= before))
			continue;
		if (total++ >= limit)
			continue;
		if (total > 1)
			ap_buf_byte(b, ',');
		put_event(b, v);
	}
	ap_buf_byte(b, ']');
	put_u64(b, "total", total);
	pthread_mutex_unlock(&e->lock);
}

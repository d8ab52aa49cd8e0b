/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/alert/message.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"

/* An Alertmanager takes an alert that nobody repeats for resolved: it is repeated each minute
 * (engine.c), and holds this long. */
#define HOLDS_MS 300000

void ap_alert_context_free(struct ap_alert_context *c)
{
	ap_arena_free(&c->arena);
}

static void put_str(struct ap_buf *b, const char *key, struct ap_str v)
{
	ap_json_key(b, key);
	ap_json_string(b, v);
}

static void put_text(struct ap_buf *b, const char *key, const char *v)
{
	put_str(b, key, ap_str_of(v));
}

static void put_i64(struct ap_buf *b, const char *key, int64_t v)
{
	ap_json_key(b, key);
	ap_json_i64(b, v);
}

static void put_double(struct ap_buf *b, const char *key, double v)
{
	ap_json_key(b, key);
	ap_json_double(b, v);
}

void ap_alert_message_summary(struct ap_buf *b, const struct ap_alert_message *m)
{
	static const char *const words[] = {"above", "at or above", "below", "at or below",
					    "equal to"};
	const struct ap_alert_rule *r = m->rule;

	ap_buf_printf(b, "%s%s", ap_alert_info(r)->text,
		      r->baseline_offset_s ? ", change against the baseline" : "");
	if (isfinite(m->status->value))
		ap_buf_printf(b, ": %.4g", m->status->value);
	ap_buf_printf(b, m->firing ? " (%s %.4g)" : " (no longer %s %.4g)", words[r->op],
		      m->firing || r->recover == r->threshold ? r->threshold : r->recover);
}

static void put_url_encoded(struct ap_buf *b, const char *s)
{
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    strchr("-._~", c))
			ap_buf_byte(b, c);
		else
			ap_buf_printf(b, "%%%02X", c);
	}
}

/* To the comparison of what the rule read with its baseline, else to the rules. */
static void put_link(struct ap_buf *b, const struct ap_alert_message *m)
{
	const struct ap_alert_context *c = m->context;

	ap_buf_puts(b, m->base_url);
	if (!c || c->to_ms == 0) {
		ap_buf_printf(b, "alerts?rule=%llu", (unsigned long long)m->rule->id);
		return;
	}
	ap_buf_printf(
		b, "compare?from=%lld&to=%lld&a_from=%lld&a_to=%lld&type=", (long long)c->from_ms,
		(long long)c->to_ms, (long long)c->base_from_ms, (long long)c->base_to_ms);
	put_url_encoded(b, m->rule->type->name);
	if (m->rule->filter[0]) {
		ap_buf_puts(b, "&filter=");
		put_url_encoded(b, m->rule->filter);
	}
}

static void put_context(struct ap_buf *b, const struct ap_alert_context *c)
{
	ap_json_key(b, "hosts");
	ap_buf_byte(b, '[');
	for (uint32_t i = 0; i < c->n_hosts; i++) {
		if (i)
			ap_buf_byte(b, ',');
		ap_json_string(b, c->hosts[i]);
	}
	ap_buf_byte(b, ']');
	put_i64(b, "hosts_total", (int64_t)c->hosts_total);
	ap_json_key(b, "risers");
	ap_buf_byte(b, '[');
	for (uint32_t i = 0; i < c->n_risers; i++) {
		ap_buf_puts(b, i ? ",{" : "{");
		put_str(b, "function", c->risers[i].function);
		put_str(b, "module", c->risers[i].module);
		put_double(b, "share", c->risers[i].share);
		put_double(b, "share_before", c->risers[i].share_before);
		ap_buf_byte(b, '}');
	}
	ap_buf_byte(b, ']');
}

static void write_json(struct ap_buf *b, const struct ap_alert_message *m, struct ap_str summary,
		       struct ap_str link)
{
	static const struct ap_alert_context none;
	const struct ap_alert_rule *r = m->rule;

	ap_buf_byte(b, '{');
	put_text(b, "status", m->firing ? "firing" : "resolved");
	put_i64(b, "rule", (int64_t)r->id);
	put_text(b, "name", r->name);
	put_text(b, "description", r->description);
	put_text(b, "severity", ap_alert_severity_names[r->severity]);
	put_text(b, "metric", ap_alert_info(r)->name);
	put_text(b, "unit", r->baseline_offset_s ? "ratio" : ap_alert_info(r)->unit);
	put_text(b, "filter", r->filter);
	put_double(b, "value", m->status->value);
	put_text(b, "operator", ap_alert_op_names[r->op]);
	put_double(b, "threshold", r->threshold);
	put_i64(b, "samples", (int64_t)m->status->samples);
	put_i64(b, "fired_at", m->status->fired_ms);
	put_i64(b, "at", m->now_ms);
	put_str(b, "summary", summary);
	put_str(b, "link", link);
	put_context(b, m->context ? m->context : &none);
	ap_buf_byte(b, '}');
}

static void put_time(struct ap_buf *b, const char *key, int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	char text[40];
	struct tm tm;
	size_t n;

	gmtime_r(&s, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03dZ", (int)(ms % 1000));
	put_text(b, key, text);
}

/* "web-1, web-2 and 40 more" */
static void put_host_list(struct ap_buf *b, const struct ap_alert_context *c)
{
	_cleanup_buf_ struct ap_buf list = {0};

	for (uint32_t i = 0; i < c->n_hosts; i++)
		ap_buf_printf(&list, "%s%.*s", i ? ", " : "", AP_STR_ARG(c->hosts[i]));
	if (c->hosts_total > c->n_hosts)
		ap_buf_printf(&list, " and %llu more",
			      (unsigned long long)(c->hosts_total - c->n_hosts));
	put_str(b, "hosts", ap_buf_view(&list));
}

static void put_riser_list(struct ap_buf *b, const struct ap_alert_context *c)
{
	_cleanup_buf_ struct ap_buf list = {0};

	for (uint32_t i = 0; i < c->n_risers; i++)
		ap_buf_printf(&list, "%s%.*s %.1f%% (%.1f%%)", i ? ", " : "",
			      AP_STR_ARG(c->risers[i].function), 100 * c->risers[i].share,
			      100 * c->risers[i].share_before);
	put_str(b, "risers", ap_buf_view(&list));
}

static void write_alertmanager(struct ap_buf *b, const struct ap_alert_message *m,
			       struct ap_str summary, struct ap_str link)
{
	const struct ap_alert_rule *r = m->rule;
	char id[24];

	snprintf(id, sizeof(id), "%llu", (unsigned long long)r->id);
	ap_buf_puts(b, "[{\"labels\":{");
	put_text(b, "alertname", r->name);
	put_text(b, "severity", ap_alert_severity_names[r->severity]);
	put_text(b, "metric", ap_alert_info(r)->name);
	put_text(b, "rule", id);
	ap_buf_puts(b, "},\"annotations\":{");
	put_str(b, "summary", summary);
	if (r->description[0])
		put_text(b, "description", r->description);
	if (m->context && m->context->n_hosts)
		put_host_list(b, m->context);
	if (m->context && m->context->n_risers)
		put_riser_list(b, m->context);
	ap_buf_byte(b, '}');
	put_time(b, "startsAt", m->status->fired_ms);
	put_time(b, "endsAt", m->firing ? m->now_ms + HOLDS_MS : m->now_ms);
	put_str(b, "generatorURL", link);
	ap_buf_puts(b, "}]");
}

void ap_alert_message_write(struct ap_buf *b, const struct ap_alert_message *m,
			    enum ap_alert_format format)
{
	_cleanup_buf_ struct ap_buf summary = {0}, link = {0};

	ap_alert_message_summary(&summary, m);
	put_link(&link, m);
	if (ap_buf_error(&summary) || ap_buf_error(&link))
		b->err = -ENOMEM;
	else if (format == AP_ALERT_ALERTMANAGER)
		write_alertmanager(b, m, ap_buf_view(&summary), ap_buf_view(&link));
	else
		write_json(b, m, ap_buf_view(&summary), ap_buf_view(&link));
}

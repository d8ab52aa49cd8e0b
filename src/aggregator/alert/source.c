/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/alert/source.h"

#include <math.h>

#include "base/clock.h"

#define FRESH_MS  1000	/* a reading of now may be that old */
#define NEAR_MS	  60000 /* a reading of then may be that far from it */
#define NS_PER_MS 1000000

struct ap_alert_source_data {
	struct ap_alert_source_options o;
	int64_t taken_ms; /* when the vitals were */
};

int ap_alert_source_new(const struct ap_alert_source_options *o, struct ap_alert_source_data **ret)
{
	struct ap_alert_source_data *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->o = *o;
	*ret = s;
	return 0;
}

void ap_alert_source_free(struct ap_alert_source_data *s)
{
	free(s);
}

/* ---- Agents. ---- */

double ap_alert_silence_of(const struct ap_agent_info *a, const struct ap_filter *filter,
			   int64_t now_ns)
{
	double s = (double)(now_ns - a->last_seen_ns) / 1e9;

	if (a->state == AP_AGENT_LEFT || s > AP_ALERT_GONE_S ||
	    (filter && ap_filter_match_hosts(filter, ap_str_of(a->meta.host),
					     ap_str_of(a->meta.agent_id)) <= 0))
		return -1;
	return s > 0 ? s : 0;
}

static int read_silence(struct ap_alert_source_data *s, const char *filter_text, int64_t now_ms,
			double *ret)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	_cleanup_free_ struct ap_agent_info *agents = NULL;
	int64_t now_ns = now_ms * NS_PER_MS;
	double longest = -1;
	size_t n;
	int r = filter_text[0] ? ap_filter_parse(ap_str_of(filter_text), &filter, NULL, NULL) : 0;

	if (r == 0)
		r = ap_agents_list(s->o.agents, now_ns, &agents, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++)
		longest = fmax(longest, ap_alert_silence_of(&agents[i], filter, now_ns));
	*ret = longest < 0 ? NAN : longest;
	return 0;
}

int ap_alert_source_left(void *ctx, void (*fn)(void *arg, const char *agent, uint64_t epoch),
			 void *arg)
{
	struct ap_alert_source_data *s = ctx;
	_cleanup_free_ struct ap_agent_info *agents = NULL;
	size_t n;
	int r = ap_agents_list(s->o.agents, ap_clock_unix_ns(), &agents, &n);

	for (size_t i = 0; r == 0 && i < n; i++)
		if (agents[i].state == AP_AGENT_LEFT)
			fn(arg, agents[i].meta.agent_id, agents[i].meta.epoch);
	return r;
}

static int add_host(struct ap_alert_context *c, const char *host)
{
	struct ap_str last = c->n_hosts ? c->hosts[c->n_hosts - 1] : AP_STR("");

	/* Agents are sorted by host, of which there may be several on one. */
	if (c->hosts_total && ap_str_is(last, host))
		return 0;
	if (c->n_hosts < AP_ALERT_CONTEXT_HOSTS) {
		char *copy = ap_arena_strdup(&c->arena, ap_str_of(host));

		if (!copy)
			return -ENOMEM;
		c->hosts[c->n_hosts++] = ap_str_of(copy);
	}
	c->hosts_total++;
	return 0;
}

static int explain_silence(struct ap_alert_source_data *s, const struct ap_alert_rule *rule,
			   int64_t at_ms, struct ap_alert_context *ret)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	_cleanup_free_ struct ap_agent_info *agents = NULL;
	int64_t at_ns = at_ms * NS_PER_MS;
	size_t n = 0;
	int r = rule->filter[0] ? ap_filter_parse(ap_str_of(rule->filter), &filter, NULL, NULL) : 0;

	if (r == 0)
		r = ap_agents_list(s->o.agents, at_ns, &agents, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		double silence = ap_alert_silence_of(&agents[i], filter, at_ns);

		if (silence >= 0 && ap_alert_compare(rule->op, silence, rule->threshold))
			r = add_host(ret, agents[i].meta.host);
	}
	return r;
}

/* What a rule reads of one host. */
struct subject {
	struct ap_str host, agent;
	const struct ap_filter *own; /* the rule's; may be NULL */
};

static struct ap_str subject_label(void *ctx, struct ap_str label)
{
	const struct subject *s = ctx;

	if (ap_str_is(label, "host"))
		return s->host;
	if (ap_str_is(label, "agent"))
		return s->agent;
	for (uint32_t i = 0; s->own && i < s->own->n; i++)
		if (s->own->matchers[i].op == AP_FILTER_EQ &&
		    ap_str_eq(s->own->matchers[i].label, label))
			return s->own->matchers[i].value;
	return AP_STR("");
}

int ap_alert_host_covered(struct ap_filter *const *filters, const struct ap_filter *own,
			  struct ap_str host, struct ap_str agent)
{
	struct subject s = {host, agent, own};
	int r = 0;

	for (size_t i = 0; filters[i] && r == 0; i++)
		r = ap_filter_match(filters[i], subject_label, &s);
	return r;
}

static int cover_silence(struct ap_alert_source_data *s, const struct ap_alert_rule *rule,
			 int64_t at_ms, struct ap_filter *const *filters)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *own = NULL;
	_cleanup_free_ struct ap_agent_info *agents = NULL;
	int64_t at_ns = at_ms * NS_PER_MS;
	size_t n = 0;
	int r = rule->filter[0] ? ap_filter_parse(ap_str_of(rule->filter), &own, NULL, NULL) : 0;

	if (r == 0)
		r = ap_agents_list(s->o.agents, at_ns, &agents, &n);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		double silence = ap_alert_silence_of(&agents[i], own, at_ns);

		if (silence < 0 || !ap_alert_compare(rule->op, silence, rule->threshold))
			continue;
		r = ap_alert_host_covered(filters, own, ap_str_of(agents[i].meta.host),
					  ap_str_of(agents[i].meta.agent_id));
		if (r <= 0)
			return r;
	}
	return 1;
}

int ap_alert_source_covered(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
			    struct ap_filter *const *filters)
{
	struct ap_alert_source_data *s = ctx;

	if (ap_alert_is_profile(rule))
		return ap_alert_profile_covered(s->o.query, rule, at_ms, filters);
	/* The others are about the aggregator itself. */
	return rule->metric == AP_ALERT_AGENT_SILENT ? cover_silence(s, rule, at_ms, filters) : 0;
}

/* ---- The aggregator's counters. ---- */

static double share(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : NAN;
}

static uint64_t pushes(const struct ap_vitals *v)
{
	uint64_t sum = 0;

	for (int i = AP_PUSH_OK; i < AP_PUSH_STATUS_MAX; i++)
		sum += v->pushes[i];
	return sum;
}

/* Counters over the rule's window; a shorter time is no window. */
static double read_window(const struct ap_alert_rule *rule, const struct ap_vitals *from,
			  const struct ap_vitals *to)
{
	double seconds;

	if (from->at_ms >= to->at_ms)
		return NAN;
	seconds = (double)(to->at_ms - from->at_ms) / 1000;
	switch (rule->metric) {
	case AP_ALERT_PUSH_ERROR_RATE:
		return share(to->pushes[AP_PUSH_ERROR] - from->pushes[AP_PUSH_ERROR],
			     pushes(to) - pushes(from));
	case AP_ALERT_FLUSH_ERRORS:
		return (double)(to->flush_errors - from->flush_errors);
	case AP_ALERT_EVENT_THROUGHPUT:
		return (double)(to->rows - from->rows) / seconds;
	default:
		return NAN;
	}
}

static double read_gauge(const struct ap_alert_rule *rule, const struct ap_vitals *v)
{
	switch (rule->metric) {
	case AP_ALERT_BUFFER_UTILIZATION:
		return share(v->buffer_pending_bytes, v->buffer_max_bytes);
	case AP_ALERT_WAL_UTILIZATION:
		return share(v->wal_bytes, v->wal_max_bytes);
	case AP_ALERT_DISK_FREE_SHARE:
		return share(v->disk_free, v->disk_all);
	case AP_ALERT_PUSH_ERRORS_TOTAL:
		return (double)v->pushes[AP_PUSH_ERROR];
	case AP_ALERT_PENDING_ROWS:
		return (double)v->pending_rows;
	case AP_ALERT_STORE_LAG:
		return v->lag_s;
	case AP_ALERT_AGENT_SILENT:
		return v->silent_s;
	default:
		return NAN;
	}
}

static double read_counters(struct ap_alert_source_data *s, const struct ap_alert_rule *rule,
			    int64_t at_ms)
{
	struct ap_vitals at, from;

	if (!ap_vitals_at(s->o.vitals, at_ms, &at))
		return NAN;
	if (!(ap_alert_info(rule)->takes & AP_ALERT_TAKES_WINDOW))
		return read_gauge(rule, &at);
	return ap_vitals_at(s->o.vitals, at_ms - rule->window_s * 1000ll, &from)
		       ? read_window(rule, &from, &at)
		       : NAN;
}

int ap_alert_source_read(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
			 struct ap_alert_reading *ret, struct ap_error *err)
{
	struct ap_alert_source_data *s = ctx;
	int64_t now_ms = ap_clock_unix_ns() / NS_PER_MS;
	struct ap_vitals now;
	int r = 0;

	if (llabs(now_ms - s->taken_ms) > FRESH_MS) {
		ap_vitals_take(s->o.vitals, now_ms, &now);
		s->taken_ms = now_ms;
	}
	if (ap_alert_is_profile(rule))
		return ap_alert_profile_read(s->o.query, rule, at_ms, ret, err);
	if (rule->metric == AP_ALERT_AGENT_SILENT && now_ms - at_ms <= NEAR_MS) {
		r = read_silence(s, rule->filter, at_ms, &ret->value);
	} else if (rule->metric == AP_ALERT_AGENT_SILENT && rule->filter[0]) {
		return ap_error_set(err, -ENOTSUP,
				    "of silent agents only the longest silence of all is "
				    "remembered: try it without a filter");
	} else {
		ret->value = read_counters(s, rule, at_ms);
	}
	ret->sufficient = r == 0 && isfinite(ret->value);
	ret->samples = 0;
	return r;
}

int ap_alert_source_explain(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
			    struct ap_alert_context *ret)
{
	struct ap_alert_source_data *s = ctx;

	if (ap_alert_is_profile(rule))
		return ap_alert_profile_explain(s->o.query, rule, at_ms, ret);
	if (rule->metric == AP_ALERT_AGENT_SILENT)
		return explain_silence(s, rule, at_ms, ret);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Readings that are questions: of samples by their stacks or over time, and of system calls. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "aggregator/alert/source.h"
#include "aggregator/store/rollup.h"
#include "profile/syscall.h"

#define LAG_MS	    15000 /* agents send every 10 s: the very last seconds are not there yet */
#define STEPS	    300	  /* of a window, to tell which of its seconds hosts reported in */
#define COVERED_MAX 10000 /* hosts of a rule that a silence may cover */
#define RISERS_FROM 50	  /* of the functions that changed most, falling ones too */

/* A rule's question about one range. */
struct question {
	struct ap_query_engine *engine;
	const struct ap_alert_rule *rule;
	struct ap_query query;
	struct ap_error *err;
};

struct reading {
	double value;
	uint64_t samples;
	bool exact; /* of the very range that was asked for; else … */
	uint32_t
		resolution_s; /* … the seconds that what is left of it is summed up by; 0: nothing is */
};

/* The length of one step in a window; the window's ends are multiples of it. */
static int64_t step_of(uint32_t window_s)
{
	static const int64_t round[] = {1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600};

	for (size_t i = 0; i < AP_ARRAY_SIZE(round); i++)
		if (window_s <= STEPS * round[i])
			return round[i] * 1000;
	return 3600000;
}

static void set_range(struct ap_query *q, int64_t to_ms, uint32_t window_s)
{
	int64_t step = step_of(window_s), length = (int64_t)window_s * 1000;

	q->to_ms = to_ms - to_ms % step;
	q->from_ms = q->to_ms - (length + step - 1) / step * step;
}

/* ---- One range. ---- */

/* Where samples have gone, an answer is of the whole hours or days around the range. */
static void take_range(const struct question *q, const struct ap_coverage *cov, struct reading *ret)
{
	ret->exact = cov->from_ms == q->query.from_ms && cov->to_ms == q->query.to_ms &&
		     cov->unanswered_to_ms == 0;
	ret->resolution_s = cov->unanswered_to_ms ? 0 : cov->resolution_s;
	/* In which seconds of an hour hosts reported is known from samples alone. */
	if (ap_alert_is_rate(q->rule))
		ret->exact &= cov->resolution_s == 1;
}

/* Seconds of the type per second in which a host reported. */
static int read_time(const struct question *q, struct reading *ret)
{
	_cleanup_(ap_cleanup_series) struct ap_series *s = NULL;
	struct ap_coverage cov;
	uint64_t total = 0, steps = 0;
	int r = ap_query_series(q->engine, &q->query, AP_STR(""), step_of(q->rule->window_s), 1, &s,
				&cov, q->err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; s->n_rows && i < s->n_steps; i++) {
		if (s->rows[0].values[i] == AP_SERIES_NONE)
			continue;
		steps++;
		total += s->rows[0].values[i];
	}
	take_range(q, &cov, ret);
	ret->samples = cov.samples;
	ret->value =
		steps ? (double)total / 1e9 / ((double)steps * (double)s->step_ms / 1000) : NAN;
	return 0;
}

/* What the coverage of the samples says. */
static int read_coverage(const struct question *q, struct reading *ret)
{
	_cleanup_(ap_cleanup_series) struct ap_series *s = NULL;
	struct ap_coverage cov;
	int r = ap_query_series(q->engine, &q->query, AP_STR(""), step_of(q->rule->window_s), 1, &s,
				&cov, q->err);

	if (r < 0)
		return r;
	take_range(q, &cov, ret);
	ret->samples = cov.samples;
	if (q->rule->metric == AP_ALERT_INCOMPLETE_SHARE) {
		ret->value = cov.complete_share < 0 ? NAN : 1 - cov.complete_share;
		return 0;
	}
	/* Those that were lost are what the rule is about: they count as samples that should be there. */
	ret->samples += cov.lost;
	ret->value = ret->samples ? (double)cov.lost / (double)ret->samples : NAN;
	return 0;
}

/* A module is given by its path, or by its file's name alone. */
static bool is_module(const struct ap_alert_rule *rule, struct ap_str module)
{
	struct ap_str wanted = ap_str_of(rule->module);
	const char *slash;

	if (ap_str_eq(module, wanted))
		return true;
	slash = module.n ? memrchr(module.p, '/', module.n) : NULL;
	return slash && ap_str_find(wanted, '/') < 0 &&
	       ap_str_eq((struct ap_str){slash + 1, (size_t)(module.p + module.n - slash - 1)},
			 wanted);
}

/* A function with all that it calls; a module with its own code alone, since its functions call each other.
 * Functions of one name in several modules count together, and no more than everything. */
static int read_share(const struct question *q, struct reading *ret)
{
	bool function = q->rule->metric == AP_ALERT_FUNCTION_SHARE;
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL;
	struct ap_coverage cov;
	uint64_t sum = 0;
	int r = ap_query_top(q->engine, &q->query, AP_TOP_TOTAL, 0, &top, &cov, q->err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < top->n; i++) {
		const struct ap_top_row *f = &top->rows[i];

		if (function && !ap_str_is(f->name, q->rule->function))
			continue;
		if (q->rule->module[0] && !is_module(q->rule, f->module))
			continue;
		sum += function ? f->total[0] : f->self[0];
	}
	take_range(q, &cov, ret);
	ret->samples = cov.samples;
	ret->value =
		top->total[0] ? (double)AP_MIN(sum, top->total[0]) / (double)top->total[0] : NAN;
	return 0;
}

static int read_syscalls(const struct question *q, struct reading *ret)
{
	const struct ap_syscall_query s = {.syscall = ap_str_of(q->rule->syscall)};
	_cleanup_(ap_cleanup_syscall_table) struct ap_syscall_table *t = NULL;
	struct ap_syscall_stat sum = {0};
	struct ap_coverage cov;
	int r = ap_query_syscalls(q->engine, &q->query, &s, &t, &cov, q->err);

	if (r < 0)
		return r;
	take_range(q, &cov, ret);
	ret->samples = t->count;
	if (q->rule->metric == AP_ALERT_SYSCALL_ERROR_RATE) {
		ret->value = t->count ? (double)t->errors / (double)t->count : NAN;
		return 0;
	}
	for (uint32_t i = 0; i < t->n && r == 0; i++)
		r = ap_syscall_stat_add(&sum, &t->rows[i].stat);
	ret->value = ap_syscall_quantile(&sum, 0.99);
	ret->value = ret->value < 0 ? NAN : ret->value / 1e9;
	ap_syscall_stat_free(&sum);
	return r < 0 ? ap_error_set(q->err, r, "out of memory") : 0;
}

static int read_range(struct question *q, int64_t to_ms, uint32_t window_s, struct reading *ret)
{
	set_range(&q->query, to_ms, window_s);
	switch (q->rule->metric) {
	case AP_ALERT_CPU_TIME:
	case AP_ALERT_OFFCPU_TIME:
	case AP_ALERT_LOCK_TIME:
		return read_time(q, ret);
	case AP_ALERT_LOSS_SHARE:
	case AP_ALERT_INCOMPLETE_SHARE:
		return read_coverage(q, ret);
	case AP_ALERT_SYSCALL_ERROR_RATE:
	case AP_ALERT_SYSCALL_P99:
		return read_syscalls(q, ret);
	default:
		return read_share(q, ret);
	}
}

static int begin(struct question *q, struct ap_filter **filter)
{
	int r = 0;

	if (q->rule->filter[0])
		r = ap_filter_parse(ap_str_of(q->rule->filter), filter, NULL, q->err);
	q->query.type = q->rule->type;
	q->query.filter = *filter;
	return r;
}

/* The baseline of a reading that ends at `to_ms`. */
static int read_baseline(struct question *q, int64_t to_ms, struct reading *ret)
{
	const int64_t hour_ms = ap_rollup_seconds[AP_ROLLUP_HOUR] * 1000ll;
	int r;

	to_ms -= q->rule->baseline_offset_s * 1000ll;
	r = read_range(q, to_ms, q->rule->baseline_window_s, ret);
	if (r == 0 && !ret->exact && ap_alert_baseline_has_sums(q->rule))
		r = read_range(q, to_ms - to_ms % hour_ms, q->rule->baseline_window_s, ret);
	return r;
}

/* Whether a range's reading says something; else `*why` is what is missing. The range is the query's. */
static bool is_sufficient(const struct question *q, const struct reading *v, const char *range,
			  struct ap_alert_reading *why)
{
	const char *left = v->resolution_s == ap_rollup_seconds[AP_ROLLUP_HOUR] ? "by hour alone"
			   : v->resolution_s					? "by day alone"
										: "no more";
	time_t from = (time_t)(q->query.from_ms / 1000);
	char text[32] = "";
	struct tm tm;

	if (v->exact && v->samples >= q->rule->min_samples)
		return true;
	if (v->exact) {
		snprintf(why->why, sizeof(why->why), "%llu samples in the %s, %llu are asked for",
			 (unsigned long long)v->samples, range,
			 (unsigned long long)q->rule->min_samples);
		return false;
	}
	if (gmtime_r(&from, &tm))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
	snprintf(why->why, sizeof(why->why),
		 "the %s begins at %s UTC, of which samples are kept %s (--retention)", range, text,
		 left);
	return false;
}

int ap_alert_profile_read(struct ap_query_engine *query, const struct ap_alert_rule *rule,
			  int64_t at_ms, struct ap_alert_reading *ret, struct ap_error *err)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	struct question q = {.engine = query, .rule = rule, .err = err};
	struct reading now = {.value = NAN}, base = {.value = NAN};
	struct ap_alert_reading a = {0};
	int64_t to_ms = at_ms - LAG_MS;
	int r = begin(&q, &filter);

	if (r == 0)
		r = read_range(&q, to_ms, rule->window_s, &now);
	if (r < 0)
		return r;
	a.sufficient = is_sufficient(&q, &now, "window", &a);
	a.value = now.value;
	a.samples = now.samples;
	if (rule->baseline_offset_s && a.sufficient) {
		r = read_baseline(&q, to_ms, &base);
		if (r < 0)
			return r;
		a.sufficient = is_sufficient(&q, &base, "baseline", &a);
		a.samples = AP_MIN(now.samples, base.samples);
		a.value = base.value > 0 ? now.value / base.value - 1 : NAN;
	}
	if (a.sufficient && !isfinite(a.value))
		snprintf(a.why, sizeof(a.why), "%s",
			 base.value <= 0
				 ? "it was 0 in the baseline: there is no change against that"
				 : "nothing was measured in the window");
	a.sufficient = a.sufficient && isfinite(a.value);
	*ret = a;
	return 0;
}

/* ---- What explains a reading. ---- */

static struct ap_str copy(struct ap_alert_context *c, struct ap_str s)
{
	const char *p = ap_arena_strdup(&c->arena, s);

	return ap_str_of(p ? p : "");
}

static int explain_hosts(struct question *q, struct ap_alert_context *ret)
{
	_cleanup_(ap_cleanup_label_values) struct ap_label_values *hosts = NULL;
	struct ap_coverage cov;
	int r = ap_query_label_values(q->engine, &q->query, AP_STR("host"), AP_ALERT_CONTEXT_HOSTS,
				      &hosts, &cov, q->err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < hosts->n; i++)
		ret->hosts[ret->n_hosts++] = copy(ret, hosts->rows[i].value);
	ret->hosts_total = hosts->n + (cov.truncated ? cov.cut : 0);
	return 0;
}

int ap_alert_profile_covered(struct ap_query_engine *query, const struct ap_alert_rule *rule,
			     int64_t at_ms, struct ap_filter *const *filters)
{
	_cleanup_(ap_cleanup_label_values) struct ap_label_values *hosts = NULL;
	_cleanup_(ap_cleanup_filter) struct ap_filter *own = NULL;
	struct ap_error err = {0};
	struct question q = {.engine = query, .rule = rule, .err = &err};
	struct ap_coverage cov;
	int r = begin(&q, &own);

	set_range(&q.query, at_ms - LAG_MS, rule->window_s);
	if (r == 0)
		r = ap_query_label_values(query, &q.query, AP_STR("host"), COVERED_MAX, &hosts,
					  &cov, &err);
	/* Of hosts that are not seen none is known to be silenced. */
	if (r < 0 || hosts->n == 0 || cov.truncated)
		return r;
	for (uint32_t i = 0; i < hosts->n; i++) {
		r = ap_alert_host_covered(filters, own, hosts->rows[i].value, AP_STR(""));
		if (r <= 0)
			return r;
	}
	return 1;
}

static double share_of(uint64_t part, uint64_t whole)
{
	return whole ? (double)part / (double)whole : 0;
}

static int explain_risers(struct question *q, const struct ap_query *base,
			  struct ap_alert_context *ret)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL;
	struct ap_coverage cov[2];
	int r = ap_query_diff(q->engine, base, &q->query, RISERS_FROM, &tree, &top, cov, q->err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < top->n && ret->n_risers < AP_ALERT_CONTEXT_RISERS; i++) {
		const struct ap_top_row *f = &top->rows[i];
		double before = share_of(f->self[0], top->total[0]);
		double now = share_of(f->self[1], top->total[1]);

		if (now <= before)
			continue;
		ret->risers[ret->n_risers].function = copy(ret, f->name);
		ret->risers[ret->n_risers].module = copy(ret, f->module);
		ret->risers[ret->n_risers].share = now;
		ret->risers[ret->n_risers++].share_before = before;
	}
	return 0;
}

int ap_alert_profile_explain(struct ap_query_engine *query, const struct ap_alert_rule *rule,
			     int64_t at_ms, struct ap_alert_context *ret)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	struct ap_error err = {0};
	struct question q = {.engine = query, .rule = rule, .err = &err};
	/* Without a baseline of its own, a rule is compared with the time right before. */
	uint32_t offset = rule->baseline_offset_s ? rule->baseline_offset_s : rule->window_s;
	uint32_t window = rule->baseline_offset_s ? rule->baseline_window_s : rule->window_s;
	struct ap_query base;
	int r = begin(&q, &filter);

	if (r < 0)
		return r;
	base = q.query;
	set_range(&q.query, at_ms - LAG_MS, rule->window_s);
	set_range(&base, at_ms - LAG_MS - offset * 1000ll, window);
	r = explain_hosts(&q, ret);
	if (r < 0 || ap_alert_info(rule)->source == AP_ALERT_SOURCE_SYSCALLS)
		return r;
	ret->from_ms = q.query.from_ms;
	ret->to_ms = q.query.to_ms;
	ret->base_from_ms = base.from_ms;
	ret->base_to_ms = base.to_ms;
	return explain_risers(&q, &base, ret);
}

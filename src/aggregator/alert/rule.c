/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/alert/rule.h"

#include <jansson.h>

#include "aggregator/query/filter.h"
#include "aggregator/store/rollup.h"
#include "base/json.h"

#define WINDOW	 AP_ALERT_TAKES_WINDOW
#define SAMPLES	 (WINDOW | AP_ALERT_TAKES_FILTER)
#define COMPARED (SAMPLES | AP_ALERT_TAKES_BASELINE)
#define SHARE	 (COMPARED | AP_ALERT_TAKES_TYPE)
#define CALLS	 (COMPARED | AP_ALERT_TAKES_SYSCALL)

const struct ap_alert_metric_info ap_alert_metrics[AP_ALERT_METRIC_MAX] = {
	{"buffer_utilization", "ratio", "memory in use by batches that wait for the store",
	 AP_ALERT_SOURCE_SYSTEM, 0},
	{"wal_utilization", "ratio", "disk in use by the write-ahead log, of what it may have",
	 AP_ALERT_SOURCE_SYSTEM, 0},
	{"disk_free_share", "ratio", "free share of the file system that holds the data",
	 AP_ALERT_SOURCE_SYSTEM, 0},
	{"push_error_rate", "ratio", "share of pushes that were refused as wrong",
	 AP_ALERT_SOURCE_SYSTEM, WINDOW},
	{"push_errors_total", "count", "pushes refused as wrong since the aggregator's start",
	 AP_ALERT_SOURCE_SYSTEM, 0},
	{"clickhouse_flush_errors", "count", "writes to the store that failed",
	 AP_ALERT_SOURCE_SYSTEM, WINDOW},
	{"clickhouse_pending_rows", "rows", "rows accepted and not stored yet",
	 AP_ALERT_SOURCE_SYSTEM, 0},
	{"clickhouse_lag", "seconds", "time that the oldest row has waited for the store",
	 AP_ALERT_SOURCE_SYSTEM, 0},
	{"event_throughput", "rows/s", "rows accepted per second", AP_ALERT_SOURCE_SYSTEM, WINDOW},
	{"agent_silent", "seconds", "longest silence of an agent that has not left",
	 AP_ALERT_SOURCE_AGENTS, AP_ALERT_TAKES_FILTER},
	{"loss_share", "ratio", "share of sampling periods that were lost", AP_ALERT_SOURCE_SAMPLES,
	 SAMPLES},
	{"incomplete_share", "ratio", "share of stacks that do not reach their outermost frame",
	 AP_ALERT_SOURCE_SAMPLES, SHARE},
	{"function_share", "ratio", "share of a function and what it calls",
	 AP_ALERT_SOURCE_SAMPLES, SHARE | AP_ALERT_TAKES_FUNCTION | AP_ALERT_TAKES_MODULE},
	{"module_share", "ratio", "share of a module's own code", AP_ALERT_SOURCE_SAMPLES,
	 SHARE | AP_ALERT_TAKES_MODULE},
	{"cpu_time", "seconds/s", "CPU time, in cores", AP_ALERT_SOURCE_SAMPLES, COMPARED},
	{"offcpu_time", "seconds/s", "time off the CPU, in threads", AP_ALERT_SOURCE_SAMPLES,
	 COMPARED},
	{"lock_time", "seconds/s", "time in waits for locks, in threads", AP_ALERT_SOURCE_SAMPLES,
	 COMPARED},
	{"syscall_error_rate", "ratio", "share of system calls that failed",
	 AP_ALERT_SOURCE_SYSCALLS, CALLS},
	{"syscall_p99", "seconds", "time that 99 % of the system calls stay below",
	 AP_ALERT_SOURCE_SYSCALLS, CALLS},
};

const char *const ap_alert_op_names[] = {"gt", "gte", "lt", "lte", "eq", NULL};
const char *const ap_alert_severity_names[] = {"info", "warning", "critical", NULL};
const char *const ap_alert_format_names[] = {"json", "alertmanager", NULL};

struct ap_alert_rule *ap_alert_rule_ref(struct ap_alert_rule *r)
{
	__atomic_fetch_add(&r->refs, 1, __ATOMIC_RELAXED);
	return r;
}

void ap_alert_rule_unref(struct ap_alert_rule *r)
{
	if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (uint32_t i = 0; i < r->n_hooks; i++)
		free(r->hooks[i].url);
	free(r->name);
	free(r->description);
	free(r->filter);
	free(r->function);
	free(r->module);
	free(r->syscall);
	free(r);
}

static void put_text(struct ap_buf *b, const char *key, const char *v)
{
	ap_json_key(b, key);
	ap_json_string(b, ap_str_of(v));
}

static void put_number(struct ap_buf *b, const char *key, uint64_t v)
{
	ap_json_key(b, key);
	ap_json_u64(b, v);
}

static void put_hooks(struct ap_buf *b, const struct ap_alert_rule *r)
{
	ap_json_key(b, "webhooks");
	ap_buf_byte(b, '[');
	for (uint32_t i = 0; i < r->n_hooks; i++) {
		ap_buf_puts(b, i ? ",{" : "{");
		put_text(b, "url", r->hooks[i].url);
		put_text(b, "format", ap_alert_format_names[r->hooks[i].format]);
		ap_buf_byte(b, '}');
	}
	ap_buf_byte(b, ']');
}

/* Only what the metric takes, so that it can be parsed again. */
static void put_taken(struct ap_buf *b, const struct ap_alert_rule *r)
{
	uint32_t takes = ap_alert_info(r)->takes;

	if (takes & AP_ALERT_TAKES_WINDOW)
		put_number(b, "window_s", r->window_s);
	if (takes & AP_ALERT_TAKES_FILTER)
		put_text(b, "filter", r->filter);
	if (takes & AP_ALERT_TAKES_TYPE)
		put_text(b, "type", r->type->name);
	if (takes & AP_ALERT_TAKES_FUNCTION)
		put_text(b, "function", r->function);
	if (takes & AP_ALERT_TAKES_MODULE)
		put_text(b, "module", r->module);
	if (takes & AP_ALERT_TAKES_SYSCALL)
		put_text(b, "syscall", r->syscall);
	if (ap_alert_is_profile(r))
		put_number(b, "min_samples", r->min_samples);
	if (!(takes & AP_ALERT_TAKES_BASELINE))
		return;
	ap_json_key(b, "baseline");
	if (r->baseline_offset_s)
		ap_buf_printf(b, "{\"offset_s\":%u,\"window_s\":%u}", r->baseline_offset_s,
			      r->baseline_window_s);
	else
		ap_buf_puts(b, "null");
}

void ap_alert_rule_json(struct ap_buf *b, const struct ap_alert_rule *r)
{
	put_text(b, "name", r->name);
	put_text(b, "description", r->description);
	ap_json_key(b, "enabled");
	ap_buf_puts(b, r->enabled ? "true" : "false");
	put_text(b, "severity", ap_alert_severity_names[r->severity]);
	put_text(b, "metric", ap_alert_info(r)->name);
	put_text(b, "operator", ap_alert_op_names[r->op]);
	ap_json_key(b, "threshold");
	ap_json_double(b, r->threshold);
	ap_json_key(b, "recover");
	ap_json_double(b, r->recover);
	put_number(b, "for_s", r->for_s);
	put_number(b, "interval_s", r->interval_s);
	put_taken(b, r);
	put_hooks(b, r);
}

struct ap_alert_rule *ap_alert_rule_with_enabled(const struct ap_alert_rule *r, bool enabled)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_alert_rule *copy = NULL;

	ap_buf_byte(&b, '{');
	ap_alert_rule_json(&b, r);
	ap_buf_byte(&b, '}');
	if (ap_buf_error(&b) || ap_alert_rule_parse_text(ap_buf_view(&b), &copy, NULL, NULL) < 0)
		return NULL;
	copy->id = r->id;
	copy->enabled = enabled;
	return copy;
}

bool ap_alert_is_rate(const struct ap_alert_rule *r)
{
	return r->metric == AP_ALERT_CPU_TIME || r->metric == AP_ALERT_OFFCPU_TIME ||
	       r->metric == AP_ALERT_LOCK_TIME;
}

bool ap_alert_baseline_has_sums(const struct ap_alert_rule *r)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *f = NULL;

	if (r->baseline_window_s % ap_rollup_seconds[AP_ROLLUP_HOUR] || ap_alert_is_rate(r) ||
	    ap_filter_parse(ap_str_of(r->filter), &f, NULL, NULL) < 0)
		return false;
	for (uint32_t i = 0; f && i < f->n; i++)
		if (!ap_rollup_keeps_label(f->matchers[i].label))
			return false;
	return true;
}

bool ap_alert_compare(enum ap_alert_op op, double value, double with)
{
	switch (op) {
	case AP_ALERT_GT:
		return value > with;
	case AP_ALERT_GTE:
		return value >= with;
	case AP_ALERT_LT:
		return value < with;
	case AP_ALERT_LTE:
		return value <= with;
	default:
		return value == with;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Alert rules: what is measured, what it is compared with, and whom to tell; as JSON and as a struct.
 *
 * {"name":"…","metric":"function_share","function":"memcpy","filter":"{service=\"web\"}","operator":"gt",
 *  "threshold":0.2,"recover":0.15,"for_s":300,"window_s":300,"severity":"warning",
 *  "webhooks":[{"url":"https://…","format":"json"}]}
 *
 * A rule's value is one number. With a `baseline` it is the relative change against what the metric was
 * then: 0.2 is a fifth more. */
#ifndef AP_AGGREGATOR_ALERT_RULE_H
#define AP_AGGREGATOR_ALERT_RULE_H

#include "base/buf.h"
#include "base/error.h"
#include "profile/profile.h"

struct json_t;

enum ap_alert_metric {
	AP_ALERT_BUFFER_UTILIZATION,
	AP_ALERT_WAL_UTILIZATION,
	AP_ALERT_DISK_FREE_SHARE,
	AP_ALERT_PUSH_ERROR_RATE,
	AP_ALERT_PUSH_ERRORS_TOTAL,
	AP_ALERT_FLUSH_ERRORS,
	AP_ALERT_PENDING_ROWS,
	AP_ALERT_STORE_LAG,
	AP_ALERT_EVENT_THROUGHPUT,
	AP_ALERT_AGENT_SILENT,
	AP_ALERT_LOSS_SHARE,
	AP_ALERT_INCOMPLETE_SHARE,
	AP_ALERT_FUNCTION_SHARE,
	AP_ALERT_MODULE_SHARE,
	AP_ALERT_CPU_TIME,
	AP_ALERT_OFFCPU_TIME,
	AP_ALERT_LOCK_TIME,
	AP_ALERT_SYSCALL_ERROR_RATE,
	AP_ALERT_SYSCALL_P99,
	AP_ALERT_METRIC_MAX,
};

/* Where a metric's readings come from. */
enum ap_alert_source {
	AP_ALERT_SOURCE_SYSTEM,	 /* the aggregator's own counters */
	AP_ALERT_SOURCE_AGENTS,	 /* when agents were last heard */
	AP_ALERT_SOURCE_SAMPLES, /* stacks and their coverage */
	AP_ALERT_SOURCE_SYSCALLS,
};

/* Which members of a rule a metric takes, besides those that all do. */
#define AP_ALERT_TAKES_WINDOW	(1u << 0)
#define AP_ALERT_TAKES_FILTER	(1u << 1)
#define AP_ALERT_TAKES_TYPE	(1u << 2)
#define AP_ALERT_TAKES_FUNCTION (1u << 3)
#define AP_ALERT_TAKES_MODULE	(1u << 4)
#define AP_ALERT_TAKES_SYSCALL	(1u << 5)
#define AP_ALERT_TAKES_BASELINE (1u << 6)

struct ap_alert_metric_info {
	const char *name; /* "buffer_utilization" */
	const char *unit; /* "ratio" (0..1), "count", "rows", "rows/s", "seconds", "seconds/s" */
	const char *text; /* a person's words */
	enum ap_alert_source source;
	uint32_t takes;
};
extern const struct ap_alert_metric_info ap_alert_metrics[AP_ALERT_METRIC_MAX];

enum ap_alert_op { AP_ALERT_GT, AP_ALERT_GTE, AP_ALERT_LT, AP_ALERT_LTE, AP_ALERT_EQ };
enum ap_alert_severity { AP_ALERT_INFO, AP_ALERT_WARNING, AP_ALERT_CRITICAL };
enum ap_alert_format { AP_ALERT_JSON, AP_ALERT_ALERTMANAGER };
extern const char *const ap_alert_op_names[]; /* NULL-terminated, as are the next */
extern const char *const ap_alert_severity_names[];
extern const char *const ap_alert_format_names[];

#define AP_ALERT_HOOKS_MAX   8
#define AP_ALERT_BODY_MAX    (64u << 10) /* bytes of a rule's JSON */
#define AP_ALERT_SAMPLES_MIN 500	 /* fewer say nothing of a profile */

struct ap_alert_hook {
	char *url;
	enum ap_alert_format format;
};

/* Constant once it is parsed; shared by reference. */
struct ap_alert_rule {
	uint64_t id; /* 0: not stored */
	char *name;  /* 1..200 bytes; no two rules share one */
	char *description;
	bool enabled;
	enum ap_alert_severity severity;
	enum ap_alert_metric metric;
	enum ap_alert_op op;
	double threshold;
	double recover; /* firing lasts while `value op recover` holds: the threshold where not given */
	uint32_t for_s;	     /* how long it must hold before it fires */
	uint32_t window_s;   /* what a reading spans */
	uint32_t interval_s; /* between readings */
	const struct ap_profile_type *type;
	char *filter, *function, *module, *syscall; /* "" where not given */
	uint32_t baseline_offset_s; /* the baseline ends so long before now; 0: no baseline */
	uint32_t baseline_window_s; /* and spans this */
	uint64_t min_samples;	    /* of a profile's reading; fewer: insufficient */
	struct ap_alert_hook hooks[AP_ALERT_HOOKS_MAX];
	uint32_t n_hooks;
	uint32_t refs;
};

/* Parses a rule, all of whose text is copied. Unknown members are errors. -EINVAL with `err` in words and
 * `*ret_field` (may be NULL) the member at fault, static or NULL; -ENOMEM. */
int ap_alert_rule_parse(const struct json_t *body, struct ap_alert_rule **ret,
			const char **ret_field, struct ap_error *err);
/* The same from text of at most AP_ALERT_BODY_MAX bytes. */
int ap_alert_rule_parse_text(struct ap_str text, struct ap_alert_rule **ret, const char **ret_field,
			     struct ap_error *err);
struct ap_alert_rule *ap_alert_rule_ref(struct ap_alert_rule *r);
void ap_alert_rule_unref(struct ap_alert_rule *r); /* NULL is fine */
AP_DEFINE_CLEANUP(alert_rule, struct ap_alert_rule, ap_alert_rule_unref)

/* The members of the rule's JSON object, without braces and id; what they say parses to the same rule. */
void ap_alert_rule_json(struct ap_buf *b, const struct ap_alert_rule *r);
/* A copy that is enabled or not, with one reference. NULL = out of memory. */
struct ap_alert_rule *ap_alert_rule_with_enabled(const struct ap_alert_rule *r, bool enabled);

static inline const struct ap_alert_metric_info *ap_alert_info(const struct ap_alert_rule *r)
{
	return &ap_alert_metrics[r->metric];
}

static inline bool ap_alert_is_profile(const struct ap_alert_rule *r)
{
	return ap_alert_info(r)->source >= AP_ALERT_SOURCE_SAMPLES;
}

/* Time per second in which hosts reported. */
bool ap_alert_is_rate(const struct ap_alert_rule *r);
/* Whether sums by hour tell of the rule's baseline what samples do, once those have gone: of whole hours, of labels
 * that sums have, and not by the second. It ends on the full hour then. */
bool ap_alert_baseline_has_sums(const struct ap_alert_rule *r);

bool ap_alert_compare(enum ap_alert_op op, double value, double with);

#endif

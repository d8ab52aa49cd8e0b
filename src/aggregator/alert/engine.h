/* SPDX-License-Identifier: Apache-2.0 */
/* The alert engine: keeps the rules, reads each at its interval, turns readings into states, tells whom to
 * tell, and remembers what happened.
 *
 * What is in memory is what counts; the file follows. Rules and silences are on disk before a call returns
 * that changes them. States and history that cannot be written stay in memory and are written when that
 * works again; ap_alert_engine_error() says so meanwhile, and evaluation goes on.
 *
 * A silenced rule is evaluated as any other, but nobody is told that it fires until the silence is over.
 * That it is resolved is told to those who were told that it fires. A silence with a selector holds for a rule while
 * all hosts that it fires for are selected: that web-1 is being rebuilt keeps nobody from hearing of web-2.
 *
 * Messages are on disk in one transaction with the state that they tell of, until they are delivered.
 *
 * Thread-safe. Locks: `turn` (one evaluation at a time) is taken before `lock` (the tables). */
#ifndef AP_AGGREGATOR_ALERT_ENGINE_H
#define AP_AGGREGATOR_ALERT_ENGINE_H

#include "aggregator/alert/message.h"
#include "aggregator/alert/notify.h"
#include "aggregator/alert/state.h"
#include "aggregator/query/filter.h"

#define AP_ALERT_RULES_MAX     1000
#define AP_ALERT_HISTORY_MAX   10000
#define AP_ALERT_SILENCES_MAX  1000
#define AP_ALERT_SILENCE_MAX_S (366u * 86400)

struct ap_alert_engine;

struct ap_alert_engine_options {
	const char *path; /* of the file */
	/* Reads a rule's metric as it was at `at_ms`: 0; -ENOTSUP: nothing is kept of that metric's past;
	 * or an error of a question. One call at a time. */
	int (*read)(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
		    struct ap_alert_reading *ret, struct ap_error *err);
	/* What helps to understand it; an error only makes the message shorter. */
	int (*explain)(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
		       struct ap_alert_context *ret);
	/* Whether each host that a firing rule is about is selected by one of the filters (NULL-terminated): 1, 0,
	 * or an error, which counts as no. */
	int (*covered)(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
		       struct ap_filter *const *filters);
	/* Agents that have stopped in order, for ap_alert_engine_has_left(); each in one call. */
	int (*left)(void *ctx, void (*fn)(void *arg, const char *agent, uint64_t epoch), void *arg);
	void *ctx;
	struct ap_notifier *notifier; /* borrowed; NULL: nobody is told */
	/* How far back samples reach, and their sums by hour; 0: any baseline is taken. */
	uint64_t retention_s, retention_hourly_s;
};

/* Reads the file, or makes it with the rules that ship. Errors of ap_database_open(). */
int ap_alert_engine_new(const struct ap_alert_engine_options *o, struct ap_alert_engine **ret,
			struct ap_error *err);
void ap_alert_engine_free(struct ap_alert_engine *e); /* saves; NULL is fine */
AP_DEFINE_CLEANUP(alert_engine, struct ap_alert_engine, ap_alert_engine_free)

/* Evaluates the rules that are due at `now_ms`, notifies, saves. Returns in how many milliseconds to call
 * again. */
int64_t ap_alert_engine_tick(struct ap_alert_engine *e, int64_t now_ms);
/* Evaluates one rule, or all (0), whether due or not; those that are switched off are left alone. -ENOENT:
 * there is no such rule that is on. */
int ap_alert_engine_evaluate(struct ap_alert_engine *e, uint64_t id, int64_t now_ms);
/* A thread that calls tick. `base_url` is the dashboard's, for links. -ENOMEM, -EAGAIN. */
int ap_alert_engine_start(struct ap_alert_engine *e, const char *base_url, struct ap_error *err);
void ap_alert_engine_stop(struct ap_alert_engine *e);

/* Take over `rule`, also on failure. -EEXIST (the name), -ENOSPC (too many), -ENOENT, -ERANGE (a baseline
 * that is older than what is kept), -EIO. A rule that is changed begins anew. */
int ap_alert_engine_add(struct ap_alert_engine *e, struct ap_alert_rule *rule, int64_t now_ms,
			uint64_t *ret_id, struct ap_error *err);
int ap_alert_engine_change(struct ap_alert_engine *e, uint64_t id, struct ap_alert_rule *rule,
			   int64_t now_ms, struct ap_error *err);
int ap_alert_engine_delete(struct ap_alert_engine *e, uint64_t id, int64_t now_ms,
			   struct ap_error *err);
/* Switches it on or off. */
int ap_alert_engine_toggle(struct ap_alert_engine *e, uint64_t id, int64_t now_ms,
			   struct ap_error *err);

/* `rule` 0: all. `filter`: a selector that parses, or "" for everything. -ENOENT, -ENOSPC, -EIO. */
int ap_alert_engine_silence(struct ap_alert_engine *e, uint64_t rule, int64_t now_ms,
			    uint32_t duration_s, struct ap_str filter, struct ap_str comment,
			    uint64_t *ret_id, struct ap_error *err);
/* `now_ms` is not looked at: the signature is that of the other changes by id. */
int ap_alert_engine_unsilence(struct ap_alert_engine *e, uint64_t id, int64_t now_ms,
			      struct ap_error *err);

/* Why the last attempt to save failed; false: it did not. */
bool ap_alert_engine_error(struct ap_alert_engine *e, char *buf, size_t cap);
/* Whether an agent's run was seen to end in order, also by an earlier run of the aggregator. */
bool ap_alert_engine_has_left(struct ap_alert_engine *e, const char *agent, uint64_t epoch);

struct ap_alert_counts {
	uint32_t rules, enabled, firing, pending, insufficient;
	uint64_t evaluations, failures; /* readings that could not be taken */
};
void ap_alert_engine_get_counts(struct ap_alert_engine *e, struct ap_alert_counts *ret);

/* ---- JSON, as docs/openapi.json describes it (engine_json.c). ---- */

/* The rule with its state; -ENOENT. */
int ap_alert_engine_rule_json(struct ap_alert_engine *e, uint64_t id, int64_t now_ms,
			      struct ap_buf *b);
/* "rules":[…],"silences":[…],"metrics":[…],"state_error":…,"notifications":{…} */
void ap_alert_engine_list_json(struct ap_alert_engine *e, int64_t now_ms, struct ap_buf *b);
/* "events":[…] newest first, "total": of the rule (0: of all) before id `before` (0: from the newest). */
void ap_alert_engine_history_json(struct ap_alert_engine *e, uint64_t rule, uint64_t before,
				  uint32_t limit, struct ap_buf *b);

/* ---- What would have happened (dry_run.c). ---- */

/* Appends the members of the answer: the rule's readings and states over the day before `now_ms`.
 * -ENOTSUP: nothing is kept of that metric's past. Stops after `budget_ns`, and says how much it left. */
int ap_alert_engine_dry_run(struct ap_alert_engine *e, const struct ap_alert_rule *rule,
			    int64_t now_ms, uint64_t budget_ns, struct ap_buf *b,
			    struct ap_error *err);

#endif

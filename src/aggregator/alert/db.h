/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of alert rules: rules, where each stands, what happened, silences, and which agents have left.
 * Not thread-safe: the engine calls it under its lock. */
#ifndef AP_AGGREGATOR_ALERT_DB_H
#define AP_AGGREGATOR_ALERT_DB_H

#include "aggregator/alert/state.h"
#include "aggregator/state/database.h"

struct ap_alert_event {
	uint64_t id; /* ascending */
	uint64_t rule;
	char *name; /* the rule's, then */
	enum ap_alert_severity severity;
	int64_t at_ms;
	enum ap_alert_state from, to;
	double value; /* NAN: none */
	uint64_t samples;
};

struct ap_alert_silence {
	uint64_t id;
	uint64_t rule; /* 0: all of them */
	int64_t from_ms, until_ms;
	char *comment;
	char *filter; /* what it is about, a selector; "": everything */
};

/* What was saved; the callbacks' arguments live as long as the call, and a negative result ends it. */
struct ap_alert_db_reader {
	/* `status` is all 0 where the rule was never evaluated. */
	int (*rule)(void *ctx, uint64_t id, struct ap_str body,
		    const struct ap_alert_status *status);
	int (*event)(void *ctx, const struct ap_alert_event *e); /* oldest first */
	int (*silence)(void *ctx, const struct ap_alert_silence *s);
};
int ap_alert_db_load(struct ap_database *db, const struct ap_alert_db_reader *reader, void *ctx,
		     struct ap_error *err);

/* `id` 0: a new one, in `*ret_id`; ids are never used again. -EEXIST: another rule has the name. */
int ap_alert_db_put_rule(struct ap_database *db, uint64_t id, const struct ap_alert_rule *rule,
			 uint64_t *ret_id, struct ap_error *err);
/* With its status. */
int ap_alert_db_delete_rule(struct ap_database *db, uint64_t id, struct ap_error *err);
int ap_alert_db_put_status(struct ap_database *db, uint64_t rule, const struct ap_alert_status *s,
			   struct ap_error *err);
int ap_alert_db_put_event(struct ap_database *db, const struct ap_alert_event *e,
			  struct ap_error *err);
/* Drops those before an id. */
int ap_alert_db_trim_events(struct ap_database *db, uint64_t first, struct ap_error *err);
int ap_alert_db_put_silence(struct ap_database *db, const struct ap_alert_silence *s,
			    uint64_t *ret_id, struct ap_error *err);
int ap_alert_db_delete_silence(struct ap_database *db, uint64_t id, struct ap_error *err);

/* That an agent of that epoch has stopped in order; of each agent the last epoch is kept. */
int ap_alert_db_put_left(struct ap_database *db, const char *agent, uint64_t epoch,
			 struct ap_error *err);
/* Whether no rule was ever put into it. */
bool ap_alert_db_is_new(struct ap_database *db);
/* Whether that was said. */
bool ap_alert_db_has_left(struct ap_database *db, const char *agent, uint64_t epoch);

#endif

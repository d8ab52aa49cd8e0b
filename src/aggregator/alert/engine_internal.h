/* SPDX-License-Identifier: Apache-2.0 */
/* What the engine's files share. */
#ifndef AP_AGGREGATOR_ALERT_ENGINE_INTERNAL_H
#define AP_AGGREGATOR_ALERT_ENGINE_INTERNAL_H

#include <pthread.h>

#include "aggregator/alert/db.h"
#include "aggregator/alert/engine.h"
#include "base/vec.h"

struct ap_alert_entry {
	struct ap_alert_rule *rule;
	struct ap_alert_status status;
	int64_t tried_ms; /* the last reading or attempt at one */
	int64_t told_ms;  /* when the last message went out */
	int64_t saved_ms; /* the status */
	bool dirty;	  /* the status differs from the file's */
	bool covered;	  /* at the last reading, all that it is about was silenced */
	char error[200]; /* why the last reading could not be taken, or says nothing; "": it does */
};

/* A message that waits for the next save, then goes to the notifier. Owned. */
struct ap_alert_outgoing {
	uint64_t id, rule; /* id 0: not on file */
	char *url, *body;
	int64_t created_ms;
	bool durable; /* to outlive a crash */
};

struct ap_alert_engine {
	struct ap_alert_engine_options o;
	pthread_mutex_t turn;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	pthread_t thread;
	bool running, stopping;
	char *base_url; /* ending in '/'; NULL before the start */
	struct ap_database *db;
	AP_VEC(struct ap_alert_entry) entries;	  /* by id */
	AP_VEC(struct ap_alert_event) events;	  /* by id */
	AP_VEC(struct ap_alert_silence) silences; /* by id */
	AP_VEC(struct ap_alert_outgoing) outgoing;
	uint64_t last_event, saved_event;
	struct ap_error error; /* of the last save */
	uint64_t evaluations, failures;
};

/* All with the lock held. */
struct ap_alert_entry *ap_alert_entry_find(struct ap_alert_engine *e, uint64_t id);
bool ap_alert_entry_silenced(const struct ap_alert_engine *e, uint64_t rule, int64_t now_ms);
bool ap_alert_silence_holds(const struct ap_alert_silence *s, uint64_t rule, int64_t now_ms);
void ap_alert_silence_free(struct ap_alert_silence *s); /* what it owns */
/* Appends to the history; one that does not fit into memory is left out. */
void ap_alert_event_add(struct ap_alert_engine *e, const struct ap_alert_rule *rule,
			const struct ap_alert_status *s, struct ap_alert_transition t,
			int64_t now_ms);
/* Writes what the file lacks, then hands the messages that wait to the notifier: 0, or an error that is kept for
 * ap_alert_engine_error(). */
int ap_alert_engine_save(struct ap_alert_engine *e, int64_t now_ms);

struct ap_alert_notice {
	struct ap_alert_rule *rule;
	struct ap_alert_status status;
	bool firing;
};
/* Makes the messages of a notice, which leave with the next save. `context` may be NULL. Takes over the reference. */
void ap_alert_tell(struct ap_alert_engine *e, struct ap_alert_notice *n,
		   const struct ap_alert_context *context, int64_t now_ms);

/* Messages (tell.c). */
void ap_alert_repeat(struct ap_alert_engine *e, const struct ap_alert_rule *rule,
		     const struct ap_alert_status *status, int64_t now_ms);
bool ap_alert_has_alertmanager(const struct ap_alert_rule *rule);
/* Puts those that are to outlive a crash into the file; within a transaction. */
int ap_alert_outgoing_put(struct ap_alert_engine *e, struct ap_error *err);
/* Hands all over; `saved`: the transaction was committed. */
void ap_alert_outgoing_send(struct ap_alert_engine *e, bool saved);

/* Fills an empty file's rules (defaults.c). */
int ap_alert_add_defaults(struct ap_database *db, struct ap_error *err);

#endif

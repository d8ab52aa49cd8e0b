/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator's own counters, and what they were: a reading every 15 seconds, of a day, in memory alone. Alert rules
 * about the aggregator read it, and the dashboard's page about it. Thread-safe. */
#ifndef AP_AGGREGATOR_ALERT_VITALS_H
#define AP_AGGREGATOR_ALERT_VITALS_H

#include "aggregator/ingest/ingest.h"
#include "aggregator/query/query.h"
#include "aggregator/store/writer.h"

#define AP_VITALS_STEP_MS 15000
#define AP_VITALS_KEPT	  (86400000 / AP_VITALS_STEP_MS)

struct ap_vitals_options {
	struct ap_ingest *ingest; /* all borrowed */
	struct ap_buffer *buffer;
	struct ap_wal *wal;
	struct ap_writer *writer;
	struct ap_agents *agents;
	struct ap_query_engine *query;
	const char *data_dir;
};

/* Gauges as they were; counters since the start. */
struct ap_vitals {
	int64_t at_ms; /* Unix */
	uint64_t wal_bytes, wal_max_bytes;
	uint64_t buffer_bytes, buffer_pending_bytes, buffer_max_bytes;
	uint64_t pending_rows; /* accepted and not stored yet */
	uint64_t disk_free,
		disk_all; /* bytes of the data folder's file system; disk_all 0: not known */
	double lag_s;	  /* for how long the oldest of the pending rows has waited; 0: none do */
	double silent_s; /* the longest silence of an agent that is expected; NAN: there are none */
	uint32_t agents[AP_AGENT_LEFT + 1];
	uint64_t pushes[AP_PUSH_STATUS_MAX];
	uint64_t rows;	      /* accepted */
	uint64_t stored_rows; /* by the store */
	uint64_t flushes, flush_errors, flush_ns;
	uint64_t queries;	 /* that ended, however they did, */
	uint64_t query_failures; /* and of those, without an answer that somebody waited for */
};

struct ap_vitals_log;

int ap_vitals_new(const struct ap_vitals_options *o, struct ap_vitals_log **ret); /* 0, -ENOMEM */
void ap_vitals_free(struct ap_vitals_log *v);					  /* NULL is fine */

/* The counters now; remembered, if the last that is was taken AP_VITALS_STEP_MS ago. To be called at least that
 * often. */
void ap_vitals_take(struct ap_vitals_log *v, int64_t now_ms, struct ap_vitals *ret);
/* What is remembered closest to a time, at most a minute from it. False: nothing. */
bool ap_vitals_at(struct ap_vitals_log *v, int64_t at_ms, struct ap_vitals *ret);
/* Those of [from_ms, …), oldest first, into an array of AP_VITALS_KEPT. Returns how many. */
size_t ap_vitals_since(struct ap_vitals_log *v, int64_t from_ms, struct ap_vitals *ret);

#endif

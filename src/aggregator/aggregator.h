/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator as one thing that starts and stops: store, buffer, writer, questions, gRPC, HTTP.
 *
 *	agents ──gRPC──▶ ingest ─▶ buffer ─▶ writer ─▶ store
 *	                    └─▶ WAL ─┘ └──── questions ────┘ ──▶ gRPC, REST, dashboard
 */
#ifndef AP_AGGREGATOR_AGGREGATOR_H
#define AP_AGGREGATOR_AGGREGATOR_H

#include "aggregator/guard/guard.h"
#include "base/config.h"

struct ap_aggregator;

/* Owned by the caller's ap_config; must outlive the aggregator. */
struct ap_aggregator_settings {
	char *listen; /* HTTP */
	char *grpc_listen;
	char *data_dir;
	char *ui_dir;	    /* NULL: found beside the program */
	char *chdb_library; /* NULL: the same */
	/* A ClickHouse server in place of the embedded engine: where it is and who asks. url NULL: the
	 * embedded one; the others as in struct ap_store_options. */
	struct {
		char *url, *user, *password_file, *database, *cluster;
		char *ca_file, *cert_file, *key_file;
		uint64_t hold_ns; /* struct ap_writer_options */
	} clickhouse;
	char *ports_file;	      /* NULL: none */
	struct ap_strings host_names; /* further names that a Host header may have */
	char *external_url;	      /* NULL: as it listens */
	uint64_t buffer_bytes;
	uint64_t wal_bytes;
	uint64_t flush_interval_ns;
	uint64_t retention_ns;
	uint64_t retention_hourly_ns, retention_daily_ns; /* of rollups */
	uint64_t rollup_interval_ns;
	uint64_t disk_budget_bytes;	      /* 0: the share of the file system */
	uint64_t disk_share, disk_free_share; /* thousandths of a percent; 0: no bound */
	/* Of questions: how many run at once and how many more wait, and what one may take. */
	struct {
		uint64_t concurrency, queue;
		uint64_t timeout_ns, memory;
	} query;
	uint64_t client_timeout_ns; /* for HTTP clients to send a request, and to take any bytes */
	bool insecure;		    /* listen beyond loopback without authentication */
	char *tls_cert, *tls_key;   /* PEM files of both ports; NULL: plain text */
	char *tls_client_ca; /* clients must show a certificate of this CA's; NULL: they need none */
	char *agent_address; /* what agents elsewhere push to, for people; NULL: as it listens */
	uint32_t auth;	     /* enum ap_aggregator_auth */
	uint64_t max_sessions, session_ns, audit_entries;
	uint64_t max_message, max_body;
	uint64_t agent_rate, max_label_values, max_labels; /* as struct ap_limits_config has them */
	/* Told of each entry of the audit log, of any thread. */
	void (*on_audit)(const struct ap_audit_entry *e);
};

enum ap_aggregator_auth { AP_AUTH_NONE, AP_AUTH_TOKEN };

/* Everything runs and the ports file is written when it returns 0; a ClickHouse server that is not
 * reached is waited for then. Otherwise nothing is left behind, and `err` says in one line what to
 * do. */
int ap_aggregator_start(const struct ap_aggregator_settings *settings, struct ap_aggregator **ret,
			struct ap_error *err);
/* Takes no more batches, answers what has been asked, stores what the buffer holds, frees. 0, or
 * -EIO with the number of rows in `err` that could not be stored. NULL is fine. */
int ap_aggregator_stop(struct ap_aggregator *a, struct ap_error *err);

/* Reads certificates and keys again; connections go on with what they began with. 0, also where there are none, or an
 * error with what was in force left so. */
int ap_aggregator_reload(struct ap_aggregator *a, struct ap_error *err);
/* "http://127.0.0.1:9090/" */
const char *ap_aggregator_url(const struct ap_aggregator *a);
/* Why there is no dashboard at that address; NULL: there is one. */
const char *ap_aggregator_ui_error(const struct ap_aggregator *a);
/* Where agents push: "127.0.0.1:50051". */
const char *ap_aggregator_agent_address(const struct ap_aggregator *a);
/* What the store is, for people: "26.7.3.1 in /var/lib/aperture/aggregator". */
const char *ap_aggregator_store_name(const struct ap_aggregator *a);
/* The error of the last write to the store, or of the last dropping of old days, if it failed;
 * false: all is well. */
bool ap_aggregator_store_error(struct ap_aggregator *a, char *buf, size_t cap);
/* Why agents are told to wait, if the log is full; false: it is not. */
bool ap_aggregator_log_full(struct ap_aggregator *a, char *buf, size_t cap);
/* What the write-ahead log has not given back of what it took in, and where to look; false: nothing. */
bool ap_aggregator_log_damage(struct ap_aggregator *a, char *buf, size_t cap);
/* What has been dropped to make room since the last call; false: nothing. */
bool ap_aggregator_dropped(struct ap_aggregator *a, char *buf, size_t cap);
/* Why states and history of alerts cannot be saved; false: all is well. */
bool ap_aggregator_alerts_error(struct ap_aggregator *a, char *buf, size_t cap);

/* Why what was seen of deploys cannot be saved; false: all is well. */
bool ap_aggregator_deploys_error(struct ap_aggregator *a, char *buf, size_t cap);
/* Housekeeping, to be called every few seconds by the thread that started it: remembers the counters, saves what was
 * seen of deploys, learns of earlier agents once a server is reached. */
void ap_aggregator_tick(struct ap_aggregator *a);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator as one thing that starts and stops: store, buffer, writer, questions, gRPC, HTTP.
 *
 *	agents ──gRPC──▶ ingest ─▶ buffer ─▶ writer ─▶ store
 *	                             └──── questions ────┘ ──▶ gRPC, REST, dashboard
 */
#ifndef AP_AGGREGATOR_AGGREGATOR_H
#define AP_AGGREGATOR_AGGREGATOR_H

#include "base/config.h"

struct ap_aggregator;

/* Owned by the caller's ap_config; must outlive the aggregator. */
struct ap_aggregator_settings {
	char *listen; /* HTTP */
	char *grpc_listen;
	char *data_dir;
	char *ui_dir;		      /* NULL: found beside the program */
	char *chdb_library;	      /* NULL: the same */
	char *ports_file;	      /* NULL: none */
	struct ap_strings host_names; /* further names that a Host header may have */
	uint64_t buffer_bytes;
	uint64_t flush_interval_ns;
	uint64_t retention_ns;
	bool insecure; /* listen beyond loopback without authentication */
};

/* Everything runs and the ports file is written when it returns 0. Otherwise nothing is left
 * behind, and `err` says in one line what to do. */
int ap_aggregator_start(const struct ap_aggregator_settings *settings, struct ap_aggregator **ret,
			struct ap_error *err);
/* Takes no more batches, answers what has been asked, stores what the buffer holds, frees. 0, or
 * -EIO with the number of rows in `err` that could not be stored. NULL is fine. */
int ap_aggregator_stop(struct ap_aggregator *a, struct ap_error *err);

/* "http://127.0.0.1:9090/" */
const char *ap_aggregator_url(const struct ap_aggregator *a);
/* Why there is no dashboard at that address; NULL: there is one. */
const char *ap_aggregator_ui_error(const struct ap_aggregator *a);
/* Where agents push: "127.0.0.1:50051". */
const char *ap_aggregator_agent_address(const struct ap_aggregator *a);
/* "26.7.3.1", the store's engine. */
const char *ap_aggregator_store_version(const struct ap_aggregator *a);
/* The error of the last write to the store, or of the last dropping of old days, if it failed;
 * false: all is well. */
bool ap_aggregator_store_error(struct ap_aggregator *a, char *buf, size_t cap);

#endif

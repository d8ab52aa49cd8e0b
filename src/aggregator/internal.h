/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AP_AGGREGATOR_INTERNAL_H
#define AP_AGGREGATOR_INTERNAL_H

#include "aggregator/aggregator.h"
#include "aggregator/api/api.h"
#include "aggregator/api/grpc.h"
#include "http/address.h"
#include "http/server.h"

struct ap_aggregator {
	const struct ap_aggregator_settings *set;
	struct ap_store *store;
	struct ap_buffer *buffer;
	struct ap_agents *agents;
	struct ap_limits *limits;
	struct ap_wal *wal;
	struct ap_ingest *ingest;
	struct ap_writer *writer;
	struct ap_rollup *rollup;
	struct ap_retention *retention;
	struct ap_query_engine *query;
	struct ap_annotations *annotations;
	struct ap_deploys *deploys;
	struct ap_vitals_log *vitals;
	struct ap_notifier *notifier;
	struct ap_alert_source_data *alert_source;
	struct ap_alert_engine *alerts;
	struct ap_tls_files tls_files;
	struct ap_tls_source *tls; /* NULL: plain text */
	struct ap_guard *guard;
	struct ap_grpc *grpc;
	struct ap_address grpc_address;
	struct ap_http_static *files;
	struct ap_http_server *http;
	struct ap_api api;
	struct ap_buf openapi;
	const char **host_names; /* NULL-terminated, the strings are the settings' */
	char agent_address[300], store_name[400];
	struct ap_error ui_error;      /* code 0: the dashboard is there */
	struct ap_error deploys_error; /* of the last save; code 0: none */
	char *state_path;	       /* of state.db */
	atomic_uint exports;	       /* that are being sent */
	atomic_int phase;	       /* enum ap_api_phase */
	int lock_fd;		       /* of the data folder; -1: not locked */
	bool late; /* the store was not there at the start, and agents of earlier runs are not known */
};

/* ports.c: all return 0, or negative with `err`. */

/* Whether the settings of both ports go together, before anything is opened. */
int ap_aggregator_check_ports(struct ap_aggregator *a, struct ap_error *err);
/* Certificates, tokens and the audit log. */
int ap_aggregator_open_guard(struct ap_aggregator *a, struct ap_error *err);
/* From here on others are told that it starts … */
int ap_aggregator_open_http(struct ap_aggregator *a, struct ap_error *err);
/* … agents are let in … */
int ap_aggregator_open_grpc(struct ap_aggregator *a, struct ap_error *err);
/* … and questions answered. */
void ap_aggregator_complete_api(struct ap_aggregator *a);
/* The file that says which ports they are, if one is asked for. */
int ap_aggregator_write_ports(const struct ap_aggregator *a, struct ap_error *err);

#endif

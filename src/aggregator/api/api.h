/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator's REST API (docs/openapi.json describes it): a table of routes for http/server.h.
 * Each group of endpoints is a file of its own beside this one. */
#ifndef AP_AGGREGATOR_API_API_H
#define AP_AGGREGATOR_API_API_H

#include "aggregator/alert/engine.h"
#include "aggregator/alert/vitals.h"
#include "aggregator/annotate/deploys.h"
#include "aggregator/guard/guard.h"
#include "aggregator/ingest/ingest.h"
#include "aggregator/query/query.h"
#include "aggregator/store/retention.h"
#include "aggregator/store/store.h"
#include "aggregator/store/writer.h"
#include "http/server.h"
#include "tls/identity.h"

struct ap_grpc;

enum ap_api_phase {
	AP_API_OPENING,	  /* the store */
	AP_API_REPLAYING, /* the write-ahead log */
	AP_API_STORING,	  /* what it held */
	AP_API_RUNNING,
	AP_API_DRAINING, /* what has arrived is being stored, then it stops */
};

/* What the handlers work on; all borrowed, all thread-safe. The first ones are there from the start of the server on and
 * constant; the others are from AP_API_RUNNING on, and before that no handler that needs them is called. */
struct ap_api {
	struct ap_guard *guard;
	struct ap_tls_source *tls; /* NULL: plain HTTP and gRPC */
	struct ap_str openapi;	   /* the text of docs/openapi.json; empty = not installed */
	const char *data_dir;	   /* of the store */
	uint64_t start_ns;	   /* CLOCK_MONOTONIC, when the aggregator began */
	atomic_uint *exports;	   /* that are being sent */
	const atomic_int *phase;   /* enum ap_api_phase */

	struct ap_query_engine *query;
	struct ap_store *store;
	struct ap_writer *writer;
	struct ap_buffer *buffer;
	struct ap_wal *wal;
	struct ap_ingest *ingest;
	struct ap_agents *agents;
	struct ap_alert_engine *alerts;
	struct ap_notifier *notifier;
	struct ap_limits *limits;
	struct ap_grpc *grpc;
	struct ap_vitals_log *vitals;
	struct ap_annotations *annotations;
	struct ap_deploys *deploys;
	struct ap_retention *retention;
	struct ap_rollup *rollup;
	const char *agent_address; /* where agents push: "127.0.0.1:50051" */
};

/* Whether all of it is there. */
static inline bool ap_api_is_complete(const struct ap_api *api)
{
	return atomic_load(api->phase) >= AP_API_RUNNING;
}
/* Why questions are not answered now, in a sentence; NULL: they are. */
const char *ap_api_pause(const struct ap_api *api);

/* For ap_http_options, whose ctx is a struct ap_api. */
extern const struct ap_http_route ap_api_routes[];
extern const size_t ap_api_route_count;
#define AP_API_RESERVED "/api/"

#endif

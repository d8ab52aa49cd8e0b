/* SPDX-License-Identifier: Apache-2.0 */
/* The aggregator's REST API (docs/openapi.json describes it): a table of routes for http/server.h.
 * Each group of endpoints is a file of its own beside this one. */
#ifndef AP_AGGREGATOR_API_API_H
#define AP_AGGREGATOR_API_API_H

#include "aggregator/ingest/ingest.h"
#include "aggregator/query/query.h"
#include "aggregator/store/store.h"
#include "aggregator/store/writer.h"
#include "http/server.h"

/* What the handlers work on; all borrowed, all thread-safe, constant while the server runs. */
struct ap_api {
	struct ap_query_engine *query;
	struct ap_store *store;
	struct ap_writer *writer;
	struct ap_buffer *buffer;
	struct ap_ingest *ingest;
	struct ap_agents *agents;
	struct ap_str openapi; /* the text of docs/openapi.json; empty = not installed */
	const char *data_dir;  /* of the store */
	uint64_t retention_ns;
	const char *agent_address; /* where agents push: "127.0.0.1:50051" */
	uint64_t start_ns;	   /* CLOCK_MONOTONIC, when the aggregator began */
	const atomic_bool *ready;  /* everything runs and nothing is stopping */
};

/* For ap_http_options, whose ctx is a struct ap_api. */
extern const struct ap_http_route ap_api_routes[];
extern const size_t ap_api_route_count;
#define AP_API_RESERVED "/api/"

#endif

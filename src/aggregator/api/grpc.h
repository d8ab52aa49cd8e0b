/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC service aperture.aggregator.v1.Aggregator: Push into ingest; Query, QueryStorage,
 * Aggregate, Diff, Callers, Callees and Heatmap through the query layer. */
#ifndef AP_AGGREGATOR_API_GRPC_H
#define AP_AGGREGATOR_API_GRPC_H

#include "aggregator/ingest/ingest.h"
#include "base/error.h"
#include "wire/server.h"

struct ap_query_engine; /* aggregator/query/query.h */
struct ap_grpc;

struct ap_grpc_config {
	const char *listen; /* "127.0.0.1:50051"; port 0: any free port */
	uint32_t threads;   /* 0 = 16: more than questions hold at once, so that Push goes on */
	size_t max_message; /* bytes of the largest request; 0 = 32 MiB */
	struct ap_ingest *ingest; /* borrowed */
	struct ap_agents *agents; /* borrowed; may be NULL: silent hosts are then not expected */
	struct ap_query_engine *query; /* borrowed */
	struct ap_tls_source *tls;     /* NULL: plain text; borrowed */
	ap_rpc_authorizer authorize;   /* as ap_server_config has it; NULL: every call may */
	void *authorize_ctx;
};

/* Listens and serves; the health service says SERVING. Errors as ap_server_start(). */
int ap_grpc_start(const struct ap_grpc_config *config, struct ap_grpc **ret, struct ap_error *err);
/* Messages refused for their size; also after the stop. */
uint64_t ap_grpc_too_large(const struct ap_grpc *g);
uint16_t ap_grpc_port(const struct ap_grpc *g);
/* Health says NOT_SERVING; calls under way get `grace_ns` to finish. */
void ap_grpc_stop(struct ap_grpc *g, uint64_t grace_ns);
void ap_grpc_free(struct ap_grpc *g); /* once it is stopped; NULL is fine */

#endif

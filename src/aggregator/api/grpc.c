/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/grpc.h"

#include "aggregator.pb-c.h"
#include "aggregator/query/query.h"
#include "wire/server.h"

#define SERVICE "aperture.aggregator.v1.Aggregator"

enum { DEFAULT_THREADS = 6, QUERY_BYTES_MAX = 64 << 10 };

typedef Aperture__Aggregator__V1__QueryRequest QueryRequest;
typedef Aperture__Aggregator__V1__QueryResponse QueryResponse;
typedef Aperture__Aggregator__V1__DiffRequest DiffRequest;
typedef Aperture__Aggregator__V1__DiffResponse DiffResponse;
typedef Aperture__Aggregator__V1__Tree Tree;
typedef Aperture__Aggregator__V1__Coverage Coverage;

struct ap_grpc {
	struct ap_server *server;
	struct ap_grpc_config config;
};

static void push(void *ctx, struct ap_str request, struct ap_buf *reply,
		 struct ap_rpc_status *status)
{
	struct ap_grpc *g = ctx;
	struct ap_push_result result;

	ap_ingest_push(g->config.ingest, request, &result);
	if (ap_push_result_encode(&result, reply) < 0)
		ap_rpc_status_set(status, AP_RPC_RESOURCE_EXHAUSTED, "out of memory");
}

/* A question of the query layer, from the wire. */
struct question {
	struct ap_query q;
	struct ap_filter *filter;
};

/* Fills `ret`, or `status` with what is wrong; `side` is "", "a." or "b.". */
static int question_read(const QueryRequest *m, const char *side, enum ap_query_source source,
			 struct question *ret, struct ap_rpc_status *status)
{
	struct ap_str type = m->type[0] ? ap_str_of(m->type) : AP_STR("cpu:nanoseconds");
	struct ap_error err = {0};
	int r = 0;

	*ret = (struct question){.q = {.from_ms = m->from_ms,
				       .to_ms = m->to_ms,
				       .type = ap_profile_type_find(type),
				       .max_nodes = m->max_nodes,
				       .source = source}};
	if (m->from_ms <= 0 || m->to_ms <= m->from_ms) {
		ap_rpc_status_set(status, AP_RPC_INVALID_ARGUMENT,
				  "%sfrom_ms and %sto_ms must be Unix milliseconds with from_ms "
				  "before to_ms",
				  side, side);
		return -EINVAL;
	}
	if (!ret->q.type) {
		ap_rpc_status_set(status, AP_RPC_INVALID_ARGUMENT,
				  "%stype \"%.64s\" is not a profile type, such as "
				  "cpu:nanoseconds",
				  side, m->type);
		return -EINVAL;
	}
	if (m->max_nodes == 1 || m->max_nodes > AP_TREE_NODES_MAX) {
		ap_rpc_status_set(status, AP_RPC_INVALID_ARGUMENT,
				  "%smax_nodes must be 0 (default) or 2 to %d", side,
				  AP_TREE_NODES_MAX);
		return -EINVAL;
	}
	if (m->filter[0])
		r = ap_filter_parse(ap_str_of(m->filter), &ret->filter, NULL, &err);
	if (r < 0)
		ap_rpc_status_set(
			status, r == -ENOMEM ? AP_RPC_RESOURCE_EXHAUSTED : AP_RPC_INVALID_ARGUMENT,
			"%sfilter: %s", side, err.msg);
	ret->q.filter = ret->filter;
	return r;
}

static void set_failure(struct ap_rpc_status *status, int r, const struct ap_error *err)
{
	enum ap_rpc_code code;

	switch (r) {
	case -EINVAL:
		code = AP_RPC_INVALID_ARGUMENT;
		break;
	case -ETIMEDOUT:
		code = AP_RPC_DEADLINE_EXCEEDED;
		break;
	case -ECANCELED:
		code = AP_RPC_CANCELLED;
		break;
	case -EBUSY:
	case -ENOMEM:
	case -E2BIG:
		code = AP_RPC_RESOURCE_EXHAUSTED;
		break;
	default:
		code = AP_RPC_INTERNAL;
		break;
	}
	ap_rpc_status_set(status, code, "%s", err->msg[0] ? err->msg : ap_strerror(r));
}

/* Hosts that fell silent are expected, though no batch of theirs is in the range. */
static void expect_silent(const struct ap_grpc *g, const struct ap_query *q, struct ap_coverage *c)
{
	uint32_t reporting, expected;

	if (!g->config.agents || (q->filter && q->filter->n))
		return;
	ap_agents_hosts(g->config.agents, q->from_ms * 1000000, q->to_ms * 1000000, &reporting,
			&expected);
	c->hosts_expected = AP_MAX(c->hosts_expected, expected);
}

static void coverage_set(Coverage *m, const struct ap_coverage *c)
{
	m->hosts_reporting = c->hosts_reporting;
	m->hosts_expected = c->hosts_expected;
	m->complete_share = c->complete_share;
	m->samples = c->samples;
	m->lost = c->lost;
}

/* Points the message's columns at the tree's; `side` gives total and self. What has to be copied
 * comes from `arena`. */
static int tree_set(Tree *m, const struct ap_tree *t, unsigned int side, const char *unit,
		    struct ap_arena *arena)
{
	m->strings = ap_arena_alloc(arena, t->n_strings * sizeof(*m->strings));
	m->kind = ap_arena_alloc(arena, t->n * sizeof(*m->kind));
	if (!m->strings || !m->kind)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n_strings; i++)
		m->strings[i] = (ProtobufCBinaryData){t->strings[i].n, (uint8_t *)t->strings[i].p};
	for (uint32_t i = 0; i < t->n; i++)
		m->kind[i] = t->kind[i];
	m->n_strings = t->n_strings;
	m->n_name = m->n_module = m->n_kind = m->n_depth = m->n_total = m->n_self = t->n;
	m->name = t->name;
	m->module = t->module;
	m->depth = t->depth;
	m->total = t->total[side];
	m->self = t->self[side];
	m->unit = (char *)unit;
	m->folded_nodes = t->folded_nodes;
	m->folded_total = t->folded_total[side];
	return 0;
}

static int pack(const ProtobufCMessage *m, struct ap_buf *reply)
{
	uint8_t *at = ap_buf_reserve(reply, protobuf_c_message_get_packed_size(m));

	if (!at)
		return -ENOMEM;
	reply->n += protobuf_c_message_pack(m, at);
	return 0;
}

static int answer_query(struct ap_grpc *g, const struct question *x, struct ap_buf *reply,
			struct ap_error *err)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	QueryResponse m = APERTURE__AGGREGATOR__V1__QUERY_RESPONSE__INIT;
	Tree columns = APERTURE__AGGREGATOR__V1__TREE__INIT;
	Coverage coverage = APERTURE__AGGREGATOR__V1__COVERAGE__INIT;
	struct ap_arena arena = {0};
	struct ap_coverage cov;
	int r = ap_query_flamegraph(g->config.query, &x->q, &tree, &cov, err);

	if (r < 0)
		return r;
	expect_silent(g, &x->q, &cov);
	coverage_set(&coverage, &cov);
	r = tree_set(&columns, tree, 0, x->q.type->unit, &arena);
	m.tree = &columns;
	m.coverage = &coverage;
	if (r == 0)
		r = pack(&m.base, reply);
	ap_arena_free(&arena);
	return r;
}

static void query(struct ap_grpc *g, enum ap_query_source source, struct ap_str request,
		  struct ap_buf *reply, struct ap_rpc_status *status)
{
	struct ap_error err = {0};
	QueryRequest *m = NULL;
	struct question x;
	int r;

	if (request.n <= QUERY_BYTES_MAX)
		m = aperture__aggregator__v1__query_request__unpack(NULL, request.n,
								    (const uint8_t *)request.p);
	if (!m) {
		ap_rpc_status_set(status, AP_RPC_INVALID_ARGUMENT,
				  "not a valid QueryRequest of at most %d bytes", QUERY_BYTES_MAX);
		return;
	}
	r = question_read(m, "", source, &x, status);
	if (r == 0) {
		r = answer_query(g, &x, reply, &err);
		if (r < 0)
			set_failure(status, r, &err);
	}
	ap_filter_free(x.filter);
	aperture__aggregator__v1__query_request__free_unpacked(m, NULL);
}

static void query_buffer(void *ctx, struct ap_str request, struct ap_buf *reply,
			 struct ap_rpc_status *status)
{
	query(ctx, AP_QUERY_BUFFER, request, reply, status);
}

static void query_storage(void *ctx, struct ap_str request, struct ap_buf *reply,
			  struct ap_rpc_status *status)
{
	query(ctx, AP_QUERY_STORE, request, reply, status);
}

static void aggregate(void *ctx, struct ap_str request, struct ap_buf *reply,
		      struct ap_rpc_status *status)
{
	query(ctx, AP_QUERY_BOTH, request, reply, status);
}

static int answer_diff(struct ap_grpc *g, const struct question *a, const struct question *b,
		       struct ap_buf *reply, struct ap_error *err)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	DiffResponse m = APERTURE__AGGREGATOR__V1__DIFF_RESPONSE__INIT;
	Tree columns = APERTURE__AGGREGATOR__V1__TREE__INIT;
	Coverage coverage[2] = {APERTURE__AGGREGATOR__V1__COVERAGE__INIT,
				APERTURE__AGGREGATOR__V1__COVERAGE__INIT};
	struct ap_arena arena = {0};
	struct ap_coverage cov[2];
	int r = ap_query_diff(g->config.query, &a->q, &b->q, 0, &tree, NULL, cov, err);

	if (r < 0)
		return r;
	expect_silent(g, &a->q, &cov[0]);
	expect_silent(g, &b->q, &cov[1]);
	coverage_set(&coverage[0], &cov[0]);
	coverage_set(&coverage[1], &cov[1]);
	r = tree_set(&columns, tree, 1, b->q.type->unit, &arena);
	m.tree = &columns;
	m.n_total_a = m.n_self_a = tree->n;
	m.total_a = tree->total[0];
	m.self_a = tree->self[0];
	m.coverage_a = &coverage[0];
	m.coverage_b = &coverage[1];
	if (r == 0)
		r = pack(&m.base, reply);
	ap_arena_free(&arena);
	return r;
}

static void diff(void *ctx, struct ap_str request, struct ap_buf *reply,
		 struct ap_rpc_status *status)
{
	struct ap_error err = {0};
	DiffRequest *m = NULL;
	struct question a = {0}, b = {0};
	int r;

	if (request.n <= QUERY_BYTES_MAX)
		m = aperture__aggregator__v1__diff_request__unpack(NULL, request.n,
								   (const uint8_t *)request.p);
	if (!m || !m->a || !m->b) {
		ap_rpc_status_set(status, AP_RPC_INVALID_ARGUMENT,
				  "not a DiffRequest with a and b of at most %d bytes",
				  QUERY_BYTES_MAX);
	} else if (question_read(m->a, "a.", AP_QUERY_BOTH, &a, status) == 0 &&
		   question_read(m->b, "b.", AP_QUERY_BOTH, &b, status) == 0) {
		r = answer_diff(ctx, &a, &b, reply, &err);
		if (r < 0)
			set_failure(status, r, &err);
	}
	ap_filter_free(a.filter);
	ap_filter_free(b.filter);
	if (m)
		aperture__aggregator__v1__diff_request__free_unpacked(m, NULL);
}

int ap_grpc_start(const struct ap_grpc_config *config, struct ap_grpc **ret, struct ap_error *err)
{
	struct ap_grpc *g = calloc(1, sizeof(*g));
	const struct ap_rpc_method methods[] = {
		{"/" SERVICE "/Push", push, g},
		{"/" SERVICE "/Query", query_buffer, g},
		{"/" SERVICE "/QueryStorage", query_storage, g},
		{"/" SERVICE "/Aggregate", aggregate, g},
		{"/" SERVICE "/Diff", diff, g},
	};
	const char *const services[] = {SERVICE};
	const struct ap_server_config server = {
		.listen = config->listen,
		.threads = config->threads ? config->threads : DEFAULT_THREADS,
		.max_message = config->max_message,
		.methods = methods,
		.n_methods = AP_ARRAY_SIZE(methods),
		.services = services,
		.n_services = AP_ARRAY_SIZE(services),
	};
	int r;

	if (!g)
		return -ENOMEM;
	g->config = *config;
	r = ap_server_start(&server, &g->server, err);
	if (r < 0) {
		free(g);
		return r;
	}
	ap_server_set_serving(g->server, true);
	*ret = g;
	return 0;
}

uint16_t ap_grpc_port(const struct ap_grpc *g)
{
	return ap_server_port(g->server);
}

void ap_grpc_stop(struct ap_grpc *g, uint64_t grace_ns)
{
	if (!g)
		return;
	ap_server_set_serving(g->server, false);
	ap_server_stop(g->server, grace_ns);
	free(g);
}

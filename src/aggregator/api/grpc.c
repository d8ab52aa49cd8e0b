/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/grpc.h"

#include "aggregator.pb-c.h"
#include "aggregator/ingest/agents.h"
#include "aggregator/query/query.h"
#include "wire/server.h"

#define SERVICE "aperture.aggregator.v1.Aggregator"

/* More threads than CPUs: pushes wait for the disk, all that wait for one write. */
enum { DEFAULT_THREADS = 16, QUERY_BYTES_MAX = 64 << 10 };

typedef Aperture__Aggregator__V1__QueryRequest QueryRequest;
typedef Aperture__Aggregator__V1__QueryResponse QueryResponse;
typedef Aperture__Aggregator__V1__DiffRequest DiffRequest;
typedef Aperture__Aggregator__V1__DiffResponse DiffResponse;
typedef Aperture__Aggregator__V1__FunctionRequest FunctionRequest;
typedef Aperture__Aggregator__V1__FunctionResponse FunctionResponse;
typedef Aperture__Aggregator__V1__HeatmapRequest HeatmapRequest;
typedef Aperture__Aggregator__V1__HeatmapResponse HeatmapResponse;
typedef Aperture__Aggregator__V1__Tree Tree;
typedef Aperture__Aggregator__V1__Coverage Coverage;
typedef Aperture__Aggregator__V1__StackReason StackReason;

struct ap_grpc {
	struct ap_server *server;
	struct ap_grpc_config config;
	atomic_uint_fast64_t too_large;
};

static void push(void *ctx, struct ap_str request, const atomic_bool *gone, struct ap_buf *reply,
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
			 const atomic_bool *gone, struct question *ret,
			 struct ap_rpc_status *status)
{
	struct ap_str type = m->type[0] ? ap_str_of(m->type) : AP_STR("cpu:nanoseconds");
	struct ap_error err = {0};
	int r = 0;

	*ret = (struct question){.q = {.from_ms = m->from_ms,
				       .to_ms = m->to_ms,
				       .type = ap_profile_type_find(type),
				       .max_nodes = m->max_nodes,
				       .source = source,
				       .cancel = gone}};
	if (m->from_ms <= 0 || m->to_ms <= m->from_ms || m->to_ms > AP_QUERY_TIME_MAX_MS) {
		ap_rpc_status_set(status, AP_RPC_INVALID_ARGUMENT,
				  "%sfrom_ms and %sto_ms must be Unix milliseconds with from_ms "
				  "before to_ms, and not after the year 2199",
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
	case -ENOTCONN:
		code = AP_RPC_UNAVAILABLE;
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

/* `arena` holds the reasons. */
static int coverage_set(Coverage *m, const struct ap_coverage *c, struct ap_arena *arena)
{
	StackReason *reasons = ap_arena_alloc(arena, AP_REASONS_MAX * sizeof(*reasons));

	m->reasons = ap_arena_alloc(arena, AP_REASONS_MAX * sizeof(*m->reasons));
	if (!reasons || !m->reasons)
		return -ENOMEM;
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		if (!c->reasons[i])
			continue;
		reasons[i] = (StackReason)APERTURE__AGGREGATOR__V1__STACK_REASON__INIT;
		reasons[i].reason = i;
		reasons[i].count = c->reasons[i];
		m->reasons[m->n_reasons++] = &reasons[i];
	}
	m->hosts_reporting = c->hosts_reporting;
	m->hosts_expected = c->hosts_expected;
	m->complete_share = c->complete_share;
	m->samples = c->samples;
	m->lost = c->lost;
	m->pending = c->pending;
	m->truncated = (char *)(c->truncated ?: "");
	m->cut = c->cut;
	return 0;
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

/* What the query layer gave, on its way into a message. */
struct answer {
	struct ap_grpc *g;
	const struct question *x;
	struct ap_coverage found;
	Coverage coverage;     /* the message's */
	struct ap_arena arena; /* what had to be copied */
};

/* Fills in the coverage and packs the message, unless `r` is an error already; ends the answer. */
static int answer_pack(struct answer *a, int r, const ProtobufCMessage *m, struct ap_buf *reply)
{
	if (r == 0) {
		ap_coverage_expect_hosts(a->g->config.agents, &a->x->q, &a->found);
		r = coverage_set(&a->coverage, &a->found, &a->arena);
	}
	if (r == 0)
		r = pack(m, reply);
	ap_arena_free(&a->arena);
	return r;
}

static int answer_query(struct ap_grpc *g, const struct question *x, struct ap_buf *reply,
			struct ap_error *err)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	struct answer a = {g, x, .coverage = APERTURE__AGGREGATOR__V1__COVERAGE__INIT};
	QueryResponse m = APERTURE__AGGREGATOR__V1__QUERY_RESPONSE__INIT;
	Tree columns = APERTURE__AGGREGATOR__V1__TREE__INIT;
	int r = ap_query_flamegraph(g->config.query, &x->q, &tree, &a.found, err);

	if (r == 0)
		r = tree_set(&columns, tree, 0, x->q.type->unit, &a.arena);
	m.tree = &columns;
	m.coverage = &a.coverage;
	return answer_pack(&a, r, &m.base, reply);
}

static void query(struct ap_grpc *g, enum ap_query_source source, struct ap_str request,
		  const atomic_bool *gone, struct ap_buf *reply, struct ap_rpc_status *status)
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
	r = question_read(m, "", source, gone, &x, status);
	if (r == 0) {
		r = answer_query(g, &x, reply, &err);
		if (r < 0)
			set_failure(status, r, &err);
	}
	ap_filter_free(x.filter);
	aperture__aggregator__v1__query_request__free_unpacked(m, NULL);
}

static void query_buffer(void *ctx, struct ap_str request, const atomic_bool *gone,
			 struct ap_buf *reply, struct ap_rpc_status *status)
{
	query(ctx, AP_QUERY_BUFFER, request, gone, reply, status);
}

static void query_storage(void *ctx, struct ap_str request, const atomic_bool *gone,
			  struct ap_buf *reply, struct ap_rpc_status *status)
{
	query(ctx, AP_QUERY_STORE, request, gone, reply, status);
}

static void aggregate(void *ctx, struct ap_str request, const atomic_bool *gone,
		      struct ap_buf *reply, struct ap_rpc_status *status)
{
	query(ctx, AP_QUERY_BOTH, request, gone, reply, status);
}

static int answer_diff(struct ap_grpc *g, const struct question *qa, const struct question *qb,
		       struct ap_buf *reply, struct ap_error *err)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	struct answer b = {g, qb, .coverage = APERTURE__AGGREGATOR__V1__COVERAGE__INIT};
	DiffResponse m = APERTURE__AGGREGATOR__V1__DIFF_RESPONSE__INIT;
	Tree columns = APERTURE__AGGREGATOR__V1__TREE__INIT;
	Coverage coverage_a = APERTURE__AGGREGATOR__V1__COVERAGE__INIT;
	struct ap_coverage found[2];
	int r = ap_query_diff(g->config.query, &qa->q, &qb->q, 0, &tree, NULL, found, err);

	if (r == 0) {
		b.found = found[1];
		ap_coverage_expect_hosts(g->config.agents, &qa->q, &found[0]);
		r = coverage_set(&coverage_a, &found[0], &b.arena);
	}
	if (r == 0)
		r = tree_set(&columns, tree, 1, qb->q.type->unit, &b.arena);
	if (r == 0) {
		m.n_total_a = m.n_self_a = tree->n;
		m.total_a = tree->total[0];
		m.self_a = tree->self[0];
	}
	m.tree = &columns;
	m.coverage_a = &coverage_a;
	m.coverage_b = &b.coverage;
	return answer_pack(&b, r, &m.base, reply);
}

static void diff(void *ctx, struct ap_str request, const atomic_bool *gone, struct ap_buf *reply,
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
	} else if (question_read(m->a, "a.", AP_QUERY_BOTH, gone, &a, status) == 0 &&
		   question_read(m->b, "b.", AP_QUERY_BOTH, gone, &b, status) == 0) {
		r = answer_diff(ctx, &a, &b, reply, &err);
		if (r < 0)
			set_failure(status, r, &err);
	}
	ap_filter_free(a.filter);
	ap_filter_free(b.filter);
	if (m)
		aperture__aggregator__v1__diff_request__free_unpacked(m, NULL);
}

static int answer_function(struct ap_grpc *g, const struct question *x, const FunctionRequest *ask,
			   enum ap_sandwich_side side, struct ap_buf *reply, struct ap_error *err)
{
	bool has_module = ask->file_case == APERTURE__AGGREGATOR__V1__FUNCTION_REQUEST__FILE_MODULE;
	const struct ap_tree_function f = {
		.name = ap_str_of(ask->function),
		.module = has_module ? ap_str_of(ask->module) : (struct ap_str){0},
	};
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	struct answer a = {g, x, .coverage = APERTURE__AGGREGATOR__V1__COVERAGE__INIT};
	FunctionResponse m = APERTURE__AGGREGATOR__V1__FUNCTION_RESPONSE__INIT;
	Tree columns = APERTURE__AGGREGATOR__V1__TREE__INIT;
	int r = ap_query_callers(g->config.query, &x->q, &f, side, &tree, &m.selection_total,
				 &a.found, err);

	if (r == 0)
		r = tree_set(&columns, tree, 0, x->q.type->unit, &a.arena);
	m.tree = &columns;
	m.coverage = &a.coverage;
	return answer_pack(&a, r, &m.base, reply);
}

static void function(struct ap_grpc *g, enum ap_sandwich_side side, struct ap_str request,
		     const atomic_bool *gone, struct ap_buf *reply, struct ap_rpc_status *status)
{
	struct ap_error err = {0};
	FunctionRequest *m = NULL;
	struct question x = {0};
	int r;

	if (request.n <= QUERY_BYTES_MAX)
		m = aperture__aggregator__v1__function_request__unpack(NULL, request.n,
								       (const uint8_t *)request.p);
	if (!m || !m->query || !m->function[0]) {
		ap_rpc_status_set(
			status, AP_RPC_INVALID_ARGUMENT,
			"not a FunctionRequest with query and function of at most %d bytes",
			QUERY_BYTES_MAX);
	} else if (question_read(m->query, "query.", AP_QUERY_BOTH, gone, &x, status) == 0) {
		r = answer_function(g, &x, m, side, reply, &err);
		if (r < 0)
			set_failure(status, r, &err);
	}
	ap_filter_free(x.filter);
	if (m)
		aperture__aggregator__v1__function_request__free_unpacked(m, NULL);
}

static void callers(void *ctx, struct ap_str request, const atomic_bool *gone, struct ap_buf *reply,
		    struct ap_rpc_status *status)
{
	function(ctx, AP_SANDWICH_CALLERS, request, gone, reply, status);
}

static void callees(void *ctx, struct ap_str request, const atomic_bool *gone, struct ap_buf *reply,
		    struct ap_rpc_status *status)
{
	function(ctx, AP_SANDWICH_CALLEES, request, gone, reply, status);
}

/* What has to be copied comes from `arena`. */
static int cells_set(HeatmapResponse *m, const struct ap_series *s, struct ap_arena *arena)
{
	m->value = ap_arena_alloc(arena, s->n_steps * sizeof(*m->value));
	m->reported = ap_arena_alloc(arena, s->n_steps * sizeof(*m->reported));
	if (!m->value || !m->reported)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_steps; i++) {
		m->reported[i] = s->rows[0].values[i] != AP_SERIES_NONE;
		m->value[i] = m->reported[i] ? s->rows[0].values[i] : 0;
	}
	m->n_value = m->n_reported = s->n_steps;
	m->from_ms = s->from_ms;
	m->to_ms = s->to_ms;
	m->step_ms = s->step_ms;
	m->total = s->rows[0].total;
	return 0;
}

static int answer_heatmap(struct ap_grpc *g, const struct question *x, const HeatmapRequest *ask,
			  struct ap_buf *reply, struct ap_error *err)
{
	_cleanup_heatmap_ struct ap_heatmap map = {0};
	struct answer a = {g, x, .coverage = APERTURE__AGGREGATOR__V1__COVERAGE__INIT};
	HeatmapResponse m = APERTURE__AGGREGATOR__V1__HEATMAP_RESPONSE__INIT;
	int r = ap_query_heatmap(g->config.query, &x->q, ask->step_ms, ask->rows, &map, &a.found,
				 err);

	if (r == 0)
		r = cells_set(&m, map.series, &a.arena);
	m.rows = map.n_rows;
	m.columns = map.n_columns;
	m.max = map.max;
	m.unit = (char *)x->q.type->unit;
	m.coverage = &a.coverage;
	return answer_pack(&a, r, &m.base, reply);
}

static void heatmap(void *ctx, struct ap_str request, const atomic_bool *gone, struct ap_buf *reply,
		    struct ap_rpc_status *status)
{
	struct ap_error err = {0};
	HeatmapRequest *m = NULL;
	struct question x = {0};
	int r;

	if (request.n <= QUERY_BYTES_MAX)
		m = aperture__aggregator__v1__heatmap_request__unpack(NULL, request.n,
								      (const uint8_t *)request.p);
	if (!m || !m->query) {
		ap_rpc_status_set(status, AP_RPC_INVALID_ARGUMENT,
				  "not a HeatmapRequest with query of at most %d bytes",
				  QUERY_BYTES_MAX);
	} else if (question_read(m->query, "query.", AP_QUERY_BOTH, gone, &x, status) == 0) {
		r = answer_heatmap(ctx, &x, m, reply, &err);
		if (r < 0)
			set_failure(status, r, &err);
	}
	ap_filter_free(x.filter);
	if (m)
		aperture__aggregator__v1__heatmap_request__free_unpacked(m, NULL);
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
		{"/" SERVICE "/Callers", callers, g},
		{"/" SERVICE "/Callees", callees, g},
		{"/" SERVICE "/Heatmap", heatmap, g},
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
		.tls = config->tls,
		.authorize = config->authorize,
		.authorize_ctx = config->authorize_ctx,
		.too_large = g ? &g->too_large : NULL,
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

uint64_t ap_grpc_too_large(const struct ap_grpc *g)
{
	return atomic_load(&g->too_large);
}

uint16_t ap_grpc_port(const struct ap_grpc *g)
{
	return ap_server_port(g->server);
}

void ap_grpc_stop(struct ap_grpc *g, uint64_t grace_ns)
{
	ap_server_set_serving(g->server, false);
	ap_server_stop(g->server, grace_ns);
}

void ap_grpc_free(struct ap_grpc *g)
{
	free(g);
}

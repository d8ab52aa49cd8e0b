/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC request: a digit that says which method, then the message. Whatever that is, the call ends with an answer that
 * unpacks and whose columns are as long as each other, or with a code and a text. */
#include "aggregator/api/grpc.h"

#include "aggregator.pb-c.h"
#include "no_server.h"
#include "wire/batch.h"
#include "world.h"

/* ---- In place of wire/server.c: the methods are called without a connection. ---- */

enum { METHODS_MAX = 10 };

static struct ap_rpc_method methods[METHODS_MAX];
static size_t n_methods;

int ap_server_start(const struct ap_server_config *config, struct ap_server **ret,
		    struct ap_error *err)
{
	must(config->n_methods <= METHODS_MAX);
	memcpy(methods, config->methods, config->n_methods * sizeof(*methods));
	n_methods = config->n_methods;
	*ret = NULL;
	return 0;
}

/* ---- Answers. ---- */

typedef Aperture__Aggregator__V1__Tree Tree;

static void check_tree(const Tree *t, size_t n_a)
{
	uint64_t self = 0;

	must(t && t->n_name == t->n_module && t->n_name == t->n_kind && t->n_name == t->n_depth &&
	     t->n_name == t->n_total && t->n_name == t->n_self && n_a == t->n_name);
	for (size_t i = 0; i < t->n_name; i++) {
		must(t->name[i] < t->n_strings && t->module[i] < t->n_strings);
		must(i ? t->depth[i] > 0 && t->depth[i] <= t->depth[i - 1] + 1 : t->depth[i] == 0);
		must(t->self[i] <= t->total[i]);
		self += t->self[i];
	}
	must(t->n_total == 0 || self == t->total[0]);
}

static void check_heatmap(const Aperture__Aggregator__V1__HeatmapResponse *m)
{
	must(m && m->coverage && m->n_value == m->n_reported);
	must(m->n_value == (uint64_t)m->rows * m->columns && m->from_ms <= m->to_ms);
	for (size_t i = 0; i < m->n_value; i++)
		must(m->value[i] <= m->max && (m->reported[i] || m->value[i] == 0));
}

static void check_answer(const char *method, const struct ap_buf *b)
{
	const char *name = strrchr(method, '/') + 1;
	struct ap_push_result result;

	if (strcmp(name, "Push") == 0) {
		must(ap_push_result_decode(ap_buf_view(b), &result) == 0);
	} else if (strcmp(name, "Diff") == 0) {
		Aperture__Aggregator__V1__DiffResponse *m =
			aperture__aggregator__v1__diff_response__unpack(NULL, b->n, b->p);

		must(m && m->coverage_a && m->coverage_b && m->n_total_a == m->n_self_a);
		check_tree(m->tree, m->n_total_a);
		aperture__aggregator__v1__diff_response__free_unpacked(m, NULL);
	} else if (strcmp(name, "Callers") == 0 || strcmp(name, "Callees") == 0) {
		Aperture__Aggregator__V1__FunctionResponse *m =
			aperture__aggregator__v1__function_response__unpack(NULL, b->n, b->p);

		must(m && m->coverage && m->tree);
		check_tree(m->tree, m->tree->n_name);
		aperture__aggregator__v1__function_response__free_unpacked(m, NULL);
	} else if (strcmp(name, "Heatmap") == 0) {
		Aperture__Aggregator__V1__HeatmapResponse *m =
			aperture__aggregator__v1__heatmap_response__unpack(NULL, b->n, b->p);

		check_heatmap(m);
		aperture__aggregator__v1__heatmap_response__free_unpacked(m, NULL);
	} else {
		Aperture__Aggregator__V1__QueryResponse *m =
			aperture__aggregator__v1__query_response__unpack(NULL, b->n, b->p);

		must(m && m->coverage && m->tree);
		check_tree(m->tree, m->tree->n_name);
		aperture__aggregator__v1__query_response__free_unpacked(m, NULL);
	}
}

/* ---- A request. ---- */

static struct world world;
static struct ap_grpc *grpc;

static void begin(void)
{
	struct ap_grpc_config config = {0};

	world_begin(&world);
	config.ingest = world.ingest;
	config.agents = world.agents;
	config.query = world.query;
	must(ap_grpc_start(&config, &grpc, NULL) == 0);
}

static void end(void)
{
	ap_grpc_stop(grpc, 0);
	ap_grpc_free(grpc);
	world_end(&world);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ap_buf reply = {0};
	struct ap_rpc_status status = {0};
	const struct ap_rpc_method *m;
	atomic_bool gone = false;

	if (!grpc)
		begin();
	if (size == 0 || data[0] < '0' || (size_t)(data[0] - '0') >= n_methods)
		return 0;
	m = &methods[data[0] - '0'];
	m->call(m->ctx, (struct ap_str){(const char *)data + 1, size - 1}, &gone, &reply, &status);
	if (status.code == AP_RPC_OK)
		check_answer(m->name, &reply);
	else
		must(status.text[0] && status.code != AP_RPC_INTERNAL);
	if (m == &methods[0]) { /* a batch that was taken is not there for the next input */
		end();
		begin();
	}
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A REST request: its first line ("POST /api/v1/annotations?x=1"), headers, an empty line and its body. Whatever they
 * are, one answer is left, and what is sent while it is made comes to its end. Questions are answered from a buffer; what
 * stores, logs and notifies is a program's own and has nothing to do. */
#include <stdio.h>

#include "aggregator/alert/notify.h"
#include "aggregator/alert/source.h"
#include "aggregator/api/access.h"
#include "aggregator/api/answer.h"
#include "aggregator/api/grpc.h"
#include "http/internal.h"
#include "no_server.h"
#include "world.h"

/* ---- The server. ---- */

enum { RULES_MAX = 20 };

static const atomic_int phase = AP_API_RUNNING;
static atomic_uint exports;
static struct ap_api api = {.phase = &phase, .exports = &exports, .agent_address = "web-1:50051"};
static struct ap_http_server server;
static struct world world;
static struct ap_buffer
	*idle; /* of what stores: the world's has the batch that questions are about */

static int read_metric(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
		       struct ap_alert_reading *ret, struct ap_error *err)
{
	if (!ap_alert_is_profile(rule))
		return ap_error_set(err, -ENOTSUP, "nothing is kept of it");
	return ap_alert_profile_read(world.query, rule, at_ms, ret, err);
}

static void open_alerts(void)
{
	const struct ap_alert_engine_options o = {.path = ":memory:", .read = read_metric};

	must(ap_alert_engine_new(&o, &api.alerts, NULL) == 0);
}

/* In place of wire/server.c: nobody pushes. */
int ap_server_start(const struct ap_server_config *config, struct ap_server **ret,
		    struct ap_error *err)
{
	*ret = NULL;
	return 0;
}

/* What the endpoints about the aggregator itself ask. */
static void open_pipeline(void)
{
	static char folder[64];
	const struct ap_wal_options wal = {.dir = folder, .agents = world.agents};
	const struct ap_buffer_config buffer = {.capacity_bytes = 1 << 20};
	const struct ap_limits_config limits = {.values_per_label = 100, .labels = 100};
	struct ap_writer_options writer = {.store = &world.store,
					   .flush_interval_ns = 3600ull * 1000000000};
	struct ap_retention_options retention = {
		.store = &world.store, .rollup = world.rollup, .data_dir = scratch};
	struct ap_grpc_config grpc = {.ingest = world.ingest, .query = world.query};
	struct ap_vitals_options vitals = {.ingest = world.ingest,
					   .agents = world.agents,
					   .query = world.query,
					   .data_dir = scratch};
	uint64_t stored;

	snprintf(folder, sizeof(folder), "%s/wal", scratch);
	must(ap_buffer_new(&buffer, &idle) == 0 && ap_wal_new(&wal, &api.wal) == 0);
	must(ap_wal_open(api.wal, idle, &stored, NULL) == 0);
	writer.buffer = retention.buffer = vitals.buffer = idle;
	writer.wal = vitals.wal = api.wal;
	must(ap_writer_start(&writer, &api.writer) == 0);
	vitals.writer = api.writer;
	must(ap_vitals_new(&vitals, &api.vitals) == 0);
	must(ap_limits_new(&limits, &api.limits) == 0);
	must(ap_retention_new(&retention, &api.retention) == 0);
	must(ap_deploys_open(api.annotations, &api.deploys, NULL) == 0);
	must(ap_notifier_start(&(struct ap_notifier_options){.path = ":memory:"}, &api.notifier,
			       NULL) == 0);
	must(ap_grpc_start(&grpc, &api.grpc, NULL) == 0);
	api.store = &world.store;
	api.rollup = world.rollup;
	api.data_dir = scratch;
}

static void set_up(void)
{
	char path[64];
	struct ap_guard_options o = {.path = path, .audit_entries = 100};

	scratch_make();
	snprintf(path, sizeof(path), "%s/guard.db", scratch);
	must(ap_guard_open(&o, &api.guard, NULL) == 0);
	must(ap_annotations_open(":memory:", &api.annotations, NULL) == 0);
	open_alerts();
	world_begin(&world);
	api.agents = world.agents;
	api.buffer = world.buffer;
	api.ingest = world.ingest;
	api.query = world.query;
	open_pipeline();
	server.opt = (struct ap_http_options){.routes = ap_api_routes,
					      .n_routes = ap_api_route_count,
					      .reserved = AP_API_RESERVED,
					      .authorize = ap_api_authorize,
					      .observe = ap_api_observe,
					      .ctx = &api};
	server.address.loopback = true;
}

/* What requests have left behind slows the next ones down. */
static void forget(void)
{
	struct ap_alert_counts c;

	ap_alert_engine_get_counts(api.alerts, &c);
	if (c.rules < RULES_MAX)
		return;
	ap_alert_engine_free(api.alerts);
	open_alerts();
}

/* In place of libmicrohttpd's: there is no connection. */
static struct ap_str head;

const union MHD_ConnectionInfo *MHD_get_connection_info(struct MHD_Connection *connection,
							enum MHD_ConnectionInfoType type, ...)
{
	return NULL;
}

int MHD_get_connection_values(struct MHD_Connection *connection, enum MHD_ValueKind kind,
			      MHD_KeyValueIterator take, void *ctx)
{
	struct ap_str rest = head;

	while (rest.n) {
		struct ap_str value = ap_str_cut(&rest, '\n'), name = ap_str_cut(&value, ':');
		_cleanup_free_ char *n = ap_str_dup(name), *v = ap_str_dup(ap_str_trim(value));

		if (take(ctx, kind, n, v) != MHD_YES)
			break;
	}
	return 0;
}

/* What is sent while it is made: the program's own pipe, which the answers here fit into, and is read afterwards. */
static struct {
	MHD_ContentReaderCallback read;
	MHD_ContentReaderFreeCallback gone;
	void *ctx;
} sent;

struct MHD_Response *MHD_create_response_from_callback(uint64_t size, size_t block_size,
						       MHD_ContentReaderCallback read, void *ctx,
						       MHD_ContentReaderFreeCallback gone)
{
	sent.read = read;
	sent.gone = gone;
	sent.ctx = ctx;
	return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
}

void MHD_suspend_connection(struct MHD_Connection *connection)
{
	must(false); /* the answer is over, so there is something to send, or its end */
}

void MHD_resume_connection(struct MHD_Connection *connection)
{
}

static void read_sent(void)
{
	char buf[4096];
	uint64_t at = 0;
	ssize_t n;

	if (!sent.read)
		return;
	while ((n = sent.read(sent.ctx, at, buf, sizeof(buf))) > 0)
		at += (uint64_t)n;
	must(n == MHD_CONTENT_READER_END_OF_STREAM);
	sent.gone(sent.ctx);
	sent.read = NULL;
}

/* ---- A request. ---- */

static void check_answer(struct ap_http_request *req)
{
	must(req->response && req->status >= 200 && req->status < 600);
	must(req->status != 500 && req->status != 503);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_str text = {(const char *)data, size}, line, method;
	const char *end = memmem(data, size, "\n\n", 2);
	_cleanup_free_ char *name = NULL, *uri = NULL;
	struct ap_http_request *req;

	if (!scratch[0])
		set_up();
	head = (struct ap_str){text.p, end ? (size_t)(end - text.p) : size};
	line = ap_str_cut(&head, '\n');
	method = ap_str_cut(&line, ' ');
	name = ap_str_dup(method);
	uri = ap_str_dup(line);
	req = ap_http_request_new(&server, NULL, uri);
	must(name && uri && req);
	if (end)
		ap_buf_append(&req->body, end + 2, size - (size_t)(end + 2 - text.p));
	if (ap_http_request_parse(req, name) && req->route) {
		req->route->handler(req, &api);
		ap_api_observe(req, req->route, req->status, &api);
	}
	if (req->route || req->response)
		check_answer(req);
	read_sent();
	must(atomic_load(&exports) == 0);
	ap_http_request_unref(req);
	forget();
	return 0;
}

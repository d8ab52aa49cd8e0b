/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator.h"

#include <fcntl.h>
#include <stdio.h>

#include "aggregator/api/api.h"
#include "aggregator/api/grpc.h"
#include "aggregator/retention.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/io.h"
#include "http/address.h"
#include "http/server.h"

#define GRACE_MS	 5000u
#define FLUSH_TIMEOUT_NS (30 * AP_NSEC_PER_SEC)
#define OPENAPI_MAX	 (4u << 20)

struct ap_aggregator {
	const struct ap_aggregator_settings *set;
	struct ap_store *store;
	struct ap_buffer *buffer;
	struct ap_agents *agents;
	struct ap_ingest *ingest;
	struct ap_writer *writer;
	struct ap_retention *retention;
	struct ap_query_engine *query;
	struct ap_grpc *grpc;
	struct ap_http_static *files;
	struct ap_http_server *http;
	struct ap_api api;
	struct ap_buf openapi;
	const char **host_names; /* NULL-terminated, the strings are the settings' */
	char agent_address[300];
	struct ap_error ui_error; /* code 0: the dashboard is there */
	atomic_bool ready;
};

/* Where authentication does not exist, only this machine may connect, unless the user insists. */
static int check_address(const struct ap_aggregator_settings *set, const char *flag,
			 const char *text, struct ap_address *ret, struct ap_error *err)
{
	int r = ap_address_parse(text, ret, err);

	if (r < 0) {
		ap_error_prefix(err, "%s", flag);
		return r;
	}
	if (ret->loopback || set->insecure)
		return 0;
	return ap_error_set(err, -EPERM,
			    "%s %s is open to other machines and nothing asks them who they are: "
			    "listen on 127.0.0.1 (behind a proxy that does), or accept that with "
			    "--insecure",
			    flag, text);
}

/* The dashboard and the API's description are missed, but nothing else depends on them. */
static void load_files(struct ap_aggregator *a)
{
	_cleanup_free_ char *ui = NULL, *openapi = NULL;
	const char *dir = a->set->ui_dir;

	if (!dir && ap_files_find("../share/aperture/ui", "ui/dist", &ui) == 0)
		dir = ui;
	if (!dir)
		ap_error_set(&a->ui_error, -ENOENT,
			     "the dashboard's files are not installed beside the program "
			     "(share/aperture/ui): name their folder with --ui-dir");
	else
		ap_http_static_load(dir, &a->files, &a->ui_error);
	if (ap_files_find("../share/aperture/openapi.json", "docs/openapi.json", &openapi) == 0 &&
	    ap_read_file(AT_FDCWD, openapi, OPENAPI_MAX, &a->openapi) < 0)
		ap_buf_free(&a->openapi);
}

static int open_store(struct ap_aggregator *a, struct ap_error *err)
{
	const struct ap_store_options o = {
		.path = a->set->data_dir,
		.library = a->set->chdb_library,
	};

	int r = ap_store_open(&o, &a->store, err);

	if (r == -ENOENT && o.library)
		ap_error_prefix(err, "--chdb-library");
	return r;
}

static int restore_agent(void *ctx, const struct ap_agent_history *h)
{
	struct ap_agent_info info = {
		.first_seen_ns = h->first_seen_ms * (int64_t)AP_NSEC_PER_MSEC,
		.last_seen_ns = h->last_seen_ms * (int64_t)AP_NSEC_PER_MSEC,
		.periods = h->samples,
		.ledger = h->ledger,
		.cpu_share = -1,
	};
	int r;

	if (h->agent.n > AP_AGENT_ID_LEN)
		return 0;
	memcpy(info.meta.agent_id, h->agent.p, h->agent.n);
	memcpy(info.meta.host, h->host.p, AP_MIN(h->host.n, sizeof(info.meta.host) - 1));
	info.meta.epoch = h->epoch;
	r = ap_agents_restore(ctx, &info);
	return r == -ENOSPC ? 0 : r;
}

/* Agents of earlier runs are known from the start: what is silent is expected, not forgotten. */
static int restore_agents(struct ap_aggregator *a, struct ap_error *err)
{
	int64_t from = ap_clock_unix_ns() - (int64_t)a->set->retention_ns;

	return ap_query_agents(a->query, from / (int64_t)AP_NSEC_PER_MSEC, restore_agent, a->agents,
			       err);
}

static int start_pipeline(struct ap_aggregator *a, struct ap_error *err)
{
	const struct ap_aggregator_settings *set = a->set;
	struct ap_buffer_config buffer = {.capacity_bytes = set->buffer_bytes};
	struct ap_ingest_config ingest = {.retention_ns = set->retention_ns};
	struct ap_writer_options writer = {.flush_interval_ns = set->flush_interval_ns};
	struct ap_query_engine_options query = {0};
	int r;

	r = ap_store_last_segment(a->store, &buffer.last_segment, err);
	if (r < 0)
		return r;
	r = ap_buffer_new(&buffer, &a->buffer);
	if (r == 0)
		r = ap_agents_new(0, &a->agents);
	ingest.buffer = writer.buffer = query.buffer = a->buffer;
	ingest.agents = a->agents;
	if (r == 0)
		r = ap_ingest_new(&ingest, &a->ingest);
	writer.store = query.store = a->store;
	if (r == 0)
		r = ap_query_engine_new(&query, &a->query);
	if (r == 0)
		r = ap_writer_start(&writer, &a->writer);
	if (r < 0)
		return ap_error_set(err, r, "cannot start: %s", ap_strerror(r));
	r = restore_agents(a, err);
	if (r < 0)
		return r;
	return ap_retention_start(a->store, set->retention_ns, &a->retention, err);
}

static int start_grpc(struct ap_aggregator *a, const struct ap_address *address,
		      struct ap_error *err)
{
	const struct ap_grpc_config config = {
		.listen = a->set->grpc_listen,
		.ingest = a->ingest,
		.agents = a->agents,
		.query = a->query,
	};
	char self[256] = "localhost";
	const char *host = address->host;
	int r = ap_grpc_start(&config, &a->grpc, err);

	if (r < 0) {
		ap_error_prefix(err, "--grpc-listen");
		return r;
	}
	if (!host[0] || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) {
		gethostname(self, sizeof(self) - 1);
		host = self;
	}
	snprintf(a->agent_address, sizeof(a->agent_address),
		 strchr(host, ':') ? "[%s]:%u" : "%s:%u", host, ap_grpc_port(a->grpc));
	return 0;
}

static int copy_host_names(struct ap_aggregator *a)
{
	const struct ap_strings *names = &a->set->host_names;

	a->host_names = calloc(names->n + 1, sizeof(*a->host_names));
	if (!a->host_names)
		return -ENOMEM;
	for (size_t i = 0; i < names->n; i++)
		a->host_names[i] = names->p[i];
	return 0;
}

static int start_http(struct ap_aggregator *a, struct ap_error *err)
{
	struct ap_http_options o = {
		.listen = a->set->listen,
		.listen_flag = "--listen",
		.routes = ap_api_routes,
		.n_routes = ap_api_route_count,
		.ctx = &a->api,
		.files = a->files,
		.reserved = AP_API_RESERVED,
	};

	if (copy_host_names(a) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	o.host_names = a->host_names;
	a->api = (struct ap_api){
		.query = a->query,
		.store = a->store,
		.writer = a->writer,
		.buffer = a->buffer,
		.ingest = a->ingest,
		.agents = a->agents,
		.openapi = ap_buf_view(&a->openapi),
		.data_dir = a->set->data_dir,
		.retention_ns = a->set->retention_ns,
		.agent_address = a->agent_address,
		.start_ns = ap_clock_mono_ns(),
		.ready = &a->ready,
	};
	return ap_http_server_start(&o, &a->http, err);
}

static int write_ports(struct ap_aggregator *a, struct ap_error *err)
{
	char text[64];
	int n, r;

	if (!a->set->ports_file)
		return 0;
	n = snprintf(text, sizeof(text), "{\"http\":%u,\"grpc\":%u}\n",
		     ap_http_server_port(a->http), ap_grpc_port(a->grpc));
	r = ap_write_file_atomic(a->set->ports_file, text, (size_t)n, 0644, false);
	if (r < 0)
		return ap_error_set(err, r, "cannot write %s: %s", a->set->ports_file,
				    ap_strerror(r));
	return 0;
}

static int start(struct ap_aggregator *a, struct ap_error *err)
{
	struct ap_address http, grpc;
	int r = check_address(a->set, "--listen", a->set->listen, &http, err);

	if (r == 0)
		r = check_address(a->set, "--grpc-listen", a->set->grpc_listen, &grpc, err);
	if (r < 0)
		return r;
	load_files(a);
	r = open_store(a, err);
	if (r == 0)
		r = start_pipeline(a, err);
	if (r == 0)
		r = start_grpc(a, &grpc, err);
	if (r == 0)
		r = start_http(a, err);
	if (r < 0)
		return r;
	atomic_store(&a->ready, true);
	return write_ports(a, err);
}

int ap_aggregator_start(const struct ap_aggregator_settings *settings, struct ap_aggregator **ret,
			struct ap_error *err)
{
	struct ap_aggregator *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return ap_error_set(err, -ENOMEM, "out of memory");
	a->set = settings;
	r = start(a, err);
	if (r < 0) {
		ap_aggregator_stop(a, NULL);
		return r;
	}
	*ret = a;
	return 0;
}

/* Stores what is left in the buffer. */
static int flush(struct ap_aggregator *a, struct ap_error *err)
{
	struct ap_buffer_stats left;

	ap_buffer_close(a->buffer);
	ap_writer_flush(a->writer, ap_clock_mono_ns() + FLUSH_TIMEOUT_NS);
	ap_writer_stop(a->writer);
	ap_buffer_get_stats(a->buffer, &left);
	if (left.pending_rows == 0)
		return 0;
	return ap_error_set(err, -EIO, "%zu rows could not be stored and are lost",
			    left.pending_rows);
}

int ap_aggregator_stop(struct ap_aggregator *a, struct ap_error *err)
{
	int r = 0;

	if (!a)
		return 0;
	atomic_store(&a->ready, false);
	if (a->grpc)
		ap_grpc_stop(a->grpc, GRACE_MS * AP_NSEC_PER_MSEC);
	ap_http_server_stop(a->http, GRACE_MS);
	ap_retention_stop(a->retention);
	if (a->writer)
		r = flush(a, err);
	ap_query_engine_free(a->query);
	ap_ingest_free(a->ingest);
	ap_agents_free(a->agents);
	ap_buffer_free(a->buffer);
	ap_store_close(a->store);
	ap_http_static_free(a->files);
	ap_buf_free(&a->openapi);
	free(a->host_names);
	free(a);
	return r;
}

const char *ap_aggregator_url(const struct ap_aggregator *a)
{
	return ap_http_server_url(a->http);
}

const char *ap_aggregator_ui_error(const struct ap_aggregator *a)
{
	return a->ui_error.code ? a->ui_error.msg : NULL;
}

const char *ap_aggregator_agent_address(const struct ap_aggregator *a)
{
	return a->agent_address;
}

const char *ap_aggregator_store_version(const struct ap_aggregator *a)
{
	return a->store->version;
}

bool ap_aggregator_store_error(struct ap_aggregator *a, char *buf, size_t cap)
{
	struct ap_writer_stats w;

	ap_writer_get_stats(a->writer, &w);
	snprintf(buf, cap, "%s", w.last_error);
	return buf[0] || ap_retention_error(a->retention, buf, cap);
}

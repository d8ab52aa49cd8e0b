/* SPDX-License-Identifier: Apache-2.0 */
/* What others connect to: the two ports, who may, and what is served there. */
#include <fcntl.h>
#include <stdio.h>

#include "aggregator/api/access.h"
#include "aggregator/internal.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/io.h"

#define OPENAPI_MAX (4u << 20)

/* Pushes wait for the disk, all that wait for one write: more threads than CPUs. */
enum { PUSH_THREADS = 16, HTTP_THREADS = 8 };

/* Without secrets only this machine may connect, unless the user insists: those in the clear are none. */
static int check_address(const struct ap_aggregator_settings *set, const char *flag,
			 const char *text, struct ap_address *ret, struct ap_error *err)
{
	bool asks = set->auth == AP_AUTH_TOKEN || set->tls_client_ca;
	int r = ap_address_parse(text, ret, err);

	if (r < 0) {
		ap_error_prefix(err, "%s", flag);
		return r;
	}
	if (ret->loopback || set->insecure || (set->tls_cert && asks))
		return 0;
	return ap_error_set(
		err, -EPERM,
		"%s %s is open to other machines and %s: run `aperture-aggregator setup` "
		"(or give --tls-cert and --tls-key with --auth token or "
		"--tls-client-ca), listen on 127.0.0.1, or accept that with --insecure",
		flag, text,
		asks ? "tokens would travel there in the clear" : "nothing asks them who they are");
}

static int check_tls(const struct ap_aggregator_settings *set, struct ap_error *err)
{
	if (!set->tls_cert != !set->tls_key)
		return ap_error_set(err, -EINVAL, "give both --tls-cert and --tls-key, or neither");
	if (set->tls_client_ca && !set->tls_cert)
		return ap_error_set(
			err, -EINVAL,
			"--tls-client-ca asks for TLS: give --tls-cert and --tls-key too");
	return 0;
}

int ap_aggregator_check_ports(struct ap_aggregator *a, struct ap_error *err)
{
	const struct ap_aggregator_settings *set = a->set;
	struct ap_address http;
	int r = check_tls(set, err);

	if (r == 0)
		r = check_address(set, "--listen", set->listen, &http, err);
	if (r == 0)
		r = check_address(set, "--grpc-listen", set->grpc_listen, &a->grpc_address, err);
	return r;
}

int ap_aggregator_open_guard(struct ap_aggregator *a, struct ap_error *err)
{
	const struct ap_aggregator_settings *set = a->set;
	struct ap_guard_options o = {
		.required = set->auth == AP_AUTH_TOKEN,
		.max_sessions = (uint32_t)set->max_sessions,
		.session_ns = set->session_ns,
		.audit_entries = set->audit_entries,
		.on_audit = set->on_audit,
	};
	_cleanup_free_ char *path = NULL;
	int r = 0;

	a->tls_files = (struct ap_tls_files){set->tls_cert, set->tls_key, set->tls_client_ca};
	if (set->tls_cert)
		r = ap_tls_source_new(&a->tls_files, &a->tls, err);
	if (r == 0 && asprintf(&path, "%s/guard.db", set->data_dir) < 0) {
		path = NULL;
		r = ap_error_set(err, -ENOMEM, "out of memory");
	}
	o.path = path;
	return r < 0 ? r : ap_guard_open(&o, &a->guard, err);
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

/* Threads that questions may hold, running or waiting: whatever else there is to do has its own. */
static uint32_t question_threads(const struct ap_aggregator *a)
{
	return (uint32_t)(a->set->query.concurrency + a->set->query.queue);
}

int ap_aggregator_open_grpc(struct ap_aggregator *a, struct ap_error *err)
{
	const struct ap_grpc_config config = {
		.listen = a->set->grpc_listen,
		.threads = PUSH_THREADS + question_threads(a),
		.ingest = a->ingest,
		.agents = a->agents,
		.query = a->query,
		.max_message = a->set->max_message,
		.tls = a->tls,
		.authorize = ap_grpc_authorize,
		.authorize_ctx = a->guard,
	};
	char self[256] = "localhost";
	const char *host = a->grpc_address.host;
	int r = ap_grpc_start(&config, &a->grpc, err);

	if (r < 0) {
		ap_error_prefix(err, "--grpc-listen");
		return r;
	}
	if (a->set->agent_address) {
		snprintf(a->agent_address, sizeof(a->agent_address), "%s", a->set->agent_address);
		return 0;
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

int ap_aggregator_open_http(struct ap_aggregator *a, struct ap_error *err)
{
	struct ap_http_options o = {
		.listen = a->set->listen,
		.listen_flag = "--listen",
		.routes = ap_api_routes,
		.n_routes = ap_api_route_count,
		.ctx = &a->api,
		.reserved = AP_API_RESERVED,
		.workers = HTTP_THREADS + question_threads(a),
		.request_timeout_s = (unsigned int)(a->set->client_timeout_ns / AP_NSEC_PER_SEC),
		.tls = a->tls,
		.authorize = ap_api_authorize,
		.observe = ap_api_observe,
		.max_body = a->set->max_body,
	};

	if (copy_host_names(a) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	load_files(a);
	o.files = a->files;
	o.host_names = a->host_names;
	a->api = (struct ap_api){
		.guard = a->guard,
		.tls = a->tls,
		.openapi = ap_buf_view(&a->openapi),
		.data_dir = a->set->data_dir,
		.start_ns = ap_clock_mono_ns(),
		.exports = &a->exports,
		.phase = &a->phase,
	};
	return ap_http_server_start(&o, &a->http, err);
}

void ap_aggregator_complete_api(struct ap_aggregator *a)
{
	struct ap_api *api = &a->api;

	api->query = a->query;
	api->store = a->store;
	api->writer = a->writer;
	api->buffer = a->buffer;
	api->wal = a->wal;
	api->ingest = a->ingest;
	api->agents = a->agents;
	api->alerts = a->alerts;
	api->notifier = a->notifier;
	api->limits = a->limits;
	api->grpc = a->grpc;
	api->vitals = a->vitals;
	api->annotations = a->annotations;
	api->deploys = a->deploys;
	api->retention = a->retention;
	api->rollup = a->rollup;
	api->agent_address = a->agent_address;
	atomic_store(&a->phase, AP_API_RUNNING);
}

int ap_aggregator_write_ports(const struct ap_aggregator *a, struct ap_error *err)
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

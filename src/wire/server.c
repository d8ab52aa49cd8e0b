/* SPDX-License-Identifier: Apache-2.0 */
/* A fixed number of call slots on one completion queue. A slot is armed; a call arrives in it; its
 * message is read; the handler runs on the thread that got the message; the answer and status go
 * out; the slot is armed again. Calls beyond the slots wait in gRPC, unread, so that a burst costs
 * no memory here. */
#include "wire/server.h"

#include <grpc/grpc_security.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include "base/clock.h"
#include "wire/server_internal.h"

enum {
	DEFAULT_THREADS = 2,
	DEFAULT_CALLS = 256,
	DEFAULT_MAX_MESSAGE = 32 << 20,
	/* Ten thousand agents' connections use up 128 MiB. Then gRPC closes such as are at rest ("GOAWAY"), whose agents
	 * come back, some with a push that has failed and is made again. */
	DEFAULT_MAX_MEMORY = 256 << 20,
	KEEPALIVE_MS = 30000, /* without a word from it, a client is asked whether it is there … */
	KEEPALIVE_TIMEOUT_MS = 20000, /* … and has so long to answer */
	MIN_PING_MS = 10000,	      /* clients may ping this often without being disconnected */
};

static void on_finished(struct ap_server_call *c, bool ok)
{
	if (atomic_fetch_sub(&c->parts, 1) == 1)
		ap_server_recycle(c);
}

/* The call is over: answered, or its client has gone before. */
static void on_closed(struct ap_server_call *c, bool ok)
{
	if (c->cancelled)
		atomic_store(&c->gone, true);
	on_finished(c, ok);
}

void ap_server_finish(struct ap_server_call *c)
{
	bool sends = c->status.code == AP_RPC_OK && c->reply;
	grpc_op ops[4] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},
		{.op = GRPC_OP_SEND_STATUS_FROM_SERVER},
	};
	size_t n = 2;

	if (sends)
		ops[n++] = (grpc_op){.op = GRPC_OP_SEND_MESSAGE,
				     .data.send_message.send_message = c->reply};
	if (!c->method) { /* a method's call waits for its close from the beginning */
		ops[n++] = (grpc_op){.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
				     .data.recv_close_on_server.cancelled = &c->cancelled};
		atomic_store(&c->parts, 1);
	}
	c->status_text = grpc_slice_from_copied_string(c->status.text);
	ops[1].data.send_status_from_server.status = (grpc_status_code)c->status.code;
	ops[1].data.send_status_from_server.status_details = &c->status_text;
	c->tag.done = on_finished;
	grpc_call_start_batch(c->call, ops, n, &c->tag, NULL);
}

static void on_message(struct ap_server_call *c, bool ok)
{
	_cleanup_buf_ struct ap_buf in = {0};
	_cleanup_buf_ struct ap_buf out = {0};

	if (!ok || !c->request) {
		if (c->server->too_large)
			atomic_fetch_add(c->server->too_large, 1);
		ap_rpc_status_set(&c->status, AP_RPC_RESOURCE_EXHAUSTED,
				  "no message, or one above the limit of this server");
	} else if (ap_grpc_message_read(c->request, &in) < 0) {
		ap_rpc_status_set(&c->status, AP_RPC_INTERNAL, "the message cannot be read");
	} else if (c->method) {
		grpc_byte_buffer_destroy(AP_TAKE_PTR(c->request));
		c->method->call(c->method->ctx, ap_buf_view(&in), &c->gone, &out, &c->status);
		if (c->status.code == AP_RPC_OK && ap_buf_error(&out) < 0)
			ap_rpc_status_set(&c->status, AP_RPC_RESOURCE_EXHAUSTED, "out of memory");
		if (c->status.code == AP_RPC_OK)
			c->reply = ap_grpc_message(ap_buf_view(&out));
	} else if (ap_health_call(c, ap_buf_view(&in))) {
		return;
	} else {
		ap_rpc_status_set(&c->status, AP_RPC_UNIMPLEMENTED, "no such method here");
	}
	ap_server_finish(c);
}

/* Whether the call may go on; otherwise its status is set. */
static bool authorize(struct ap_server_call *c)
{
	struct ap_rpc_caller caller;

	if (!c->method || !c->server->authorize)
		return true;
	ap_server_caller(c, &caller);
	c->server->authorize(c->server->authorize_ctx, &caller, &c->status);
	return c->status.code == AP_RPC_OK;
}

static void on_call(struct ap_server_call *c, bool ok)
{
	struct ap_str name = ap_grpc_slice_view(&c->details.method);
	grpc_op receive = {.op = GRPC_OP_RECV_MESSAGE,
			   .data.recv_message.recv_message = &c->request};
	grpc_op closed = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER,
			  .data.recv_close_on_server.cancelled = &c->cancelled};

	if (!ok) { /* the server stops: no call came */
		ap_server_recycle(c);
		return;
	}
	for (size_t i = 0; i < c->server->n_methods; i++)
		if (ap_str_is(name, c->server->methods[i].name))
			c->method = &c->server->methods[i];
	if (!authorize(c)) {
		c->method = NULL; /* its close is not waited for yet */
		ap_server_finish(c);
		return;
	}
	if (c->method) {
		atomic_store(&c->parts, 2);
		c->close_tag = (struct ap_tag){on_closed, c};
		grpc_call_start_batch(c->call, &closed, 1, &c->close_tag, NULL);
	}
	c->tag.done = on_message;
	grpc_call_start_batch(c->call, &receive, 1, &c->tag, NULL);
}

static void arm(struct ap_server_call *c)
{
	struct ap_server *s = c->server;

	*c = (struct ap_server_call){.server = s, .status_text = grpc_empty_slice()};
	c->tag = (struct ap_tag){on_call, c};
	grpc_call_details_init(&c->details);
	grpc_metadata_array_init(&c->metadata);
	grpc_server_request_call(s->server, &c->call, &c->details, &c->metadata, s->cq, s->cq,
				 &c->tag);
}

void ap_server_recycle(struct ap_server_call *c)
{
	struct ap_server *s = c->server;
	bool stopping;

	grpc_byte_buffer_destroy(c->request);
	grpc_byte_buffer_destroy(c->reply);
	grpc_slice_unref(c->status_text);
	grpc_call_details_destroy(&c->details);
	grpc_metadata_array_destroy(&c->metadata);
	if (c->call)
		grpc_call_unref(c->call);
	pthread_mutex_lock(&s->lock);
	stopping = s->stopping;
	if (!stopping)
		arm(c);
	pthread_mutex_unlock(&s->lock);
}

static void *serve(void *arg)
{
	struct ap_server *s = arg;

	for (;;) {
		grpc_event e = grpc_completion_queue_next(
			s->cq, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);

		if (e.type == GRPC_QUEUE_SHUTDOWN)
			return NULL;
		if (e.tag == s) { /* every call has ended */
			pthread_mutex_lock(&s->lock);
			s->stopped = true;
			pthread_cond_broadcast(&s->changed);
			pthread_mutex_unlock(&s->lock);
		} else {
			struct ap_tag *tag = e.tag;

			tag->done(tag->call, e.success);
		}
	}
}

/* Why the address cannot be listened on: gRPC does not tell, so the same is tried once more. */
static int bind_errno(const char *listen)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
	struct ap_str s = ap_str_of(listen);
	_cleanup_free_ char *host = NULL;
	_cleanup_fd_ int fd = -1;
	const char *colon = strrchr(listen, ':');
	int r = 0;

	if (ap_str_starts(s, AP_STR("unix:")))
		return -EADDRINUSE;
	if (!colon || !colon[1])
		return -EINVAL;
	s.n = (size_t)(colon - listen);
	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		s = (struct ap_str){s.p + 1, s.n - 2};
	host = ap_str_dup(s);
	if (!host)
		return -ENOMEM;
	if (getaddrinfo(host, colon + 1, &hints, &list) != 0)
		return -EINVAL;
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)) < 0 ||
	    bind(fd, list->ai_addr, list->ai_addrlen) < 0)
		r = -errno;
	freeaddrinfo(list);
	return r;
}

static int listen_error(const char *listen, struct ap_error *err)
{
	int r = bind_errno(listen);

	switch (r) {
	case -EADDRINUSE:
		return ap_error_set(
			err, r,
			"cannot listen on %s for gRPC: the address is in use, perhaps by "
			"another aggregator; stop that one or choose another port",
			listen);
	case -EACCES:
		return ap_error_set(
			err, r,
			"cannot listen on %s for gRPC: permission denied; choose a port "
			"above 1023",
			listen);
	case -EADDRNOTAVAIL:
		return ap_error_set(err, r,
				    "cannot listen on %s for gRPC: this machine does not have that "
				    "address",
				    listen);
	case -EINVAL:
		return ap_error_set(err, r,
				    "cannot listen on \"%s\" for gRPC: not an address; use "
				    "host:port, for example 127.0.0.1:50051",
				    listen);
	default:
		return ap_error_set(err, r ? r : -EADDRINUSE, "cannot listen on %s for gRPC: %s",
				    listen, ap_strerror(r ? r : -EADDRINUSE));
	}
}

static grpc_server *create(const struct ap_server_config *config)
{
	grpc_resource_quota *quota = grpc_resource_quota_create("aperture");
	size_t max_message = config->max_message ? config->max_message : DEFAULT_MAX_MESSAGE;
	grpc_arg args[] = {
		ap_grpc_int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
				(int)AP_MIN(max_message, INT32_MAX)),
		ap_grpc_int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
		/* Two servers on one port would share its calls in silence. */
		ap_grpc_int_arg(GRPC_ARG_ALLOW_REUSEPORT, 0),
		ap_grpc_int_arg(GRPC_ARG_KEEPALIVE_TIME_MS, KEEPALIVE_MS),
		ap_grpc_int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS),
		ap_grpc_int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
		ap_grpc_int_arg(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, MIN_PING_MS),
		{.type = GRPC_ARG_POINTER,
		 .key = (char *)GRPC_ARG_RESOURCE_QUOTA,
		 .value.pointer = {quota, grpc_resource_quota_arg_vtable()}},
	};
	grpc_channel_args list = {.num_args = AP_ARRAY_SIZE(args), .args = args};
	grpc_server *server;

	grpc_resource_quota_resize(quota,
				   config->max_memory ? config->max_memory : DEFAULT_MAX_MEMORY);
	server = grpc_server_create(&list, NULL);
	grpc_resource_quota_unref(quota);
	return server;
}

static int copy_tables(struct ap_server *s, const struct ap_server_config *config,
		       uint32_t n_threads)
{
	s->n_slots = config->max_calls ? config->max_calls : DEFAULT_CALLS;
	s->methods = calloc(config->n_methods + 1, sizeof(*s->methods));
	s->services = calloc(config->n_services + 1, sizeof(*s->services));
	s->threads = calloc(n_threads, sizeof(*s->threads));
	s->slots = calloc(s->n_slots, sizeof(*s->slots));
	if (!s->methods || !s->services || !s->threads || !s->slots)
		return -ENOMEM;
	if (config->n_methods)
		memcpy(s->methods, config->methods, config->n_methods * sizeof(*s->methods));
	s->n_methods = config->n_methods;
	s->authorize = config->authorize;
	s->authorize_ctx = config->authorize_ctx;
	s->too_large = config->too_large;
	for (; s->n_services < config->n_services; s->n_services++) {
		s->services[s->n_services] = ap_str_dup(ap_str_of(config->services[s->n_services]));
		if (!s->services[s->n_services])
			return -ENOMEM;
	}
	return 0;
}

static void release(struct ap_server *s)
{
	for (size_t i = 0; i < s->n_services; i++)
		free(s->services[i]);
	free(s->services);
	free(s->methods);
	free(s->threads);
	free(s->slots);
	ap_server_tls_free(s->tls);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	free(s);
}

/* Ends a server that has no call. */
static void destroy(struct ap_server *s)
{
	grpc_completion_queue_shutdown(s->cq);
	for (uint32_t i = 0; i < s->n_threads; i++)
		pthread_join(s->threads[i], NULL);
	grpc_server_destroy(s->server);
	grpc_completion_queue_destroy(s->cq);
	release(s);
}

/* Starts up to `want` threads; s->n_threads says how many run. */
static int start_threads(struct ap_server *s, uint32_t want)
{
	for (; s->n_threads < want; s->n_threads++) {
		int r = pthread_create(&s->threads[s->n_threads], NULL, serve, s);

		if (r != 0)
			return -r;
	}
	return 0;
}

/* Listens; 0 or the error of ap_server_start(). */
static int open_port(struct ap_server *s, const char *address, struct ap_tls_source *source,
		     struct ap_error *err)
{
	grpc_server_credentials *how = ap_server_credentials(source, &s->tls);
	int port;

	if (!how)
		return ap_error_set(err, -ENOMEM, "out of memory");
	port = grpc_server_add_http2_port(s->server, address, how);
	grpc_server_credentials_release(how);
	if (port == 0)
		return listen_error(address, err);
	s->port = ap_str_starts(ap_str_of(address), AP_STR("unix:")) ? 0 : (uint16_t)port;
	return 0;
}

int ap_server_start(const struct ap_server_config *config, struct ap_server **ret,
		    struct ap_error *err)
{
	uint32_t n_threads = config->threads ? config->threads : DEFAULT_THREADS;
	struct ap_server *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;
	int r;

	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &attr);
	pthread_condattr_destroy(&attr);
	r = copy_tables(s, config, n_threads);
	if (r < 0) {
		release(s);
		return r;
	}
	ap_grpc_init();
	s->cq = grpc_completion_queue_create_for_next(NULL);
	s->server = create(config);
	grpc_server_register_completion_queue(s->server, s->cq, NULL);
	r = start_threads(s, n_threads);
	if (r < 0)
		ap_error_set(err, r, "cannot start threads for gRPC: %s", ap_strerror(r));
	else
		r = open_port(s, config->listen, config->tls, err);
	if (r < 0) {
		destroy(s);
		return r;
	}
	grpc_server_start(s->server);
	for (uint32_t i = 0; i < s->n_slots; i++) {
		s->slots[i].server = s;
		arm(&s->slots[i]);
	}
	*ret = s;
	return 0;
}

void ap_server_stop(struct ap_server *s, uint64_t grace_ns)
{
	uint64_t until = ap_clock_mono_ns() + grace_ns;
	struct timespec deadline = {.tv_sec = (time_t)(until / AP_NSEC_PER_SEC),
				    .tv_nsec = (long)(until % AP_NSEC_PER_SEC)};

	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	ap_health_notify(s);
	pthread_mutex_unlock(&s->lock);
	grpc_server_shutdown_and_notify(s->server, s->cq, s);
	pthread_mutex_lock(&s->lock);
	while (!s->stopped)
		if (pthread_cond_timedwait(&s->changed, &s->lock, &deadline) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&s->lock);
	grpc_server_cancel_all_calls(s->server);
	pthread_mutex_lock(&s->lock);
	while (!s->stopped)
		pthread_cond_wait(&s->changed, &s->lock);
	pthread_mutex_unlock(&s->lock);
	destroy(s);
}

uint16_t ap_server_port(const struct ap_server *s)
{
	return s->port;
}

void ap_server_set_serving(struct ap_server *s, bool serving)
{
	pthread_mutex_lock(&s->lock);
	s->serving = serving;
	ap_health_notify(s);
	pthread_mutex_unlock(&s->lock);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "http/server.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "http/internal.h"

#define WORKERS_DEFAULT	    4
#define CONNECTIONS_DEFAULT 256
#define TIMEOUT_DEFAULT_S   30
#define BODY_DEFAULT	    (1u << 20)
#define WAITING_MAX	    64 /* requests that wait for a worker */
#define HEADER_BYTES	    (32u << 10)
#define LOOK_NS		    (50 * AP_NSEC_PER_MSEC) /* how often clients that wait are looked for */

/* ---- Hand-over between the I/O thread and the workers. ---- */

void ap_http_resume(struct ap_http_request *req)
{
	req->resumed = true;
	MHD_resume_connection(req->conn);
}

bool ap_http_closing(struct ap_http_server *s)
{
	bool closing;

	pthread_mutex_lock(&s->lock);
	closing = s->closing;
	pthread_mutex_unlock(&s->lock);
	return closing;
}

static void handle(struct ap_http_request *req)
{
	req->route->handler(req, req->server->opt.ctx);
	if (!req->streaming && !req->response)
		ap_http_reply_error(req, 500, "internal", NULL, "the request was not answered");
	if (req->server->opt.observe)
		req->server->opt.observe(req, req->route, req->status, req->server->opt.ctx);
}

static void *worker_main(void *arg)
{
	struct ap_http_server *s = arg;
	struct ap_http_request *req;

	while ((req = ap_queue_pop(s->queue, UINT64_MAX))) {
		if (ap_http_closing(s))
			ap_http_reply_error(req, 503, "stopping", NULL, "the server is stopping");
		else
			handle(req);
		if (!req->resumed)
			ap_http_resume(req);
		ap_http_request_unref(req);
	}
	return NULL;
}

static struct ap_http_connection *connection_of(struct MHD_Connection *conn)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

static enum MHD_Result send_answer(struct ap_http_request *req)
{
	enum MHD_Result r;

	if (!req->response)
		return MHD_NO;
	r = MHD_queue_response(req->conn, req->status, req->response);
	/* A stream's response leads back to the request: let go, or neither would ever be freed. */
	MHD_destroy_response(req->response);
	req->response = NULL;
	return r;
}

static void serve_file(struct ap_http_request *req)
{
	struct ap_http_file f;

	if (ap_http_static_find(req->server->opt.files, req->path, ap_http_accepts_gzip(req), &f))
		ap_http_reply_file(req, &f);
	else
		ap_http_reply_error(req, 404, "not_found", NULL, "there is no file at %.*s",
				    AP_STR_ARG(req->path));
}

/* Whom the connection's client waits for; NULL: nobody any more. */
static void set_answering(struct ap_http_server *s, struct ap_http_connection *c,
			  struct ap_http_request *req)
{
	if (!c)
		return;
	pthread_mutex_lock(&s->lock);
	/* The first one ends the reaper's long sleep. */
	if (req && !c->answering)
		pthread_cond_broadcast(&s->changed);
	c->answering = req;
	pthread_mutex_unlock(&s->lock);
}

/* The request is complete: answers it here or hands it to a worker. */
static enum MHD_Result dispatch(struct ap_http_request *req)
{
	struct ap_http_server *s = req->server;
	struct ap_http_connection *c = connection_of(req->conn);
	bool stopping;

	pthread_mutex_lock(&s->lock);
	s->in_flight++;
	stopping = s->stopping;
	if (c)
		c->receiving_since = 0;
	pthread_mutex_unlock(&s->lock);
	req->state = AP_HTTP_ANSWERING;
	req->started_ns = ap_clock_mono_ns();
	if (req->response)
		return send_answer(req);
	if (stopping)
		ap_http_reply_error(req, 503, "stopping", NULL, "the server is stopping");
	else if (!req->route)
		serve_file(req);
	else if (req->route->quick)
		handle(req);
	if (stopping || !req->route || req->route->quick)
		return send_answer(req);

	/* Suspended first: the worker may be done before this function returns. */
	MHD_suspend_connection(req->conn);
	__atomic_add_fetch(&req->refs, 1, __ATOMIC_RELAXED);
	set_answering(s, c, req);
	if (ap_queue_try_push(s->queue, req) < 0) {
		pthread_mutex_lock(&s->lock);
		s->stats.refused_busy++;
		pthread_mutex_unlock(&s->lock);
		ap_http_header_set(req, "Retry-After", "1");
		ap_http_reply_error(req, 503, "overloaded", NULL,
				    "%d requests are waiting already: try again in a second",
				    WAITING_MAX);
		ap_http_resume(req);
		ap_http_request_unref(req);
	}
	return MHD_YES;
}

/* ---- libmicrohttpd's callbacks, on the I/O thread. ---- */

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *conn)
{
	return ap_http_request_new(cls, conn, uri);
}

static void refuse_body(struct ap_http_request *req)
{
	if (req->response)
		return;
	pthread_mutex_lock(&req->server->lock);
	req->server->stats.refused_large++;
	pthread_mutex_unlock(&req->server->lock);
	ap_buf_free(&req->body);
	ap_http_reply_error(req, 413, "too_large", NULL, "the body is larger than %zu bytes",
			    req->body_max);
}

/* The headers are there. */
static enum MHD_Result begin(struct ap_http_request *req, const char *method)
{
	struct ap_str length, expect;
	uint64_t n = 0;

	req->state = AP_HTTP_BODY;
	if (ap_http_request_parse(req, method)) {
		length = ap_http_header(req, "Content-Length");
		if (length.p && (ap_parse_u64(length, &n) < 0 || n > req->body_max))
			refuse_body(req);
	}
	/* Refused before a byte of the body has been sent where the client asks, or where it would
	 * be too much to read on; else at the end, so that the client can read the answer. */
	expect = ap_http_header(req, "Expect");
	if (req->response && (expect.p || n > AP_HTTP_DISCARD_MAX))
		return dispatch(req);
	return MHD_YES;
}

static enum MHD_Result take_body(struct ap_http_request *req, const char *data, size_t n)
{
	if (!req->response && n > req->body_max - req->body.n)
		refuse_body(req);
	if (req->response) {
		req->discarded += n;
		return req->discarded <= AP_HTTP_DISCARD_MAX ? MHD_YES : MHD_NO;
	}
	ap_buf_append(&req->body, data, n);
	return ap_buf_error(&req->body) ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_access(void *cls, struct MHD_Connection *conn, const char *url,
				 const char *method, const char *version, const char *data,
				 size_t *data_n, void **con_cls)
{
	struct ap_http_request *req = *con_cls;
	size_t n = *data_n;

	if (!req)
		return MHD_NO;
	switch (req->state) {
	case AP_HTTP_NEW:
		return begin(req, method);
	case AP_HTTP_BODY:
		*data_n = 0;
		return n ? take_body(req, data, n) : dispatch(req);
	case AP_HTTP_ANSWERING:
		break;
	}
	return send_answer(req);
}

static void on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
			 enum MHD_RequestTerminationCode why)
{
	struct ap_http_server *s = cls;
	struct ap_http_request *req = *con_cls;
	struct ap_http_connection *c = connection_of(conn);

	if (!req)
		return;
	*con_cls = NULL;
	pthread_mutex_lock(&s->lock);
	if (c) {
		c->receiving_since = ap_clock_mono_ns();
		c->answering = NULL;
	}
	if (req->state == AP_HTTP_ANSWERING) {
		s->in_flight--;
		pthread_cond_broadcast(&s->changed);
	}
	pthread_mutex_unlock(&s->lock);
	if (req->response) {
		MHD_destroy_response(req->response);
		req->response = NULL;
	}
	ap_http_request_unref(req);
}

/* Before the handshake: what is in force now holds for this connection. */
static void use_identity(struct ap_http_server *s, struct MHD_Connection *conn,
			 struct ap_http_connection *c)
{
	const union MHD_ConnectionInfo *info;

	if (!s->opt.tls)
		return;
	info = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	c->identity = ap_tls_source_get(s->opt.tls);
	if (info && info->tls_session)
		ap_tls_identity_use(c->identity, info->tls_session);
}

static void connection_opened(struct ap_http_server *s, struct MHD_Connection *conn, void **ctx)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct ap_http_connection *c = info ? calloc(1, sizeof(*c)) : NULL;

	if (!c)
		return;
	c->fd = info->connect_fd;
	c->receiving_since = ap_clock_mono_ns();
	use_identity(s, conn, c);
	pthread_mutex_lock(&s->lock);
	c->next = s->connections;
	if (c->next)
		c->next->prev = c;
	s->connections = c;
	s->stats.connections++;
	pthread_mutex_unlock(&s->lock);
	*ctx = c;
}

static void on_connection(void *cls, struct MHD_Connection *conn, void **ctx,
			  enum MHD_ConnectionNotificationCode what)
{
	struct ap_http_server *s = cls;
	struct ap_http_connection *c = *ctx;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		connection_opened(s, conn, ctx);
		return;
	}
	if (!c)
		return;
	pthread_mutex_lock(&s->lock);
	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else
		s->connections = c->next;
	s->stats.connections--;
	pthread_mutex_unlock(&s->lock);
	*ctx = NULL;
	ap_tls_identity_unref(c->identity);
	free(c);
}

/* ---- Lifecycle. ---- */

static struct timespec timespec_of(uint64_t ns)
{
	return (struct timespec){(time_t)(ns / AP_NSEC_PER_SEC), (long)(ns % AP_NSEC_PER_SEC)};
}

/* A connection that a worker answers is suspended: libmicrohttpd does not see its client leave. With
 * the lock held; true: there are such connections. */
static bool look_for_clients(struct ap_http_server *s)
{
	bool any = false;

	for (struct ap_http_connection *c = s->connections; c; c = c->next) {
		struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};

		if (!c->answering)
			continue;
		any = true;
		if (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)))
			atomic_store(&c->answering->gone, true);
	}
	return any;
}

/* Shuts sockets that have not sent a whole request in time. libmicrohttpd's own timeout only knows
 * silence: a client that drips one byte at a time would hold its connection for ever. */
static void *reaper_main(void *arg)
{
	struct ap_http_server *s = arg;
	uint64_t limit = s->opt.request_timeout_s * AP_NSEC_PER_SEC;

	pthread_mutex_lock(&s->lock);
	while (!s->closing) {
		uint64_t now = ap_clock_mono_ns(), pause = AP_MIN(limit / 4, 5 * AP_NSEC_PER_SEC);
		struct timespec ts;

		for (struct ap_http_connection *c = s->connections; c; c = c->next) {
			if (c->receiving_since && now - c->receiving_since > limit)
				shutdown(c->fd, SHUT_RDWR);
		}
		if (look_for_clients(s))
			pause = LOOK_NS;
		ts = timespec_of(now + pause);
		pthread_cond_timedwait(&s->changed, &s->lock, &ts);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static int start_daemon(struct ap_http_server *s, int fd)
{
	struct ap_tls_identity *id = s->opt.tls ? ap_tls_source_get(s->opt.tls) : NULL;
	unsigned int flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME;
	/* libmicrohttpd wants a certificate at the start; sessions use those of use_identity(). */
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0,
		 (void *)(uintptr_t)(id ? ap_tls_identity_cert(id) : NULL)},
		{MHD_OPTION_HTTPS_MEM_KEY, 0,
		 (void *)(uintptr_t)(id ? ap_tls_identity_key(id) : NULL)},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)AP_TLS_PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};

	if (!id)
		tls[0] = tls[3];
	s->daemon = MHD_start_daemon(
		flags | (id ? MHD_USE_TLS : 0u), 0, NULL, NULL, on_access, s,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, s,
		MHD_OPTION_NOTIFY_COMPLETED, on_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
		on_connection, s, MHD_OPTION_CONNECTION_LIMIT, s->opt.max_connections,
		MHD_OPTION_CONNECTION_TIMEOUT, s->opt.request_timeout_s,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HEADER_BYTES,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
	ap_tls_identity_unref(id);
	return s->daemon ? 0 : -ENOMEM;
}

static int start_threads(struct ap_http_server *s)
{
	while (s->n_workers < s->opt.workers) {
		if (pthread_create(&s->workers[s->n_workers], NULL, worker_main, s) != 0)
			return -EAGAIN;
		s->n_workers++;
	}
	s->has_reaper = pthread_create(&s->reaper, NULL, reaper_main, s) == 0;
	return s->has_reaper ? 0 : -EAGAIN;
}

static void name_server(struct ap_http_server *s)
{
	const char *host = s->address.host[0] ? s->address.host : "127.0.0.1";

	if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
		host = "127.0.0.1";
	snprintf(s->url, sizeof(s->url), strchr(host, ':') ? "%s://[%s]:%u/" : "%s://%s:%u/",
		 s->opt.tls ? "https" : "http", host, s->port);
}

static struct ap_http_server *server_new(const struct ap_http_options *opt)
{
	struct ap_http_server *s = calloc(1, sizeof(*s));
	pthread_condattr_t attr;

	if (!s)
		return NULL;
	s->opt = *opt;
	s->opt.workers = AP_MIN(opt->workers ? opt->workers : WORKERS_DEFAULT,
				(unsigned int)AP_HTTP_WORKERS_MAX);
	s->opt.max_connections = opt->max_connections ? opt->max_connections : CONNECTIONS_DEFAULT;
	s->opt.request_timeout_s =
		opt->request_timeout_s ? opt->request_timeout_s : TIMEOUT_DEFAULT_S;
	s->opt.max_body = opt->max_body ? opt->max_body : BODY_DEFAULT;
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->changed, &attr);
	pthread_condattr_destroy(&attr);
	s->queue = ap_queue_new(WAITING_MAX);
	if (!s->queue) {
		free(s);
		return NULL;
	}
	return s;
}

int ap_http_server_start(const struct ap_http_options *opt, struct ap_http_server **ret,
			 struct ap_error *err)
{
	_cleanup_fd_ int fd = -1;
	struct ap_http_server *s = server_new(opt);
	int r;

	if (!s)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = ap_address_parse(opt->listen, &s->address, err);
	if (r == 0)
		r = ap_address_listen(&s->address, opt->listen_flag, &fd, &s->port, err);
	if (r < 0) {
		ap_http_server_stop(s, 0);
		return r;
	}
	name_server(s);
	r = start_threads(s);
	if (r == 0)
		r = start_daemon(s, fd);
	if (r < 0) {
		ap_http_server_stop(s, 0);
		return ap_error_set(err, r, "cannot start the HTTP server: %s", ap_strerror(r));
	}
	AP_TAKE_FD(fd); /* libmicrohttpd's now */
	*ret = s;
	return 0;
}

/* Waits until every request has been answered, or the time is over; then no stream goes on. */
static void drain(struct ap_http_server *s, unsigned int grace_ms)
{
	struct timespec until = timespec_of(ap_clock_mono_ns() + grace_ms * AP_NSEC_PER_MSEC);
	int r = 0;

	pthread_mutex_lock(&s->lock);
	while (s->in_flight && r == 0)
		r = pthread_cond_timedwait(&s->changed, &s->lock, &until);
	s->closing = true;
	for (struct ap_http_connection *c = s->connections; c; c = c->next)
		if (c->answering)
			atomic_store(&c->answering->gone, true);
	pthread_cond_broadcast(&s->changed);
	pthread_mutex_unlock(&s->lock);
}

void ap_http_server_stop(struct ap_http_server *s, unsigned int grace_ms)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	pthread_mutex_unlock(&s->lock);
	if (s->daemon) {
		MHD_socket fd = MHD_quiesce_daemon(s->daemon);

		if (fd != MHD_INVALID_SOCKET)
			close(fd);
	}
	drain(s, grace_ms);
	/* Workers first: a connection that is still suspended must not meet the daemon's end. */
	ap_queue_close(s->queue);
	for (unsigned int i = 0; i < s->n_workers; i++)
		pthread_join(s->workers[i], NULL);
	if (s->has_reaper)
		pthread_join(s->reaper, NULL);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	ap_queue_free(s->queue);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	free(s);
}

uint16_t ap_http_server_port(const struct ap_http_server *s)
{
	return s->port;
}

void ap_http_get_stats(const struct ap_http_request *req, struct ap_http_stats *ret)
{
	struct ap_http_server *s = req->server;

	pthread_mutex_lock(&s->lock);
	*ret = s->stats;
	pthread_mutex_unlock(&s->lock);
	ret->max_connections = s->opt.max_connections;
}

const char *ap_http_server_url(const struct ap_http_server *s)
{
	return s->url;
}

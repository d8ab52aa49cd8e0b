/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share; for none outside it.
 *
 * A request's life. libmicrohttpd's thread (the I/O thread) makes the request when it has read the
 * request line, parses it when the headers are there, and collects the body. A route that is not
 * quick is then handed over: the connection is suspended, which takes it away from the I/O thread,
 * and a worker runs the handler, which leaves `response` behind. The worker resumes the connection;
 * the I/O thread sends the response and ends the request. A stream resumes the connection as soon
 * as it begins, so that both threads hold the request: hence the reference count. After the
 * hand-over nobody but the I/O thread may touch `conn`, except to resume it.
 *
 * Locks: server->lock (connections, in_flight, stopping) and a stream's lock; never both at once.
 */
#ifndef AP_HTTP_INTERNAL_H
#define AP_HTTP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include <microhttpd.h>

#include "base/queue.h"
#include "http/address.h"
#include "http/server.h"
#include "tls/identity.h"

#define AP_HTTP_PARAMS_MAX  64
#define AP_HTTP_HEADERS_MAX 64
#define AP_HTTP_ARENA_BYTES (64u << 20)
#define AP_HTTP_WORKERS_MAX 128
/* A client that sends too much is read on for this long, so that it can read why it was refused
 * instead of a reset connection. */
#define AP_HTTP_DISCARD_MAX (16u << 20)

/* One socket. */
struct ap_http_connection {
	struct ap_http_connection *prev, *next;
	int fd;
	struct ap_tls_identity *identity;  /* whose its TLS session is; NULL: plain */
	uint64_t receiving_since;	   /* CLOCK_MONOTONIC ns; 0 = a request is being answered */
	struct ap_http_request *answering; /* that one, where a worker has it; else NULL */
};

struct ap_http_server {
	struct ap_http_options opt; /* defaults filled in */
	struct ap_address address;
	uint16_t port;
	char url[300];
	struct MHD_Daemon *daemon;
	struct ap_queue *queue; /* requests that wait for a worker */
	pthread_t workers[AP_HTTP_WORKERS_MAX];
	unsigned int n_workers;
	pthread_t reaper;
	bool has_reaper;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct ap_http_connection *connections;
	struct ap_http_stats stats;
	size_t in_flight; /* requests that are being answered */
	bool stopping;	  /* no new requests */
	bool closing;	  /* end at once: streams fail */
};

enum ap_http_state { AP_HTTP_NEW, AP_HTTP_BODY, AP_HTTP_ANSWERING };

struct ap_http_request {
	struct ap_http_server *server;
	struct MHD_Connection *conn;
	int refs; /* atomic */
	enum ap_http_state state;
	struct ap_arena arena;
	struct ap_str uri; /* as sent */

	int method; /* enum ap_http_method, -1 = another one */
	bool head;
	bool local;    /* the client is on this machine */
	char peer[48]; /* its address */
	void *user;
	struct ap_str path;
	struct ap_http_param *params, *headers;
	size_t n_params, n_headers;
	const struct ap_http_route *route; /* NULL: a static file */
	struct ap_buf body;
	size_t body_max, discarded;
	uint64_t started_ns;
	atomic_bool gone; /* nobody waits for the answer any more */
	struct json_t *json;

	struct ap_http_param set[8]; /* headers of the answer */
	size_t n_set;
	unsigned int status;
	struct MHD_Response *response; /* the answer, once there is one */
	bool streaming;
	bool resumed; /* the connection has been given back to the I/O thread */
};

/* request.c */
struct ap_http_request *ap_http_request_new(struct ap_http_server *s, struct MHD_Connection *conn,
					    const char *uri);
void ap_http_request_unref(struct ap_http_request *req);
/* Fills in what the headers tell. False: an error has been answered. */
bool ap_http_request_parse(struct ap_http_request *req, const char *method);
/* Percent-decodes; `plus`: '+' is a blank. False: malformed, or a NUL byte. */
bool ap_http_decode(struct ap_arena *a, struct ap_str in, bool plus, struct ap_str *ret);

/* route.c */
/* Finds the route or answers 404 or 405. */
bool ap_http_route_find(struct ap_http_request *req);

/* reply.c */
/* Whether Accept-Encoding takes gzip. */
bool ap_http_accepts_gzip(const struct ap_http_request *req);
void ap_http_reply_file(struct ap_http_request *req, const struct ap_http_file *f);
/* Adds the headers that every answer carries. */
void ap_http_response_headers(struct ap_http_request *req, struct MHD_Response *resp,
			      const char *content_type);

/* server.c */
/* Gives the connection back to the I/O thread. */
void ap_http_resume(struct ap_http_request *req);
bool ap_http_closing(struct ap_http_server *s);

#endif

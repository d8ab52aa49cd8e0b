/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP/1.1 server of the aggregator and of the agent's metrics.
 *
 * One thread of libmicrohttpd moves bytes (epoll, non-blocking); handlers run on a small pool of
 * workers, so that a slow query never delays another client's answer. Waiting requests are bounded:
 * past that the answer is 503 at once. Routes marked `quick` run on the byte-moving thread itself
 * and must not block: health checks answer even when every worker is busy.
 *
 * What the server sees to, so that handlers need not:
 *  - HEAD is answered wherever GET is; another method gets 405 with Allow; an unknown path 404;
 *  - path and query are percent-decoded once, strictly: a malformed escape or a NUL byte is a 400;
 *  - bodies past their limit get 413, malformed JSON 400 with line and column;
 *  - every error is `{"error":{"code":…,"message":…,"field":…}}`;
 *  - every answer carries the security headers (strict CSP, nosniff, no-referrer, no framing), and
 *    `Cache-Control: no-store` unless it is a static file;
 *  - JSON and text of more than 1 KiB are gzip'd for clients that accept it and are not on this
 *    machine (a local client, or a proxy, gains nothing from it);
 *  - while listening on loopback, a request whose Host is not this machine's own name is refused
 *    (403), against DNS rebinding; a POST that a browser marks as cross-site is refused as well;
 *  - a client gets `request_timeout_s` to send a whole request and the same to take any bytes;
 *  - with `tls` all of it is over TLS 1.2 or 1.3, each connection with the certificate that is in force when it
 *    begins; a client without a certificate of the CA that is asked for gets no further than the handshake.
 *
 * Errors in the request line or headers that libmicrohttpd itself refuses (a header block above
 * 32 KiB: 431) carry its own text.
 */
#ifndef AP_HTTP_SERVER_H
#define AP_HTTP_SERVER_H

#include <stdatomic.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "http/static.h"

struct json_t;
struct ap_tls_source;
struct ap_http_server;
struct ap_http_request;
struct ap_http_stream;

enum ap_http_method {
	AP_HTTP_GET, /* HEAD as well */
	AP_HTTP_POST,
	AP_HTTP_PUT,
	AP_HTTP_DELETE,
	AP_HTTP_METHOD_MAX,
};

/* Answers a request through exactly one of the ap_http_reply*() functions or a stream; a handler
 * that returns without answering gives a 500. `ctx` is ap_http_options.ctx. */
typedef void ap_http_handler(struct ap_http_request *req, void *ctx);

struct ap_http_route {
	enum ap_http_method method;
	const char *path; /* "/api/alerts/:id/toggle": a ":name" matches one path segment */
	ap_http_handler *handler;
	bool quick;	 /* never blocks: run without a worker */
	size_t max_body; /* bytes; 0 = ap_http_options.max_body */
};

/* Decides whether a request may go on, before a byte of its body is read: true, or false and it has been answered.
 * Not asked of static files, nor of paths where there is nothing. Must not block. */
typedef bool ap_http_authorizer(struct ap_http_request *req, const struct ap_http_route *route,
				void *ctx);
/* Told of each request that was let through, once its handler has answered with `status`. Runs where the handler did. */
typedef void ap_http_observer(struct ap_http_request *req, const struct ap_http_route *route,
			      unsigned int status, void *ctx);

struct ap_http_options {
	const char *listen;	 /* "127.0.0.1:9090", "[::1]:0", ":9090"; see http/address.h */
	const char *listen_flag; /* what the user calls it, for messages: "--listen" */
	const struct ap_http_route *routes;
	size_t n_routes;
	void *ctx;
	/* Serves GET of every path that no route and no `reserved` prefix takes; NULL = none. Must
	 * outlive the server. */
	const struct ap_http_static *files;
	const char *reserved;		/* "/api/": below it an unknown path is a JSON 404 */
	const char *const *host_names;	/* further names allowed in Host; NULL-terminated or NULL */
	struct ap_tls_source *tls;	/* NULL: plain HTTP; must outlive the server */
	ap_http_authorizer *authorize;	/* NULL: every request may */
	ap_http_observer *observe;	/* NULL: nobody */
	unsigned int workers;		/* 0 = 4 */
	unsigned int max_connections;	/* 0 = 256 */
	unsigned int request_timeout_s; /* 0 = 30 */
	size_t max_body;		/* bytes; 0 = 1 MiB */
};

/* Listens and starts the threads. What `opt` points to (routes, ctx, files, host_names) must
 * outlive the server. 0, -EADDRINUSE, -EACCES, -EADDRNOTAVAIL, -EINVAL, -ENOMEM, …, with a message
 * that names the remedy. */
int ap_http_server_start(const struct ap_http_options *opt, struct ap_http_server **ret,
			 struct ap_error *err);
/* Stops accepting, lets running requests finish for at most `grace_ms`, then closes all. NULL is
 * fine. Frees `s`. */
void ap_http_server_stop(struct ap_http_server *s, unsigned int grace_ms);
uint16_t ap_http_server_port(const struct ap_http_server *s); /* the real one if 0 was asked */
/* "http://127.0.0.1:9090/" or https, for people; localhost's address where it listens on all. */
const char *ap_http_server_url(const struct ap_http_server *s);

/* ---- The request; what these return lives as long as it. ---- */

struct ap_http_param {
	struct ap_str name, value;
};

struct ap_str ap_http_path(const struct ap_http_request *req);
/* What a ":name" of the route matched; empty where the route has no such name. */
struct ap_str ap_http_path_param(const struct ap_http_request *req, const char *name);
/* All query parameters, decoded ('+' is a space), in the order given; at most 64. */
const struct ap_http_param *ap_http_query(const struct ap_http_request *req, size_t *ret_n);
/* The first of that name. False: not given. */
bool ap_http_query_get(const struct ap_http_request *req, const char *name, struct ap_str *ret);
/* A request header, case-insensitively; p = NULL where it is absent. */
struct ap_str ap_http_header(const struct ap_http_request *req, const char *name);
struct ap_str ap_http_body(const struct ap_http_request *req);
/* The body as JSON, owned by the request. On failure the 400 has been answered: the handler
 * returns. Duplicate keys are refused; nesting is limited by jansson (2048). 0 or -EINVAL. */
int ap_http_body_json(struct ap_http_request *req, struct json_t **ret);
/* Memory that lives until the answer has been sent; limited to 64 MiB. */
struct ap_arena *ap_http_arena(struct ap_http_request *req);
/* CLOCK_MONOTONIC nanoseconds when the request was complete: what deadlines count from. */
uint64_t ap_http_started_ns(const struct ap_http_request *req);
/* Becomes true within a tenth of a second or so once the client has closed its connection, or no more
 * than its sending half, or the server is to stop at once: work for the answer may end. Not for quick
 * routes. */
const atomic_bool *ap_http_gone(const struct ap_http_request *req);

/* The client's address, without its port: "10.0.0.7". */
const char *ap_http_peer(const struct ap_http_request *req);
/* The method as a word: "GET", "POST", … */
const char *ap_http_method_name(const struct ap_http_request *req);
bool ap_http_is_tls(const struct ap_http_request *req);
/* The value of a cookie (RFC 6265): the first of that name; p = NULL where there is none. */
struct ap_str ap_http_cookie(const struct ap_http_request *req, const char *name);
/* The same, of the text of a Cookie header. */
struct ap_str ap_http_cookie_find(struct ap_str header, const char *name);
/* What an authorizer leaves for the handler and the observer: in the request's arena, or longer-lived. */
void ap_http_set_user(struct ap_http_request *req, void *user);
void *ap_http_user(const struct ap_http_request *req); /* NULL: nothing was left */

struct ap_http_stats {
	uint32_t connections, max_connections; /* open; further ones wait in the kernel */
	uint64_t refused_busy;		       /* requests answered 503: too many waited already */
	uint64_t refused_large;		       /* requests answered 413 */
};
/* Of the server that the request came to. */
void ap_http_get_stats(const struct ap_http_request *req, struct ap_http_stats *ret);

/* ---- The answer. ---- */

/* Adds a header to the answer; before the reply. The strings are copied. */
void ap_http_header_set(struct ap_http_request *req, const char *name, const char *value);
/* Answers with `body`, which is taken over and left empty. A buffer in error gives a 500. */
void ap_http_reply(struct ap_http_request *req, unsigned int status, const char *content_type,
		   struct ap_buf *body);
void ap_http_reply_json(struct ap_http_request *req, unsigned int status, struct ap_buf *body);
/* Answers an error. `code` is a word for programs ("invalid_argument"); `field` names the parameter
 * or key at fault, NULL if it is none. */
void ap_http_reply_error(struct ap_http_request *req, unsigned int status, const char *code,
			 const char *field, const char *fmt, ...) AP_PRINTF(5, 6);

/* An answer of unknown length, sent while it is being made (chunked encoding), in memory bounded by
 * 256 KiB: writing waits for the client. Not for quick routes. NULL = out of memory (the 500 has
 * been answered). */
struct ap_http_stream *ap_http_stream_begin(struct ap_http_request *req, const char *content_type);
/* 0; -EPIPE: the client has gone, takes no bytes for `request_timeout_s` or, past that, less than 16 KiB a
 * second on average: stop. */
int ap_http_stream_write(struct ap_http_stream *s, const void *p, size_t n);
/* Ends the answer. With a non-zero `error` the connection is cut, so that the client cannot take
 * half an answer for the whole. Frees `s`. */
void ap_http_stream_end(struct ap_http_stream *s, int error);

#endif

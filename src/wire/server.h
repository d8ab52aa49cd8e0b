/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC server: a table of unary methods served by a few threads on one completion queue, with
 * grpc.health.v1.Health (Check and Watch) built in. Messages over the limit are refused with
 * RESOURCE_EXHAUSTED before they are read whole; calls beyond `max_calls` wait in the connection. */
#ifndef AP_WIRE_SERVER_H
#define AP_WIRE_SERVER_H

#include <stdatomic.h>

#include "base/buf.h"
#include "base/error.h"
#include "wire/rpc.h"

/* One unary method. Runs on a server thread, several at once: must be thread-safe and should not
 * wait for long. Appends the answer's bytes to `reply` and leaves `status` at OK, or sets `status`
 * (the answer is then not sent). `request` is valid during the call, and so is `gone`: it becomes true
 * when nobody waits for the answer any more (the client has cancelled or left, its deadline has passed,
 * the server stops), and the call may end. */
typedef void (*ap_rpc_handler)(void *ctx, struct ap_str request, const atomic_bool *gone,
			       struct ap_buf *reply, struct ap_rpc_status *status);

struct ap_rpc_method {
	const char *name; /* "/aperture.aggregator.v1.Aggregator/Push" */
	ap_rpc_handler call;
	void *ctx;
};

/* Who calls, as far as the connection and the call's metadata tell; valid during the authorizer's call. */
struct ap_rpc_caller {
	const char *method;	     /* its full name; NULL: no method of the table */
	struct ap_str authorization; /* the metadata of that name; p = NULL: none */
	char peer[64]; /* the client's address without its port; "" where it has none */
};
/* Decides whether a call may go on, before its message is read: leaves `status` at OK, or sets what the call
 * ends with. On a server thread; must not block. */
typedef void (*ap_rpc_authorizer)(void *ctx, const struct ap_rpc_caller *caller,
				  struct ap_rpc_status *status);

struct ap_tls_source; /* tls/identity.h */

struct ap_server_config {
	const char *listen; /* "127.0.0.1:50051", "[::1]:0", "unix:/path"; port 0: any free port */
	uint32_t threads;   /* 0 = 2 */
	uint32_t max_calls; /* calls held at once; 0 = 256 */
	size_t max_message; /* bytes of the largest request; 0 = 32 MiB */
	size_t max_memory;  /* bytes that connections may hold together; 0 = 256 MiB */
	const struct ap_rpc_method *methods; /* copied */
	size_t n_methods;
	/* Services reported by health checks besides "" (the whole server). */
	const char *const *services;
	size_t n_services;
	/* NULL: plain text. Must outlive the server. A connection keeps the certificate that it began with; whether
	 * clients are asked for certificates is decided at the start. */
	struct ap_tls_source *tls;
	ap_rpc_authorizer authorize; /* NULL: every call may; health checks always may */
	void *authorize_ctx;
	atomic_uint_fast64_t
		*too_large; /* counts messages refused for their size; NULL: nothing does */
};

struct ap_server;

/* Listens and starts to serve; health reports NOT_SERVING until ap_server_set_serving(). 0; -EINVAL
 * (address), -EADDRINUSE, -EACCES, -EADDRNOTAVAIL with `err` naming the address and the remedy;
 * -ENOMEM. */
int ap_server_start(const struct ap_server_config *config, struct ap_server **ret,
		    struct ap_error *err);
/* The port that is listened on (0 for a Unix socket). */
uint16_t ap_server_port(const struct ap_server *s);
/* What health checks answer from now on; watchers are told. Any thread. */
void ap_server_set_serving(struct ap_server *s, bool serving);
/* Stops to accept, lets calls under way finish for at most `grace_ns`, cancels the rest, joins the
 * threads and frees. */
void ap_server_stop(struct ap_server *s, uint64_t grace_ns);

#endif

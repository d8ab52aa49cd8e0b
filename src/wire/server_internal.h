/* SPDX-License-Identifier: Apache-2.0 */
/* The server's own structures, shared by server.c (unary calls) and health.c (the health service).
 */
#ifndef AP_WIRE_SERVER_INTERNAL_H
#define AP_WIRE_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "wire/grpc_glue.h"
#include "wire/server.h"

struct ap_server_call;

/* What a completion stands for: its address is gRPC's tag. */
struct ap_tag {
	void (*done)(struct ap_server_call *c, bool ok);
	struct ap_server_call *call;
};

/* A slot for one call: armed, then in the hands of a client, then armed again. */
struct ap_server_call {
	struct ap_server *server;
	grpc_call *call;
	grpc_call_details details;
	grpc_metadata_array metadata;
	grpc_byte_buffer *request, *reply;
	const struct ap_rpc_method *method;
	struct ap_rpc_status status;
	grpc_slice status_text;
	int cancelled;
	atomic_bool gone;  /* of a method's call: `cancelled`, for its handler */
	atomic_uint parts; /* completions that are to come before the slot is free again */
	struct ap_tag tag, close_tag;
	/* Of a health watch; guarded by the server's lock. */
	struct ap_server_call *next_watch;
	int watch_sent; /* the state sent last, -1 = none */
	bool watching, watch_known, watch_sending, watch_closed, watch_ending, watch_ended;
};

struct ap_server {
	grpc_server *server;
	grpc_completion_queue *cq;
	struct ap_rpc_method *methods;
	size_t n_methods;
	char **services;
	size_t n_services;
	pthread_t *threads;
	uint32_t n_threads;
	uint16_t port;
	struct ap_server_call *slots;
	uint32_t n_slots;
	ap_rpc_authorizer authorize;
	void *authorize_ctx;
	atomic_uint_fast64_t *too_large; /* NULL: not counted */
	struct ap_server_tls *tls;	 /* NULL: plain text */
	pthread_mutex_t lock;		 /* guards all below and the watches */
	pthread_cond_t changed;
	bool serving, stopping, stopped;
	struct ap_server_call *watches;
	uint32_t n_watches;
};

/* Ends a call with c->status and, where that is OK, c->reply. */
void ap_server_finish(struct ap_server_call *c);
/* Frees what the call holds; arms the slot again unless the server stops. */
void ap_server_recycle(struct ap_server_call *c);

/* server_tls.c */
/* Credentials for the port of a server: with a source TLS, else none. `*ret` is what the callback holds on to, to be
 * freed after the server. NULL: out of memory. */
grpc_server_credentials *ap_server_credentials(struct ap_tls_source *source,
					       struct ap_server_tls **ret);
void ap_server_tls_free(struct ap_server_tls *t); /* NULL is fine */
/* Who made the call. */
void ap_server_caller(const struct ap_server_call *c, struct ap_rpc_caller *ret);

/* health.c */
/* Handles the message of a call to grpc.health.v1.Health: false where its method is another. */
bool ap_health_call(struct ap_server_call *c, struct ap_str request);
/* Tells watchers that need it the present state, or ends them when the server stops. With the lock
 * held. */
void ap_health_notify(struct ap_server *s);

#endif

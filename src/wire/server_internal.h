/* SPDX-License-Identifier: Apache-2.0 */
/* The server's own structures, shared by server.c (unary calls) and health.c (the health service).
 */
#ifndef AP_WIRE_SERVER_INTERNAL_H
#define AP_WIRE_SERVER_INTERNAL_H

#include <pthread.h>

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
	pthread_mutex_t lock; /* guards all below and the watches */
	pthread_cond_t changed;
	bool serving, stopping, stopped;
	struct ap_server_call *watches;
	uint32_t n_watches;
};

/* Ends a call with c->status and, where that is OK, c->reply. */
void ap_server_finish(struct ap_server_call *c);
/* Frees what the call holds; arms the slot again unless the server stops. */
void ap_server_recycle(struct ap_server_call *c);

/* health.c */
/* Handles the message of a call to grpc.health.v1.Health: false where its method is another. */
bool ap_health_call(struct ap_server_call *c, struct ap_str request);
/* Tells watchers that need it the present state, or ends them when the server stops. With the lock
 * held. */
void ap_health_notify(struct ap_server *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health. Check is a unary call like any other. Watch stays open: at most one send is
 * under way per watcher, so a state that changes twice meanwhile is told once; the call's slot is
 * free again when both the final status is out and the client's end is seen. */
#include "health.pb-c.h"
#include "wire/server_internal.h"

enum { WATCHES_MAX_SHARE = 4 }; /* watches may take 1 of this many slots */

/* SERVICE_UNKNOWN for a service that this server does not have. */
static int state_of(const struct ap_server *s, bool known)
{
	if (!known)
		return GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVICE_UNKNOWN;
	return s->serving ? GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING
			  : GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__NOT_SERVING;
}

static grpc_byte_buffer *state_message(int state)
{
	Grpc__Health__V1__HealthCheckResponse m = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	uint8_t bytes[16];

	m.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)state;
	return ap_grpc_message((struct ap_str){
		(char *)bytes, grpc__health__v1__health_check_response__pack(&m, bytes)});
}

static bool service_known(const struct ap_server *s, const char *name)
{
	if (!name[0])
		return true;
	for (size_t i = 0; i < s->n_services; i++)
		if (!strcmp(s->services[i], name))
			return true;
	return false;
}

static void check(struct ap_server_call *c, bool known)
{
	struct ap_server *s = c->server;

	if (known) {
		pthread_mutex_lock(&s->lock);
		c->reply = state_message(state_of(s, true));
		pthread_mutex_unlock(&s->lock);
	} else {
		ap_rpc_status_set(&c->status, AP_RPC_NOT_FOUND, "no such service");
	}
	ap_server_finish(c);
}

static void watch_remove(struct ap_server_call *c)
{
	struct ap_server *s = c->server;

	for (struct ap_server_call **at = &s->watches; *at; at = &(*at)->next_watch) {
		if (*at == c) {
			*at = c->next_watch;
			s->n_watches--;
			break;
		}
	}
	c->watching = false;
}

static void watch_step(struct ap_server_call *c);

/* The slot is free when nothing of the call is under way any more. Called with the lock held;
 * releases it. */
static void watch_unlock(struct ap_server_call *c)
{
	bool over = c->watch_closed && c->watch_ended;

	if (over)
		watch_remove(c);
	else
		watch_step(c);
	pthread_mutex_unlock(&c->server->lock);
	if (over)
		ap_server_recycle(c);
}

static void watch_sent(struct ap_server_call *c, bool ok)
{
	pthread_mutex_lock(&c->server->lock);
	c->watch_sending = false;
	grpc_byte_buffer_destroy(AP_TAKE_PTR(c->reply));
	if (c->watch_ending)
		c->watch_ended = true;
	watch_unlock(c);
}

static void watch_closed(struct ap_server_call *c, bool ok)
{
	pthread_mutex_lock(&c->server->lock);
	c->watch_closed = true;
	watch_unlock(c);
}

/* Sends what is due, if no send is under way. With the lock held. */
static void watch_step(struct ap_server_call *c)
{
	int state = state_of(c->server, c->watch_known);
	grpc_op ops[2] = {0};
	size_t n = 0;

	if (c->watch_sending || c->watch_ending)
		return;
	if (c->watch_closed || c->server->stopping) {
		c->watch_ending = true;
		if (c->watch_sent < 0)
			ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
		ops[n].op = GRPC_OP_SEND_STATUS_FROM_SERVER;
		ops[n++].data.send_status_from_server.status = GRPC_STATUS_UNAVAILABLE;
	} else if (state != c->watch_sent) {
		if (c->watch_sent < 0)
			ops[n++].op = GRPC_OP_SEND_INITIAL_METADATA;
		c->reply = state_message(state);
		c->watch_sent = state;
		ops[n].op = GRPC_OP_SEND_MESSAGE;
		ops[n++].data.send_message.send_message = c->reply;
	} else {
		return;
	}
	c->watch_sending = true;
	c->tag.done = watch_sent;
	grpc_call_start_batch(c->call, ops, n, &c->tag, NULL);
}

static void watch(struct ap_server_call *c, bool known)
{
	struct ap_server *s = c->server;
	grpc_op closed = {.op = GRPC_OP_RECV_CLOSE_ON_SERVER};

	pthread_mutex_lock(&s->lock);
	if (s->stopping || s->n_watches >= s->n_slots / WATCHES_MAX_SHARE) {
		pthread_mutex_unlock(&s->lock);
		ap_rpc_status_set(&c->status, AP_RPC_RESOURCE_EXHAUSTED, "too many watches");
		ap_server_finish(c);
		return;
	}
	s->n_watches++;
	c->next_watch = s->watches;
	s->watches = c;
	c->watching = true;
	c->watch_known = known;
	c->watch_sent = -1;
	c->watch_sending = c->watch_closed = c->watch_ending = c->watch_ended = false;
	c->close_tag = (struct ap_tag){watch_closed, c};
	closed.data.recv_close_on_server.cancelled = &c->cancelled;
	grpc_call_start_batch(c->call, &closed, 1, &c->close_tag, NULL);
	watch_step(c);
	pthread_mutex_unlock(&s->lock);
}

void ap_health_notify(struct ap_server *s)
{
	for (struct ap_server_call *c = s->watches; c; c = c->next_watch)
		watch_step(c);
}

bool ap_health_call(struct ap_server_call *c, struct ap_str request)
{
	struct ap_str method = ap_grpc_slice_view(&c->details.method);
	bool is_watch = ap_str_is(method, "/grpc.health.v1.Health/Watch");
	Grpc__Health__V1__HealthCheckRequest *m;
	bool known;

	if (!is_watch && !ap_str_is(method, "/grpc.health.v1.Health/Check"))
		return false;
	m = grpc__health__v1__health_check_request__unpack(NULL, request.n,
							   (const uint8_t *)request.p);
	if (!m) {
		ap_rpc_status_set(&c->status, AP_RPC_INVALID_ARGUMENT,
				  "not a valid HealthCheckRequest");
		ap_server_finish(c);
		return true;
	}
	known = service_known(c->server, m->service);
	grpc__health__v1__health_check_request__free_unpacked(m, NULL);
	if (is_watch)
		watch(c, known);
	else
		check(c, known);
	return true;
}

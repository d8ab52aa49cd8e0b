/* SPDX-License-Identifier: Apache-2.0 */
/* Each call has a completion queue of its own to wait on, so that calls of several threads do not
 * meet. */
#include "wire/client.h"

#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <pthread.h>

#include "wire/grpc_glue.h"

enum {
	DEFAULT_MAX_REPLY = 64 << 20,
	DEFAULT_KEEPALIVE_MS = 30000,
	KEEPALIVE_TIMEOUT_MS = 10000,
	RECONNECT_MIN_MS = 200,
	RECONNECT_MAX_MS = 2000,
	CONNECT_TIMEOUT_MS = 5000,
	/* Longer than the longest pause between two attempts, which varies by a fifth. */
	RECONNECT_WAIT_MS = RECONNECT_MAX_MS + RECONNECT_MAX_MS / 4,
	CANCEL_CHECK_MS = 100,
};

struct running {
	grpc_call *call;
	struct running *next;
};

struct ap_client {
	grpc_channel *channel;
	pthread_mutex_t lock; /* guards the two below */
	pthread_cond_t idle;
	struct running *running;
	bool cancelled;
};

static grpc_channel *open_channel(const struct ap_client_config *config)
{
	grpc_channel_credentials *plain = grpc_insecure_credentials_create();
	grpc_arg args[] = {
		ap_grpc_int_arg(GRPC_ARG_MAX_RECEIVE_MESSAGE_LENGTH,
				config->max_reply ? (int)AP_MIN(config->max_reply, INT32_MAX)
						  : DEFAULT_MAX_REPLY),
		ap_grpc_int_arg(GRPC_ARG_MAX_SEND_MESSAGE_LENGTH, -1),
		ap_grpc_int_arg(GRPC_ARG_KEEPALIVE_TIME_MS,
				config->keepalive_ns ? (int)(config->keepalive_ns / 1000000)
						     : DEFAULT_KEEPALIVE_MS),
		ap_grpc_int_arg(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, KEEPALIVE_TIMEOUT_MS),
		ap_grpc_int_arg(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1),
		ap_grpc_int_arg(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0),
		ap_grpc_int_arg(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, RECONNECT_MIN_MS),
		ap_grpc_int_arg(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, CONNECT_TIMEOUT_MS),
		ap_grpc_int_arg(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, RECONNECT_MAX_MS),
		/* Callers repeat what is worth repeating, and count it. */
		ap_grpc_int_arg(GRPC_ARG_ENABLE_RETRIES, 0),
		/* The address given is the one to connect to, whatever proxy the environment
		 * names for the web. */
		ap_grpc_int_arg(GRPC_ARG_ENABLE_HTTP_PROXY, 0),
		ap_grpc_int_arg(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1),
	};
	grpc_channel_args list = {.num_args = AP_ARRAY_SIZE(args), .args = args};
	grpc_channel *channel = grpc_channel_create(config->target, plain, &list);

	grpc_channel_credentials_release(plain);
	return channel;
}

int ap_client_new(const struct ap_client_config *config, struct ap_client **ret,
		  struct ap_error *err)
{
	struct ap_client *c;

	if (!config->target || !config->target[0])
		return ap_error_set(err, -EINVAL,
				    "no server address given: use host:port, for example "
				    "127.0.0.1:50051");
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	ap_grpc_init();
	c->channel = open_channel(config);
	if (!c->channel) {
		free(c);
		return -ENOMEM;
	}
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->idle, NULL);
	*ret = c;
	return 0;
}

void ap_client_cancel(struct ap_client *c)
{
	pthread_mutex_lock(&c->lock);
	c->cancelled = true;
	for (struct running *r = c->running; r; r = r->next)
		grpc_call_cancel(r->call, NULL);
	pthread_mutex_unlock(&c->lock);
}

void ap_client_free(struct ap_client *c)
{
	if (!c)
		return;
	ap_client_cancel(c);
	pthread_mutex_lock(&c->lock);
	while (c->running)
		pthread_cond_wait(&c->idle, &c->lock);
	pthread_mutex_unlock(&c->lock);
	grpc_channel_destroy(c->channel);
	pthread_cond_destroy(&c->idle);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static int call_begin(struct ap_client *c, struct running *r)
{
	int err = 0;

	pthread_mutex_lock(&c->lock);
	if (c->cancelled) {
		err = -ECANCELED;
	} else {
		r->next = c->running;
		c->running = r;
	}
	pthread_mutex_unlock(&c->lock);
	return err;
}

static bool is_cancelled(struct ap_client *c)
{
	bool cancelled;

	pthread_mutex_lock(&c->lock);
	cancelled = c->cancelled;
	pthread_mutex_unlock(&c->lock);
	return cancelled;
}

/* Whether the client was cancelled meanwhile. */
static bool call_end(struct ap_client *c, struct running *r)
{
	bool cancelled;

	pthread_mutex_lock(&c->lock);
	for (struct running **at = &c->running; *at; at = &(*at)->next) {
		if (*at == r) {
			*at = r->next;
			break;
		}
	}
	cancelled = c->cancelled;
	if (!c->running)
		pthread_cond_broadcast(&c->idle);
	pthread_mutex_unlock(&c->lock);
	return cancelled;
}

static gpr_timespec after_ms(int64_t ms)
{
	return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_millis(ms, GPR_TIMESPAN));
}

/* A channel makes progress only while somebody waits for it: left alone after a failure, it would
 * not even notice that a connection was refused or made until that attempt's deadline, and each
 * call would fail at once with the old error. So such a call first sees an attempt through. */
static void reconnect(struct ap_client *c, const struct running *run, grpc_completion_queue *cq,
		      gpr_timespec deadline)
{
	gpr_timespec until = gpr_time_min(after_ms(RECONNECT_WAIT_MS), deadline);

	while (!is_cancelled(c) &&
	       grpc_channel_check_connectivity_state(c->channel, 1) ==
		       GRPC_CHANNEL_TRANSIENT_FAILURE &&
	       gpr_time_cmp(gpr_now(GPR_CLOCK_MONOTONIC), until) < 0) {
		grpc_channel_watch_connectivity_state(c->channel, GRPC_CHANNEL_TRANSIENT_FAILURE,
						      after_ms(CANCEL_CHECK_MS), cq, (void *)run);
		grpc_completion_queue_pluck(cq, (void *)run, gpr_inf_future(GPR_CLOCK_MONOTONIC),
					    NULL);
	}
}

/* One exchange on a fresh call. */
struct exchange {
	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *request, *reply;
	grpc_status_code code;
	grpc_slice details;
};

static void exchange_run(struct exchange *x, grpc_call *call, grpc_completion_queue *cq)
{
	grpc_op ops[6] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA},
		{.op = GRPC_OP_SEND_MESSAGE, .data.send_message.send_message = x->request},
		{.op = GRPC_OP_SEND_CLOSE_FROM_CLIENT},
		{.op = GRPC_OP_RECV_INITIAL_METADATA,
		 .data.recv_initial_metadata.recv_initial_metadata = &x->initial},
		{.op = GRPC_OP_RECV_MESSAGE, .data.recv_message.recv_message = &x->reply},
		{.op = GRPC_OP_RECV_STATUS_ON_CLIENT,
		 .data.recv_status_on_client = {.trailing_metadata = &x->trailing,
						.status = &x->code,
						.status_details = &x->details}},
	};

	if (grpc_call_start_batch(call, ops, AP_ARRAY_SIZE(ops), x, NULL) != GRPC_CALL_OK) {
		x->code = GRPC_STATUS_INTERNAL;
		return;
	}
	/* The call's own deadline ends the wait. */
	grpc_completion_queue_pluck(cq, x, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
}

static int exchange_result(struct exchange *x, struct ap_buf *reply, struct ap_rpc_status *status)
{
	struct ap_str text = ap_grpc_slice_view(&x->details);

	ap_rpc_status_set(status, (enum ap_rpc_code)x->code, "%.*s",
			  (int)AP_MIN(text.n, sizeof(status->text) - 1), text.p ? text.p : "");
	if (x->code != GRPC_STATUS_OK)
		return 0;
	if (!x->reply) {
		ap_rpc_status_set(status, AP_RPC_INTERNAL, "the answer has no message");
		return 0;
	}
	switch (ap_grpc_message_read(x->reply, reply)) {
	case 0:
		return 0;
	case -ENOMEM:
		return -ENOMEM;
	default:
		ap_rpc_status_set(status, AP_RPC_INTERNAL, "the answer cannot be decompressed");
		return 0;
	}
}

static void exchange_clear(struct exchange *x)
{
	grpc_byte_buffer_destroy(x->request);
	grpc_byte_buffer_destroy(x->reply);
	grpc_metadata_array_destroy(&x->initial);
	grpc_metadata_array_destroy(&x->trailing);
	grpc_slice_unref(x->details);
}

int ap_client_call(struct ap_client *c, const char *method, struct ap_str request,
		   uint64_t timeout_ns, struct ap_buf *reply, struct ap_rpc_status *status)
{
	grpc_completion_queue *cq = grpc_completion_queue_create_for_pluck(NULL);
	gpr_timespec deadline = gpr_time_add(
		gpr_now(GPR_CLOCK_MONOTONIC),
		gpr_time_from_nanos((int64_t)AP_MIN(timeout_ns, INT64_MAX), GPR_TIMESPAN));
	grpc_slice name = grpc_slice_from_copied_string(method);
	struct exchange x = {.details = grpc_empty_slice()};
	struct running run;
	int r;

	grpc_metadata_array_init(&x.initial);
	grpc_metadata_array_init(&x.trailing);
	run.call = grpc_channel_create_call(c->channel, NULL, GRPC_PROPAGATE_DEFAULTS, cq, name,
					    NULL, deadline, NULL);
	grpc_slice_unref(name);
	r = call_begin(c, &run);
	if (r == 0) {
		reconnect(c, &run, cq, deadline);
		x.request = ap_grpc_message(request);
		exchange_run(&x, run.call, cq);
		if (call_end(c, &run) && x.code == GRPC_STATUS_CANCELLED)
			r = -ECANCELED;
		else
			r = exchange_result(&x, reply, status);
	}
	exchange_clear(&x);
	grpc_call_unref(run.call);
	grpc_completion_queue_shutdown(cq);
	grpc_completion_queue_destroy(cq);
	return r;
}

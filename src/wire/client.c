/* SPDX-License-Identifier: Apache-2.0 */
/* Each call has a completion queue of its own to wait on, so that calls of several threads do not
 * meet. */
#include "wire/client.h"

#include <fcntl.h>
#include <grpc/grpc_security.h>
#include <grpc/support/alloc.h>
#include <pthread.h>
#include <stdio.h>

#include "base/io.h"
#include "tls/authority.h"
#include "tls/secret.h"
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
	PEM_MAX = 1 << 20,
};

struct running {
	grpc_call *call;
	struct running *next;
};

struct ap_client {
	grpc_channel *channel;
	char *token_file;     /* NULL: none */
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t idle;
	struct running *running;
	bool cancelled;
	char *authorization; /* "Bearer …"; NULL: none */
};

static grpc_channel *open_channel(const struct ap_client_config *config,
				  grpc_channel_credentials *how)
{
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

	return grpc_channel_create(config->target, how, &list);
}

static int read_pem(const char *path, struct ap_buf *ret, struct ap_error *err)
{
	int r = path ? ap_read_file(AT_FDCWD, path, PEM_MAX, ret) : 0;

	ap_buf_byte(ret, '\0');
	if (r == 0)
		r = ap_buf_error(ret);
	return r < 0 ? ap_error_set(err, r, "cannot read %s: %s", path, ap_strerror(r)) : 0;
}

static int make_credentials(const struct ap_client_config *config, grpc_channel_credentials **ret,
			    struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf ca = {0}, cert = {0}, key = {0};
	char fingerprint[AP_FINGERPRINT_LEN + 1];
	grpc_ssl_pem_key_cert_pair pair;
	int r;

	if (!config->tls && !config->ca_file && !config->cert_file && !config->key_file) {
		*ret = grpc_insecure_credentials_create();
		return 0;
	}
	if (!config->cert_file != !config->key_file)
		return ap_error_set(
			err, -EINVAL,
			"a certificate needs its key and a key its certificate: give both");
	r = read_pem(config->ca_file, &ca, err);
	if (r == 0)
		r = read_pem(config->cert_file, &cert, err);
	if (r == 0)
		r = read_pem(config->key_file, &key, err);
	if (r == 0 && config->ca_file && ap_tls_fingerprint(ap_buf_view(&ca), fingerprint) < 0)
		r = ap_error_set(err, -EINVAL, "%s holds no certificate in PEM form",
				 config->ca_file);
	if (r < 0)
		return r;
	pair = (grpc_ssl_pem_key_cert_pair){.private_key = (const char *)key.p,
					    .cert_chain = (const char *)cert.p};
	*ret = grpc_ssl_credentials_create_ex(config->ca_file ? (const char *)ca.p : NULL,
					      config->cert_file ? &pair : NULL, NULL, NULL);
	explicit_bzero(key.p, key.n);
	return *ret ? 0
		    : ap_error_set(err, -EINVAL, "the certificates are not in PEM form: check %s",
				   config->ca_file ? config->ca_file : config->cert_file);
}

/* Replaces the token that calls show. */
static int set_token(struct ap_client *c, const char *token)
{
	char *text = NULL, *old;

	if (asprintf(&text, "Bearer %s", token) < 0)
		return -ENOMEM;
	pthread_mutex_lock(&c->lock);
	old = c->authorization;
	c->authorization = text;
	pthread_mutex_unlock(&c->lock);
	ap_secret_free(old);
	return 0;
}

static int read_token(struct ap_client *c, struct ap_error *err)
{
	_cleanup_secret_ char *token = NULL;
	int r = ap_secret_read(c->token_file, "--token-file", &token, err);

	return r < 0 ? r : set_token(c, token);
}

/* The token, where there is one. */
static int take_token(struct ap_client *c, const struct ap_client_config *config,
		      struct ap_error *err)
{
	if (!config->token_file)
		return config->token ? set_token(c, config->token) : 0;
	c->token_file = strdup(config->token_file);
	return c->token_file ? read_token(c, err) : -ENOMEM;
}

static void release(struct ap_client *c)
{
	if (c->channel)
		grpc_channel_destroy(c->channel);
	ap_secret_free(c->authorization);
	free(c->token_file);
	pthread_cond_destroy(&c->idle);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

int ap_client_new(const struct ap_client_config *config, struct ap_client **ret,
		  struct ap_error *err)
{
	grpc_channel_credentials *how = NULL;
	struct ap_client *c;
	int r;

	if (!config->target || !config->target[0])
		return ap_error_set(err, -EINVAL,
				    "no server address given: use host:port, for example "
				    "127.0.0.1:50051");
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->idle, NULL);
	ap_grpc_init();
	r = make_credentials(config, &how, err);
	if (r == 0)
		r = take_token(c, config, err);
	if (r == 0) {
		c->channel = open_channel(config, how);
		r = c->channel ? 0 : -ENOMEM;
	}
	grpc_channel_credentials_release(how);
	if (r < 0) {
		release(c);
		return r;
	}
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
	release(c);
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
	grpc_metadata authorization;
	bool has_authorization;
	grpc_metadata_array initial, trailing;
	grpc_byte_buffer *request, *reply;
	grpc_status_code code;
	grpc_slice details;
};

/* Adds what calls show of who makes them. */
static void exchange_authorize(struct exchange *x, struct ap_client *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->authorization) {
		x->authorization.key = grpc_slice_from_static_string("authorization");
		x->authorization.value = grpc_slice_from_copied_string(c->authorization);
		x->has_authorization = true;
	}
	pthread_mutex_unlock(&c->lock);
}

static void exchange_run(struct exchange *x, grpc_call *call, grpc_completion_queue *cq)
{
	grpc_op ops[6] = {
		{.op = GRPC_OP_SEND_INITIAL_METADATA,
		 .data.send_initial_metadata = {.count = x->has_authorization,
						.metadata = &x->authorization}},
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
	if (x->has_authorization)
		grpc_slice_unref(x->authorization.value);
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
		exchange_authorize(&x, c);
		exchange_run(&x, run.call, cq);
		if (call_end(c, &run) && x.code == GRPC_STATUS_CANCELLED)
			r = -ECANCELED;
		else
			r = exchange_result(&x, reply, status);
	}
	/* A token that was replaced is in its file by now, or will be at the next try. */
	if (r == 0 && x.code == GRPC_STATUS_UNAUTHENTICATED && c->token_file)
		read_token(c, NULL);
	exchange_clear(&x);
	grpc_call_unref(run.call);
	grpc_completion_queue_shutdown(cq);
	grpc_completion_queue_destroy(cq);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A gRPC client over one channel: unary calls with a deadline. The channel connects on the first
 * call, keeps itself alive with pings and reconnects while calls are made (0.2 to 2 s between
 * attempts). A call on a channel whose last attempt failed waits for the outcome of another one, up
 * to 2.5 s: it fails only if the server cannot be reached now. */
#ifndef AP_WIRE_CLIENT_H
#define AP_WIRE_CLIENT_H

#include "base/buf.h"
#include "base/error.h"
#include "wire/rpc.h"

struct ap_client;

struct ap_client_config {
	const char *target;    /* "host:port", "[::1]:port", "unix:/path", "dns:///name:port" */
	size_t max_reply;      /* bytes of the largest answer accepted; 0 = 64 MiB */
	uint64_t keepalive_ns; /* between pings of an idle connection; 0 = 30 s */
	/* TLS where one of these is given, else plain text. PEM files, read here. */
	bool tls;	     /* with the system's certificates */
	const char *ca_file; /* certificates that vouch for the server, in place of the system's */
	const char *cert_file, *key_file; /* this client's own; both or none */
	/* Holds the token that each call shows, in its first line; read again after a call that was refused
	 * for it. NULL: `token`, which may be NULL. */
	const char *token_file;
	const char *token;
};

/* Does not connect yet. 0, -ENOMEM; -EINVAL with `err`: no target, or a file is not what it should be; or why a
 * file cannot be read. */
int ap_client_new(const struct ap_client_config *config, struct ap_client **ret,
		  struct ap_error *err);
/* Cancels calls under way and waits for them. */
void ap_client_free(struct ap_client *c);
AP_DEFINE_CLEANUP(client, struct ap_client, ap_client_free)

/* Calls `method` ("/package.Service/Method") with the bytes of one message and waits for the
 * answer, at most until `timeout_ns` from now. 0 when the call was made: see `status` (code OK: the
 * answer was appended to `reply`). -ENOMEM; -ECANCELED after ap_client_cancel(). Any thread; calls
 * from several threads share the connection. */
int ap_client_call(struct ap_client *c, const char *method, struct ap_str request,
		   uint64_t timeout_ns, struct ap_buf *reply, struct ap_rpc_status *status);

/* Ends calls under way, and each later one, with -ECANCELED. Any thread. */
void ap_client_cancel(struct ap_client *c);

#endif

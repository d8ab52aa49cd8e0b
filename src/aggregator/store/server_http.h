/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to a ClickHouse server's HTTP interface, over libcurl: one request at a time, within
 * a deadline, and given up as soon as it is cancelled. Credentials travel in headers, never in
 * addresses. */
#ifndef AP_AGGREGATOR_STORE_SERVER_HTTP_H
#define AP_AGGREGATOR_STORE_SERVER_HTTP_H

#include <stdatomic.h>

#include "aggregator/store/server_address.h"
#include "aggregator/store/server_answer.h"

struct ap_server_request {
	struct ap_str params; /* "database=aperture&…", percent-encoded */
	struct ap_str body;
	/* On a connection of its own. libcurl sends a request again, by itself, where the connection
	 * that it wanted to use once more turns out to be dead: an insert must not be. */
	bool alone;
	uint64_t deadline;	   /* CLOCK_MONOTONIC, ns */
	const atomic_bool *cancel; /* may be NULL */
	/* Takes the body's bytes where the status is 200; negative ends the request. NULL: the body
	 * is to be empty, and what comes all the same is the answer's text. */
	int (*take)(void *ctx, struct ap_str bytes);
	void *ctx;
};

struct ap_server_channel;

/* The address is borrowed. NULL = out of memory. */
struct ap_server_channel *ap_server_channel_new(const struct ap_server_address *a);
void ap_server_channel_free(struct ap_server_channel *c);

/* Sends the request and waits for the whole answer, of whatever status: 0; -ENOTCONN (the server is
 * not reached, or the connection broke), -EACCES (TLS does not come about), -ETIMEDOUT, -ECANCELED,
 * -ENOMEM, or what `take` returned. After an error of an insert its outcome is not known. */
int ap_server_channel_ask(struct ap_server_channel *c, const struct ap_server_request *q,
			  struct ap_server_answer *ret, struct ap_error *err);

/* Appends "name=value&", the value percent-encoded. */
void ap_server_param(struct ap_buf *params, const char *name, struct ap_str value);
void ap_server_param_u64(struct ap_buf *params, const char *name, uint64_t value);

#endif

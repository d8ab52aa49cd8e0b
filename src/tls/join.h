/* SPDX-License-Identifier: Apache-2.0 */
/* A join string: all that another host needs to push to an aggregator, in one word to paste:
 *
 *	aperture://TOKEN@HOST:PORT?ca=SHA256
 *
 * TOKEN is a push token, HOST:PORT where agents push ("[::1]:50051" for IPv6), SHA256 the fingerprint of the CA that
 * signed the aggregator's certificate, in hex. It is a secret, since the token is one. */
#ifndef AP_TLS_JOIN_H
#define AP_TLS_JOIN_H

#include "base/buf.h"
#include "base/error.h"
#include "tls/authority.h"
#include "tls/secret.h"

#define AP_JOIN_SCHEME "aperture://"

struct ap_join {
	char token[AP_SECRET_TEXT];
	char server[300]; /* "host:port" */
	char fingerprint[AP_FINGERPRINT_LEN + 1];
};

/* -EINVAL with `err`: it is none, or was cut short; white space around it does not matter. */
int ap_join_parse(struct ap_str text, struct ap_join *ret, struct ap_error *err);
void ap_join_format(const struct ap_join *join, struct ap_buf *out);

/* The command that makes another host join, to be pasted there. The join string is on no program's command line,
 * where every user of the host could read it. */
void ap_join_command(const struct ap_join *join, struct ap_buf *out);

/* Connects to `server` ("host:port") and takes the CA's certificate with that fingerprint from what it shows of
 * itself, once the server's own is found to be signed by it and to be for that host. Appends it in PEM form.
 * Nothing of what comes before the check is believed. -ECONNREFUSED, -ETIMEDOUT (10 s): not reached; -EACCES: it is
 * not the server that the join string was made by. */
int ap_join_fetch_ca(const struct ap_join *join, struct ap_buf *ret, struct ap_error *err);

#endif

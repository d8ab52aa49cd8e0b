/* SPDX-License-Identifier: Apache-2.0 */
/* Who a server is: its certificate and key, and whose certificates it asks its clients for. Loaded from
 * PEM files, checked as a whole, and then constant; what is in force can be replaced while connections go on with
 * what they began with. */
#ifndef AP_TLS_IDENTITY_H
#define AP_TLS_IDENTITY_H

#include "base/error.h"

/* Protocols and ciphers of every TLS connection: 1.2 and 1.3, what GnuTLS considers safe. */
#define AP_TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct ap_tls_files {
	const char *cert; /* the certificate, then those between it and its CA's */
	const char *key;  /* of the certificate; not encrypted */
	const char *
		client_ca; /* certificates that clients' must be signed by; NULL: clients need none */
};

/* Immutable and counted: any thread. */
struct ap_tls_identity;

/* -EINVAL: a file is not what it should be, the key is another certificate's, or the certificate has expired;
 * or why a file cannot be read; `err` names the file. */
int ap_tls_identity_load(const struct ap_tls_files *files, struct ap_tls_identity **ret,
			 struct ap_error *err);
struct ap_tls_identity *ap_tls_identity_ref(struct ap_tls_identity *id);
void ap_tls_identity_unref(struct ap_tls_identity *id); /* NULL is fine */
AP_DEFINE_CLEANUP(tls_identity, struct ap_tls_identity, ap_tls_identity_unref)

/* PEM text; valid as long as the identity. */
const char *ap_tls_identity_cert(const struct ap_tls_identity *id);
const char *ap_tls_identity_key(const struct ap_tls_identity *id);
const char *ap_tls_identity_client_ca(const struct ap_tls_identity *id); /* NULL: none */
/* When the certificate expires, Unix seconds. */
int64_t ap_tls_identity_expires(const struct ap_tls_identity *id);
/* Makes a GnuTLS session (gnutls_session_t), whose handshake has not begun, this server's. The session must
 * end before the identity. */
void ap_tls_identity_use(struct ap_tls_identity *id, void *session);

/* The identity in force, and where it came from. Any thread. */
struct ap_tls_source;

/* Loads; what `files` points to must outlive the source. */
int ap_tls_source_new(const struct ap_tls_files *files, struct ap_tls_source **ret,
		      struct ap_error *err);
void ap_tls_source_free(struct ap_tls_source *s); /* NULL is fine */
/* The files are read again and serve new connections from then on. On failure what was in force stays. */
int ap_tls_source_reload(struct ap_tls_source *s, struct ap_error *err);
/* The fingerprint (AP_FINGERPRINT_LEN hex digits and a NUL) of the CA's certificate, which stands behind the
 * server's own. -ENOENT: it does not. */
int ap_tls_source_ca(struct ap_tls_source *s, char ret_fingerprint[static 65]);
/* A reference of the caller's own. */
struct ap_tls_identity *ap_tls_source_get(struct ap_tls_source *s);

#endif

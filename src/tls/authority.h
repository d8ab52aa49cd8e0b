/* SPDX-License-Identifier: Apache-2.0 */
/* A certificate authority of one's own: makes itself, and certificates for servers and clients. Keys are
 * ECDSA on P-256, certificates X.509 v3 (RFC 5280). */
#ifndef AP_TLS_AUTHORITY_H
#define AP_TLS_AUTHORITY_H

#include "base/buf.h"
#include "base/error.h"

#define AP_FINGERPRINT_LEN 64 /* SHA-256 in lower-case hex */

/* PEM text of a certificate and its key. */
struct ap_tls_pair {
	struct ap_buf cert, key;
};
void ap_tls_pair_free(struct ap_tls_pair *p); /* overwrites the key */
#define _cleanup_tls_pair_ _cleanup_(ap_tls_pair_free)

/* A CA called `name`, valid for ten years, that may sign servers' and clients' certificates only. */
int ap_tls_make_ca(const char *name, struct ap_tls_pair *ret, struct ap_error *err);

enum ap_tls_purpose { AP_TLS_SERVER, AP_TLS_CLIENT };

/* A certificate signed by `ca`, valid for 825 days; `ret->cert` has the CA's after its own. `name` is its common
 * name, `hosts` (NULL-terminated, or NULL) the host names and IP addresses that it is for. -EINVAL: `ca` is no
 * CA's pair. */
int ap_tls_issue(const struct ap_tls_pair *ca, enum ap_tls_purpose purpose, const char *name,
		 const char *const *hosts, struct ap_tls_pair *ret, struct ap_error *err);

/* Of the first certificate in PEM text. -EINVAL: there is none. */
int ap_tls_fingerprint(struct ap_str pem, char ret[static AP_FINGERPRINT_LEN + 1]);

#endif

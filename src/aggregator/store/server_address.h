/* SPDX-License-Identifier: Apache-2.0 */
/* Where a ClickHouse server is, and who asks: the options, checked and copied. */
#ifndef AP_AGGREGATOR_STORE_SERVER_ADDRESS_H
#define AP_AGGREGATOR_STORE_SERVER_ADDRESS_H

#include "aggregator/store/store.h"

struct ap_server_address {
	char *url;			      /* "http://host:8123", without a slash at its end */
	char *ca_file, *cert_file, *key_file; /* of TLS; NULL: the system's CAs, no certificate */
	char *user, *password;		      /* NULL: the server's default user */
};

/* Fills `a`, which is zero; free it whatever came of it. -EINVAL (not an address, a password that is
 * not one line), -ENOENT, -EACCES (a file cannot be read), -ENOMEM. */
int ap_server_address_take(struct ap_server_address *a, const struct ap_store_options *o,
			   struct ap_error *err);
void ap_server_address_free(struct ap_server_address *a);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What aperture-aggregator does beside running: setting itself up, and its tokens. */
#ifndef AP_AGGREGATOR_COMMANDS_H
#define AP_AGGREGATOR_COMMANDS_H

#include "aggregator/guard/role.h"
#include "base/config.h"

struct ap_command_settings {
	const char *data_dir;
	const char *listen, *grpc_listen; /* NULL: on all interfaces, at the usual ports */
	char *config_dir;		  /* "/etc/aperture" */
	struct ap_strings hosts; /* names and addresses for the certificate beside those found */
	uint32_t role;		 /* of ap_command_roles */
	uint64_t expires_ns;	 /* 0: never */
};

extern const char *const ap_command_roles[]; /* NULL-terminated */

/* Makes a CA, the server's certificate, tokens and the configuration, and prints what to do next. What is there
 * is kept, but for the server's certificate, which is made anew. Exit status. */
int ap_command_setup(const struct ap_command_settings *set);
/* "create NAME", "list", "revoke NAME". Exit status. */
int ap_command_token(const struct ap_command_settings *set, char *const *operands, size_t n);

#endif

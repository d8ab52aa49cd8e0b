/* SPDX-License-Identifier: Apache-2.0 */
/* In place of wire/server.c, for targets without connections; ap_server_start() is each target's own. */
#ifndef AP_FUZZ_NO_SERVER_H
#define AP_FUZZ_NO_SERVER_H

#include "wire/server.h"

uint16_t ap_server_port(const struct ap_server *s)
{
	return 0;
}

void ap_server_set_serving(struct ap_server *s, bool serving)
{
}

void ap_server_stop(struct ap_server *s, uint64_t grace_ns)
{
}

#endif

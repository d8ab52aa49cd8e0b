/* SPDX-License-Identifier: Apache-2.0 */
/* What gRPC client and server share: the outcome of a call. */
#ifndef AP_WIRE_RPC_H
#define AP_WIRE_RPC_H

#include "base/macro.h"

/* gRPC status codes (grpc.io, "Status codes and their use in gRPC"). */
enum ap_rpc_code {
	AP_RPC_OK = 0,
	AP_RPC_CANCELLED = 1,
	AP_RPC_UNKNOWN = 2,
	AP_RPC_INVALID_ARGUMENT = 3,
	AP_RPC_DEADLINE_EXCEEDED = 4,
	AP_RPC_NOT_FOUND = 5,
	AP_RPC_PERMISSION_DENIED = 7,
	AP_RPC_RESOURCE_EXHAUSTED = 8,
	AP_RPC_UNIMPLEMENTED = 12,
	AP_RPC_INTERNAL = 13,
	AP_RPC_UNAVAILABLE = 14,
	AP_RPC_UNAUTHENTICATED = 16,
};

struct ap_rpc_status {
	enum ap_rpc_code code;
	char text[256]; /* one line for a person */
};

/* Sets both; returns nothing, so that handlers write it before `return`. */
void ap_rpc_status_set(struct ap_rpc_status *s, enum ap_rpc_code code, const char *fmt, ...)
	AP_PRINTF(3, 4);
const char *ap_rpc_code_name(enum ap_rpc_code code); /* "UNAVAILABLE", … */

#endif

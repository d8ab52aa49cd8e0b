/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/rpc.h"

#include <stdarg.h>
#include <stdio.h>

void ap_rpc_status_set(struct ap_rpc_status *s, enum ap_rpc_code code, const char *fmt, ...)
{
	va_list ap;

	s->code = code;
	va_start(ap, fmt);
	vsnprintf(s->text, sizeof(s->text), fmt, ap);
	va_end(ap);
}

const char *ap_rpc_code_name(enum ap_rpc_code code)
{
	static const char *const names[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return (size_t)code < AP_ARRAY_SIZE(names) ? names[code] : "UNKNOWN";
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What client and server need of gRPC core beside calls: start-up, and bytes in and out. */
#ifndef AP_WIRE_GRPC_GLUE_H
#define AP_WIRE_GRPC_GLUE_H

#include <grpc/byte_buffer.h>
#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "base/buf.h"

/* Starts gRPC, once in a process, with its own log switched off: what matters comes back as errors.
 * It stays until the process ends, since the last grpc_shutdown() may wait 10 s for a poller of its
 * own when a large message was cut off (measured, gRPC 1.51). */
void ap_grpc_init(void);

/* A message of a copy of the bytes. gRPC consumes a byte buffer when it is sent, so one is made for
 * each send and destroyed after it. */
grpc_byte_buffer *ap_grpc_message(struct ap_str s);
/* Appends a message's bytes: 0, -EBADMSG (not decompressible), -ENOMEM. */
int ap_grpc_message_read(grpc_byte_buffer *m, struct ap_buf *out);

static inline struct ap_str ap_grpc_slice_view(const grpc_slice *s)
{
	return (struct ap_str){(const char *)GRPC_SLICE_START_PTR(*s), GRPC_SLICE_LENGTH(*s)};
}

static inline grpc_arg ap_grpc_int_arg(const char *key, int value)
{
	return (grpc_arg){.type = GRPC_ARG_INTEGER, .key = (char *)key, .value.integer = value};
}

#endif

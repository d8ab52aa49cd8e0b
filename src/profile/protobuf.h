/* SPDX-License-Identifier: Apache-2.0 */
/* The protobuf wire format (protobuf.dev/programming-guides/encoding), as much of it as pprof's
 * messages need: varints, length-delimited fields and packed varints. */
#ifndef AP_PROFILE_PROTOBUF_H
#define AP_PROFILE_PROTOBUF_H

#include "base/buf.h"

enum ap_pb_wire { AP_PB_VARINT = 0, AP_PB_FIXED64 = 1, AP_PB_BYTES = 2, AP_PB_FIXED32 = 5 };

struct ap_pb_field {
	uint32_t number;
	enum ap_pb_wire wire;
	uint64_t value;	     /* of a number */
	struct ap_str bytes; /* of AP_PB_BYTES */
};

/* Takes the next field off the front of `*in`: 1, 0 at the end, or -EINVAL where the bytes are not
 * a message (groups, which proto3 does not have, and keys or lengths of over five bytes included). */
int ap_pb_next(struct ap_str *in, struct ap_pb_field *ret);
/* Takes a varint off the front of `*in`: 0 or -EINVAL. */
int ap_pb_varint(struct ap_str *in, uint64_t *ret);

/* Appends a field; numbers that are 0 are not written, as proto3 has it. */
void ap_pb_put(struct ap_buf *out, uint32_t number, uint64_t value);
void ap_pb_put_bytes(struct ap_buf *out, uint32_t number, struct ap_str bytes);
void ap_pb_put_packed(struct ap_buf *out, uint32_t number, const uint64_t *values, size_t n);

#endif

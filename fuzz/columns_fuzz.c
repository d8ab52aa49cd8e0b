/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of packed columns: what is not left to protobuf-c is what protobuf-c makes of it. */
#include "wire/batch_internal.h"

static void compare(const ProtobufCMessageDescriptor *type, struct ap_str bytes)
{
	ProtobufCMessage *expected, *m = NULL;
	struct ap_arena arena = {.limit = 1 << 24};
	int r = ap_decode_columns(&arena, type, bytes, &m);

	if (r > 0) {
		_cleanup_free_ uint8_t *a = NULL, *b = NULL;
		size_t n = protobuf_c_message_get_packed_size(m);

		expected = protobuf_c_message_unpack(type, NULL, bytes.n, (const uint8_t *)bytes.p);
		if (!expected || protobuf_c_message_get_packed_size(expected) != n)
			abort();
		a = malloc(n + 1);
		b = malloc(n + 1);
		protobuf_c_message_pack(m, a);
		protobuf_c_message_pack(expected, b);
		if (memcmp(a, b, n) != 0)
			abort();
		protobuf_c_message_free_unpacked(expected, NULL);
	}
	ap_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_str bytes = {(const char *)data, size};

	compare(&aperture__aggregator__v1__samples__descriptor, bytes);
	compare(&aperture__aggregator__v1__stacks__descriptor, bytes);
	compare(&aperture__aggregator__v1__frames__descriptor, bytes);
	return 0;
}

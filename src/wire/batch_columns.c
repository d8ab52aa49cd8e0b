/* SPDX-License-Identifier: Apache-2.0 */
/* Most of a batch are packed columns of numbers, in a few messages that have nothing else. Those are read here, in a
 * quarter of the time that protobuf-c takes, and the rest is left to it. So is a batch that is not as our agents write
 * it (a message or a column in several pieces, numbers that are not packed) or is damaged: there is one judge of what is
 * valid. */
#include "profile/protobuf.h"
#include "wire/batch_internal.h"

enum { VARINT_MAX = 10 };
#define CONTINUES 0x8080808080808080ull /* of eight bytes, those whose number goes on */

/* Reads so many numbers, the last of which ends with the bytes; false where one is too long. Small ones, of a byte each,
 * are most of what there is, and are read by eight. */
#define DEFINE_READ(name, type, expression)                            \
	static bool name(const uint8_t *p, size_t n, type *out)        \
	{                                                              \
		type *end = out + n;                                   \
		uint64_t eight, v;                                     \
                                                                       \
		while (out < end) {                                    \
			if (end - out >= 8) {                          \
				memcpy(&eight, p, sizeof(eight));      \
				if (!(eight & CONTINUES)) {            \
					for (int i = 0; i < 8; i++) {  \
						v = *p++;              \
						*out++ = (expression); \
					}                              \
					continue;                      \
				}                                      \
			}                                              \
			v = *p & 0x7f;                                 \
			for (unsigned int k = 1; *p++ & 0x80; k++) {   \
				if (AP_UNLIKELY(k == VARINT_MAX))      \
					return false;                  \
				v |= (uint64_t)(*p & 0x7f) << 7 * k;   \
			}                                              \
			*out++ = (expression);                         \
		}                                                      \
		return true;                                           \
	}

DEFINE_READ(read_u32, uint32_t, (uint32_t)v)
DEFINE_READ(read_u64, uint64_t, v)
DEFINE_READ(read_s64, int64_t, (int64_t)(v >> 1 ^ -(v & 1)))

/* How many numbers there are. */
static size_t count(struct ap_str bytes)
{
	size_t n = 0;

	for (size_t i = 0; i < bytes.n; i++)
		n += !((uint8_t)bytes.p[i] & 0x80);
	return n;
}

/* A column of the message: 1, 0 (not as expected) or -ENOMEM. */
static int read_column(struct ap_arena *arena, const ProtobufCFieldDescriptor *f,
		       struct ap_str bytes, char *message)
{
	size_t *length = (size_t *)(message + f->quantifier_offset);
	void **values = (void **)(message + f->offset);
	const uint8_t *p = (const uint8_t *)bytes.p;
	size_t n = count(bytes);
	bool wide = f->type != PROTOBUF_C_TYPE_UINT32;

	if (*length || (bytes.n && p[bytes.n - 1] & 0x80))
		return 0;
	if (n == 0)
		return 1;
	*values = ap_arena_alloc(arena, n * (wide ? sizeof(uint64_t) : sizeof(uint32_t)));
	if (!*values)
		return -ENOMEM;
	*length = n;
	switch (f->type) {
	case PROTOBUF_C_TYPE_UINT32:
		return read_u32(p, n, *values);
	case PROTOBUF_C_TYPE_UINT64:
		return read_u64(p, n, *values);
	case PROTOBUF_C_TYPE_SINT64:
		return read_s64(p, n, *values);
	default:
		return 0;
	}
}

int ap_decode_columns(struct ap_arena *arena, const ProtobufCMessageDescriptor *type,
		      struct ap_str bytes, ProtobufCMessage **ret)
{
	ProtobufCMessage *m = ap_arena_alloc(arena, type->sizeof_message);
	struct ap_pb_field field;
	int r;

	if (!m)
		return -ENOMEM;
	protobuf_c_message_init(type, m);
	while ((r = ap_pb_next(&bytes, &field)) > 0) {
		const ProtobufCFieldDescriptor *f =
			protobuf_c_message_descriptor_get_field(type, field.number);

		if (!f || field.wire != AP_PB_BYTES)
			return 0;
		r = read_column(arena, f, field.bytes, (char *)m);
		if (r <= 0)
			return r;
	}
	*ret = m;
	return r == 0;
}

/* Where the columns' messages of a batch are. */
struct columns {
	const ProtobufCMessageDescriptor *type;
	uint32_t number;
	bool seen;
	ProtobufCMessage *message;
};

/* The columns of a batch, and what there is beside them in `rest`: 1, 0 (not as expected) or -ENOMEM. */
static int take_columns(struct ap_arena *arena, struct ap_str raw, struct columns *columns,
			size_t n, struct ap_str *rest)
{
	char *out = ap_arena_alloc(arena, raw.n);
	struct ap_pb_field field;
	struct ap_str in = raw;
	int r;

	if (!out)
		return -ENOMEM;
	*rest = (struct ap_str){out, 0};
	for (const char *from = in.p; (r = ap_pb_next(&in, &field)) > 0; from = in.p) {
		size_t i = 0;

		while (i < n && columns[i].number != field.number)
			i++;
		if (i == n) {
			memcpy(out + rest->n, from, (size_t)(in.p - from));
			rest->n += (size_t)(in.p - from);
			continue;
		}
		if (columns[i].seen || field.wire != AP_PB_BYTES)
			return 0;
		columns[i].seen = true;
		r = ap_decode_columns(arena, columns[i].type, field.bytes, &columns[i].message);
		if (r <= 0)
			return r;
	}
	return r == 0;
}

int ap_decode_batch(struct ap_decoder *d, struct ap_str raw)
{
	struct columns columns[] = {
		{.type = &aperture__aggregator__v1__frames__descriptor, .number = 13},
		{.type = &aperture__aggregator__v1__stacks__descriptor, .number = 14},
		{.type = &aperture__aggregator__v1__samples__descriptor, .number = 16},
	};
	const ProtobufCMessageDescriptor *type = &aperture__aggregator__v1__batch__descriptor;
	Aperture__Aggregator__V1__Batch *b;
	struct ap_str rest;
	int r = take_columns(&d->arena, raw, columns, AP_ARRAY_SIZE(columns), &rest);

	b = ap_decode_unpack(d, type, "batch", r > 0 ? rest : raw);
	if (b && r > 0) {
		b->frames = (Aperture__Aggregator__V1__Frames *)columns[0].message;
		b->stacks = (Aperture__Aggregator__V1__Stacks *)columns[1].message;
		b->samples = (Aperture__Aggregator__V1__Samples *)columns[2].message;
	}
	d->batch = b;
	if (b)
		return 0;
	return d->result->code == AP_PUSH_CODE_TOO_LARGE ? -EFBIG : -EBADMSG;
}

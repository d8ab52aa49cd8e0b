/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/protobuf.h"

/* Keys and lengths are of 32 bits; one that is written longer than those need is damage to protobuf's own readers. */
enum { KEY_MAX = 5, VALUE_MAX = 10 };

static int varint(struct ap_str *in, size_t max, uint64_t *ret)
{
	uint64_t v = 0;

	for (size_t i = 0; i < in->n && i < max; i++) {
		uint8_t c = (uint8_t)in->p[i];

		v |= (uint64_t)(c & 0x7f) << (7 * i);
		if (c & 0x80)
			continue;
		in->p += i + 1;
		in->n -= i + 1;
		*ret = v;
		return 0;
	}
	return -EINVAL;
}

int ap_pb_varint(struct ap_str *in, uint64_t *ret)
{
	return varint(in, VALUE_MAX, ret);
}

static int take(struct ap_str *in, uint64_t n, struct ap_str *ret)
{
	if (n > in->n)
		return -EINVAL;
	*ret = (struct ap_str){in->p, (size_t)n};
	in->p += n;
	in->n -= (size_t)n;
	return 0;
}

int ap_pb_next(struct ap_str *in, struct ap_pb_field *ret)
{
	struct ap_pb_field f = {0};
	uint64_t key, len;
	int r = 0;

	if (in->n == 0)
		return 0;
	if (varint(in, KEY_MAX, &key) < 0 || key >> 3 == 0 || key >> 3 > (1u << 29) - 1)
		return -EINVAL;
	f.number = (uint32_t)(key >> 3);
	f.wire = (enum ap_pb_wire)(key & 7);
	switch (f.wire) {
	case AP_PB_VARINT:
		r = ap_pb_varint(in, &f.value);
		break;
	case AP_PB_BYTES:
		r = varint(in, KEY_MAX, &len);
		if (r == 0)
			r = take(in, len, &f.bytes);
		break;
	case AP_PB_FIXED64:
		r = take(in, 8, &f.bytes);
		break;
	case AP_PB_FIXED32:
		r = take(in, 4, &f.bytes);
		break;
	default:
		r = -EINVAL;
	}
	if (r < 0)
		return r;
	*ret = f;
	return 1;
}

static void put_key(struct ap_buf *out, uint32_t number, enum ap_pb_wire wire)
{
	ap_buf_varint(out, (uint64_t)number << 3 | wire);
}

void ap_pb_put(struct ap_buf *out, uint32_t number, uint64_t value)
{
	if (value == 0)
		return;
	put_key(out, number, AP_PB_VARINT);
	ap_buf_varint(out, value);
}

void ap_pb_put_bytes(struct ap_buf *out, uint32_t number, struct ap_str bytes)
{
	put_key(out, number, AP_PB_BYTES);
	ap_buf_varint(out, bytes.n);
	ap_buf_str(out, bytes);
}

void ap_pb_put_packed(struct ap_buf *out, uint32_t number, const uint64_t *values, size_t n)
{
	size_t bytes = 0;

	if (n == 0)
		return;
	for (size_t i = 0; i < n; i++)
		bytes += (size_t)(70 - __builtin_clzll(values[i] | 1)) / 7;
	put_key(out, number, AP_PB_BYTES);
	ap_buf_varint(out, bytes);
	for (size_t i = 0; i < n; i++)
		ap_buf_varint(out, values[i]);
}

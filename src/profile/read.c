/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/read.h"

#include <zlib.h>

enum { CHUNK = 64 * 1024 };

static bool is_gzip(struct ap_str s)
{
	return s.n >= 2 && (uint8_t)s.p[0] == 0x1f && (uint8_t)s.p[1] == 0x8b;
}

/* Inflates until the input ends; a file may consist of several gzip members (RFC 1952). */
static int inflate_all(z_stream *z, size_t max_bytes, struct ap_buf *ret)
{
	for (;;) {
		uint8_t *room = ap_buf_reserve(ret, CHUNK);
		int r;

		if (!room)
			return -ENOMEM;
		z->next_out = room;
		z->avail_out = CHUNK;
		r = inflate(z, Z_NO_FLUSH);
		ret->n += CHUNK - z->avail_out;
		if (ret->n > max_bytes)
			return -EFBIG;
		if (r == Z_STREAM_END && !is_gzip((struct ap_str){(char *)z->next_in, z->avail_in}))
			return 0;
		if (r == Z_STREAM_END)
			r = inflateReset(z);
		if (r == Z_MEM_ERROR)
			return -ENOMEM;
		if (r != Z_OK)
			return -EINVAL;
	}
}

int ap_read_gunzip(struct ap_str bytes, size_t max_bytes, struct ap_buf *ret, struct ap_error *err)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)bytes.p, .avail_in = (uInt)bytes.n};
	int r;

	max_bytes = max_bytes ? max_bytes : AP_READ_BYTES_DEFAULT;
	if (bytes.n > max_bytes || bytes.n > UINT32_MAX)
		return ap_error_set(err, -EFBIG, "the profile is larger than %zu bytes", max_bytes);
	if (!is_gzip(bytes))
		return 0;
	if (inflateInit2(&z, MAX_WBITS + 16) != Z_OK)
		return ap_error_set(err, -ENOMEM, "out of memory while reading the profile");
	r = inflate_all(&z, max_bytes, ret);
	inflateEnd(&z);
	if (r == -EFBIG)
		return ap_error_set(err, r, "the profile is larger than %zu bytes decompressed",
				    max_bytes);
	if (r < 0)
		return ap_error_set(err, r, "the file's gzip data is damaged or cut short");
	return 0;
}

int ap_profile_read(struct ap_str bytes, size_t max_bytes, struct ap_profile **ret,
		    struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf raw = {0};
	struct ap_str head, whole = bytes;
	int r = ap_read_gunzip(bytes, max_bytes, &raw, err);

	if (r < 0)
		return r;
	if (is_gzip(whole))
		bytes = ap_buf_view(&raw);
	head = ap_str_trim((struct ap_str){bytes.p, AP_MIN(bytes.n, (size_t)4096)});
	if (bytes.n == 0)
		return ap_error_set(err, -EINVAL, "the file is empty");
	if (head.n && head.p[0] == '{')
		return ap_json_read(bytes, max_bytes, ret, err);
	r = ap_pprof_read(bytes, max_bytes, ret, err);
	if (r == -EINVAL && err)
		ap_error_prefix(err, "neither Aperture's JSON nor pprof");
	return r;
}

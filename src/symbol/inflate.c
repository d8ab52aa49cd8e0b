/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/inflate.h"

#include <zlib.h>
#include <zstd.h>

#define CHUNK	   (64u << 10)
#define WINDOW_LOG 27 /* zstd's default limit of a decoder: 128 MiB */

struct input {
	int fd;
	uint64_t off, left;
	uint8_t *in, *out; /* CHUNK bytes each */
};

/* The next piece; 0 at the end. */
static ssize_t next(struct input *i)
{
	ssize_t k;

	if (i->left == 0)
		return 0;
	do
		k = pread(i->fd, i->in, AP_MIN(i->left, CHUNK), (off_t)i->off);
	while (k < 0 && errno == EINTR);
	if (k <= 0)
		return k < 0 ? -errno : -EBADMSG;
	i->off += (uint64_t)k;
	i->left -= (uint64_t)k;
	return k;
}

static int check_zlib(struct input *i, uint64_t expect)
{
	z_stream z = {0};
	uint64_t total = 0;
	int rc = Z_OK, err = 0;

	if (inflateInit(&z) != Z_OK)
		return -ENOMEM;
	while (rc == Z_OK && total <= expect) {
		if (z.avail_in == 0) {
			ssize_t k = next(i);

			if (k <= 0) {
				err = k < 0 ? (int)k : -EBADMSG;
				break;
			}
			z.next_in = i->in;
			z.avail_in = (uInt)k;
		}
		z.next_out = i->out;
		z.avail_out = CHUNK;
		rc = inflate(&z, Z_NO_FLUSH);
		total += CHUNK - z.avail_out;
	}
	inflateEnd(&z);
	if (err < 0)
		return err;
	return rc == Z_STREAM_END && total == expect ? 0 : -EBADMSG;
}

static int check_zstd(struct input *i, uint64_t expect)
{
	ZSTD_DCtx *d = ZSTD_createDCtx();
	uint64_t total = 0;
	size_t rc = 1;
	ssize_t k = 0;

	if (!d)
		return -ENOMEM;
	ZSTD_DCtx_setParameter(d, ZSTD_d_windowLogMax, WINDOW_LOG);
	while (total <= expect && (k = next(i)) > 0) {
		ZSTD_inBuffer in = {i->in, (size_t)k, 0};

		do {
			ZSTD_outBuffer out = {i->out, CHUNK, 0};

			rc = ZSTD_decompressStream(d, &out, &in);
			total += out.pos;
			if (ZSTD_isError(rc) || (out.pos < CHUNK && in.pos == in.size))
				break;
		} while (total <= expect);
		if (ZSTD_isError(rc))
			break;
	}
	ZSTD_freeDCtx(d);
	if (k < 0)
		return (int)k;
	return rc == 0 && total == expect ? 0 : -EBADMSG;
}

int ap_inflate_check(int fd, uint64_t off, uint64_t n, bool zstd, uint64_t expect)
{
	_cleanup_free_ uint8_t *buf = malloc((size_t)2 * CHUNK);
	struct input i = {fd, off, n, buf, buf + CHUNK};

	if (!buf)
		return -ENOMEM;
	return zstd ? check_zstd(&i, expect) : check_zlib(&i, expect);
}

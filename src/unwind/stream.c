/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/stream.h"

#include <zlib.h>
#include <zstd.h>

enum {
	CHUNK = 64 << 10,
	WINDOW_LOG = 23 /* zstd: what it may make us keep, 8 MiB */
};

struct ap_stream {
	int fd;
	uint64_t offset, left; /* in the file */
	enum ap_stream_packing packing;
	bool at_end; /* of the packed stream */
	z_stream z;
	ZSTD_DCtx *zstd;
	uint8_t *chunk; /* packed bytes: [at, n) not yet used */
	size_t at, n;
};

int ap_stream_open(int fd, uint64_t offset, uint64_t n, enum ap_stream_packing packing,
		   struct ap_stream **ret)
{
	_cleanup_(ap_cleanup_stream) struct ap_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fd = fd;
	s->offset = offset;
	s->left = n;
	if (packing != AP_STREAM_PLAIN) {
		s->chunk = malloc(CHUNK);
		if (!s->chunk)
			return -ENOMEM;
	}
	if (packing == AP_STREAM_ZLIB && inflateInit(&s->z) != Z_OK)
		return -ENOMEM;
	if (packing == AP_STREAM_ZSTD) {
		s->zstd = ZSTD_createDCtx();
		if (!s->zstd)
			return -ENOMEM;
		ZSTD_DCtx_setParameter(s->zstd, ZSTD_d_windowLogMax, WINDOW_LOG);
	}
	s->packing = packing;
	*ret = AP_TAKE_PTR(s);
	return 0;
}

void ap_stream_free(struct ap_stream *s)
{
	if (!s)
		return;
	if (s->packing == AP_STREAM_ZLIB)
		inflateEnd(&s->z);
	ZSTD_freeDCtx(s->zstd);
	free(s->chunk);
	free(s);
}

/* Bytes of the file; 0 at the end of the section or of the file. */
static ssize_t read_file(struct ap_stream *s, uint8_t *p, size_t n)
{
	ssize_t k;

	if (s->left == 0)
		return 0;
	do
		k = pread(s->fd, p, AP_MIN(n, s->left), (off_t)s->offset);
	while (k < 0 && errno == EINTR);
	if (k < 0)
		return -errno;
	s->offset += (uint64_t)k;
	s->left -= (uint64_t)k;
	return k;
}

static int refill(struct ap_stream *s)
{
	ssize_t k;

	if (s->at < s->n)
		return 0;
	k = read_file(s, s->chunk, CHUNK);
	if (k <= 0)
		return k < 0 ? (int)k : -EBADMSG;
	s->at = 0;
	s->n = (size_t)k;
	return 0;
}

static ssize_t inflate_some(struct ap_stream *s, uint8_t *p, size_t n)
{
	int rc;

	s->z.next_in = s->chunk + s->at;
	s->z.avail_in = (uInt)(s->n - s->at);
	s->z.next_out = p;
	s->z.avail_out = (uInt)AP_MIN(n, (size_t)CHUNK);
	n = s->z.avail_out;
	rc = inflate(&s->z, Z_NO_FLUSH);
	s->at = s->n - s->z.avail_in;
	if (rc != Z_OK && rc != Z_STREAM_END)
		return rc == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
	s->at_end = rc == Z_STREAM_END;
	return (ssize_t)(n - s->z.avail_out);
}

static ssize_t zstd_some(struct ap_stream *s, uint8_t *p, size_t n)
{
	ZSTD_inBuffer in = {s->chunk, s->n, s->at};
	ZSTD_outBuffer out = {p, n, 0};
	size_t rc = ZSTD_decompressStream(s->zstd, &out, &in);

	s->at = in.pos;
	if (ZSTD_isError(rc))
		return -EBADMSG;
	s->at_end = rc == 0;
	return (ssize_t)out.pos;
}

/* Up to `n` bytes; 0 at the end. */
static ssize_t read_some(struct ap_stream *s, uint8_t *p, size_t n)
{
	ssize_t k = 0;

	if (s->packing == AP_STREAM_PLAIN)
		return read_file(s, p, n);
	while (k == 0 && !s->at_end) {
		int err = refill(s);

		if (err < 0)
			return err;
		k = s->packing == AP_STREAM_ZLIB ? inflate_some(s, p, n) : zstd_some(s, p, n);
	}
	return k;
}

int ap_stream_read(struct ap_stream *s, uint8_t *p, size_t n, size_t *ret_n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t k = read_some(s, p + done, n - done);

		if (k < 0 && done == 0)
			return (int)k;
		if (k <= 0)
			break;
		done += (size_t)k;
	}
	*ret_n = done;
	return 0;
}

int ap_stream_skip(struct ap_stream *s, uint64_t n)
{
	uint8_t waste[4096];
	size_t k = 1;
	int err = 0;

	if (s->packing == AP_STREAM_PLAIN) {
		n = AP_MIN(n, s->left);
		s->offset += n;
		s->left -= n;
		return 0;
	}
	while (err == 0 && n > 0 && k > 0) {
		err = ap_stream_read(s, waste, AP_MIN(n, sizeof(waste)), &k);
		n -= k;
	}
	return err;
}

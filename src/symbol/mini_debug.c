/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/mini_debug.h"

#include <lzma.h>
#include <sys/mman.h>

#include "base/io.h"

#define CHUNK	   (64u << 10)
#define MEMORY_MAX (20u << 20) /* xz's own presets need 9 MiB, up to -7 17 MiB */

struct unpack {
	int from, to;
	uint64_t off, left, room;
	uint8_t in[CHUNK], out[CHUNK];
};

static int flush(struct unpack *u, lzma_stream *z)
{
	size_t n = CHUNK - z->avail_out;

	if (n > u->room)
		return -EFBIG;
	u->room -= n;
	z->next_out = u->out;
	z->avail_out = CHUNK;
	return ap_write_all(u->to, u->out, n);
}

static int refill(struct unpack *u, lzma_stream *z)
{
	ssize_t n;

	do
		n = pread(u->from, u->in, AP_MIN(u->left, CHUNK), (off_t)u->off);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -EBADMSG;
	u->off += (uint64_t)n;
	u->left -= (uint64_t)n;
	z->next_in = u->in;
	z->avail_in = (size_t)n;
	return 0;
}

static int unpack(struct unpack *u, lzma_stream *z)
{
	lzma_ret rc = LZMA_OK;
	int err = 0;

	z->next_out = u->out;
	z->avail_out = CHUNK;
	while (rc == LZMA_OK && err == 0) {
		if (z->avail_in == 0 && u->left > 0)
			err = refill(u, z);
		if (err == 0)
			rc = lzma_code(z, u->left ? LZMA_RUN : LZMA_FINISH);
		if (err == 0 && (z->avail_out == 0 || rc == LZMA_STREAM_END))
			err = flush(u, z);
	}
	if (err < 0 || rc == LZMA_STREAM_END)
		return err;
	if (rc == LZMA_MEM_ERROR)
		return -ENOMEM;
	return rc == LZMA_MEMLIMIT_ERROR ? -EFBIG : -EBADMSG;
}

int ap_mini_debug_open(int fd, const struct ap_elf_section *s, uint64_t max)
{
	_cleanup_free_ struct unpack *u = malloc(sizeof(*u));
	_cleanup_fd_ int to = memfd_create("minidebug", MFD_CLOEXEC);
	lzma_stream z = LZMA_STREAM_INIT;
	int err;

	if (to < 0)
		return -errno;
	if (!u || lzma_stream_decoder(&z, MEMORY_MAX, 0) != LZMA_OK)
		return -ENOMEM;
	u->from = fd;
	u->to = to;
	u->off = s->offset;
	u->left = s->size;
	u->room = max;
	err = unpack(u, &z);
	lzma_end(&z);
	return err < 0 ? err : AP_TAKE_FD(to);
}

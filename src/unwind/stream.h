/* SPDX-License-Identifier: Apache-2.0 */
/* A section's bytes in order, unpacked on the way where it is compressed: only a window of it is in
 * memory. Read with pread, so that a file that shrinks meanwhile is an error and not a signal. */
#ifndef AP_UNWIND_STREAM_H
#define AP_UNWIND_STREAM_H

#include "base/macro.h"

enum ap_stream_packing {
	AP_STREAM_PLAIN,
	AP_STREAM_ZLIB,
	AP_STREAM_ZSTD,
};

struct ap_stream;

/* The `n` bytes at `offset` of the file. 0 or -ENOMEM. */
int ap_stream_open(int fd, uint64_t offset, uint64_t n, enum ap_stream_packing packing,
		   struct ap_stream **ret);
void ap_stream_free(struct ap_stream *s);
AP_DEFINE_CLEANUP(stream, struct ap_stream, ap_stream_free)

/* The next `n` bytes, fewer only at the end of the stream and before damage. 0, -EBADMSG (damaged from
 * here on), or the error of reading. */
int ap_stream_read(struct ap_stream *s, uint8_t *p, size_t n, size_t *ret_n);
/* Passes over `n` bytes, or up to the end. */
int ap_stream_skip(struct ap_stream *s, uint64_t n);

#endif

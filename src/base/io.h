/* SPDX-License-Identifier: Apache-2.0 */
/* Whole-file and whole-buffer input and output, with bounds. */
#ifndef AP_BASE_IO_H
#define AP_BASE_IO_H

#include "base/buf.h"

/* Reads `path` relative to `dirfd` (AT_FDCWD: the working directory) to its end, at most `max`
 * bytes: -EFBIG past that. Appends to `ret`. Files of /proc and /sys work. */
int ap_read_file(int dirfd, const char *path, size_t max, struct ap_buf *ret);
int ap_read_fd(int fd, size_t max, struct ap_buf *ret);
/* Reads all `n` bytes at an offset, through short reads and EINTR; -ENODATA: the file ends before. */
int ap_read_at(int fd, uint64_t offset, void *p, size_t n);
/* Writes all of it, through short writes and EINTR. */
int ap_write_all(int fd, const void *p, size_t n);
/* Replaces `path` by a temporary file beside it that is renamed over it: readers see the old bytes
 * or the new ones. `durable`: fsync the file and its folder first. */
int ap_write_file_atomic(const char *path, const void *p, size_t n, unsigned int mode,
			 bool durable);
/* mkdir -p. */
int ap_mkdir_all(const char *path, unsigned int mode);

#endif

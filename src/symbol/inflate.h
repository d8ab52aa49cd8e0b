/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a compressed section unpacks to the size that it declares, found without keeping it. */
#ifndef AP_SYMBOL_INFLATE_H
#define AP_SYMBOL_INFLATE_H

#include "base/macro.h"

/* Unpacks the `n` bytes at `off` of the file, zstd or else zlib, and stops past `expect` bytes.
 * 0: exactly `expect`; -EBADMSG: not so, or damaged; -ENOMEM; -errno of reading. */
int ap_inflate_check(int fd, uint64_t off, uint64_t n, bool zstd, uint64_t expect);

#endif

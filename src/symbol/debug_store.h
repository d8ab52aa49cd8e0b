/* SPDX-License-Identifier: Apache-2.0 */
/* The folder of fetched debug files: DIR/.build-id/ab/cdef….debug, under a byte cap, and what was
 * found nowhere: DIR/absent/abcdef…, empty files. One thread uses it. */
#ifndef AP_SYMBOL_DEBUG_STORE_H
#define AP_SYMBOL_DEBUG_STORE_H

#include <limits.h>

#include "base/error.h"

struct ap_debug_store {
	char dir[PATH_MAX];
	uint64_t max_bytes;
	uint64_t bytes; /* of all files */
};

/* Makes the folders, removes what was left unfinished or is out of date, and brings the rest under
 * the cap. -errno with `err`. */
int ap_debug_store_open(struct ap_debug_store *s, const char *dir, uint64_t max_bytes,
			struct ap_error *err);

/* An empty file to fetch into: its descriptor, or -errno. One at a time. */
int ap_debug_store_begin(struct ap_debug_store *s);
/* Keeps that file as the one of `build_id` (lower-case hex, at least 4 digits), at the cost of
 * those least recently used; or forgets it where it is not. 0;
 * -EBADMSG: it is no ELF file with that build-id; -EFBIG: larger than the cap; -errno. */
int ap_debug_store_keep(struct ap_debug_store *s, int fd, const char *build_id);
void ap_debug_store_forget(struct ap_debug_store *s);

bool ap_debug_store_has(const struct ap_debug_store *s, const char *build_id);
/* Found nowhere within the last day. */
bool ap_debug_store_is_absent(const struct ap_debug_store *s, const char *build_id);
void ap_debug_store_note_absent(struct ap_debug_store *s, const char *build_id);

#endif

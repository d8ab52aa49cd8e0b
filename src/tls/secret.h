/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets: making them, reading them from files, comparing them.
 *
 * A token or a session's id is AP_SECRET_BYTES random bytes (getrandom(2)) in lower-case hex behind a
 * prefix. So much entropy needs no slow hash: what is kept is its SHA-256. */
#ifndef AP_TLS_SECRET_H
#define AP_TLS_SECRET_H

#include "base/error.h"
#include "base/str.h"

#define AP_SHA256_BYTES 32
#define AP_SECRET_BYTES 24
/* Of its text, with the longest prefix and its NUL. */
#define AP_SECRET_TEXT	64
#define AP_TOKEN_PREFIX "apt_"

/* Fills `ret` with `prefix` (at most 15 bytes) and a new secret: 0, or a negative errno where the
 * kernel has no random bytes. */
int ap_secret_make(const char *prefix, char ret[static AP_SECRET_TEXT]);
/* Whether `s` has the form of a token: its prefix and lower-case hex of the right length. */
bool ap_secret_is_token(struct ap_str s);
void ap_secret_hash(struct ap_str s, uint8_t ret[static AP_SHA256_BYTES]);
/* Whether two hashes are equal, in a time that does not depend on where they differ. */
bool ap_secret_equal(const uint8_t a[static AP_SHA256_BYTES],
		     const uint8_t b[static AP_SHA256_BYTES]);
/* The first line of a file, without white space around it, for free(). -EINVAL: the file is empty, or its
 * line is longer than 4 KiB or holds control characters; `what` names it in messages: "--token-file". */
int ap_secret_read(const char *path, const char *what, char **ret, struct ap_error *err);
/* Overwrites and frees; NULL is fine. */
void ap_secret_free(char *secret);
AP_DEFINE_CLEANUP(secret, char, ap_secret_free)
#define _cleanup_secret_ _cleanup_(ap_cleanup_secret)

#endif

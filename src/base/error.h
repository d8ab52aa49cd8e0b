/* SPDX-License-Identifier: Apache-2.0 */
/* What went wrong, in words for a person. Libraries return -errno and, where a bare number would
 * not tell the user what to do, also fill one of these; only programs print it. */
#ifndef AP_BASE_ERROR_H
#define AP_BASE_ERROR_H

#include "base/macro.h"

struct ap_error {
	int code;      /* negative errno, 0 = no error */
	char msg[480]; /* one line, no newline: what failed and what to do about it */
};

/* Fills `err` (which may be NULL) and returns `code`, so that callers write
 * `return ap_error_set(err, -EINVAL, "…", …)`. */
int ap_error_set(struct ap_error *err, int code, const char *fmt, ...) AP_PRINTF(3, 4);

/* Puts `prefix: ` before the message that is there already; returns err->code. */
int ap_error_prefix(struct ap_error *err, const char *fmt, ...) AP_PRINTF(2, 3);

/* strerror() that takes negative numbers too and is safe in threads. */
const char *ap_strerror(int code);

#endif

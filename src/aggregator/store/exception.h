/* SPDX-License-Identifier: Apache-2.0 */
/* What ClickHouse says when it refuses, embedded or as a server:
 *
 *	Code: 241. DB::Exception: Memory limit exceeded: … (MEMORY_LIMIT_EXCEEDED) (version 26.7.3)
 *	Code: 241, e.displayText() = DB::Exception: Memory limit exceeded: …, e.what() = …
 *
 * The second form is that of servers before 20. None of the bytes are trusted. */
#ifndef AP_AGGREGATOR_STORE_EXCEPTION_H
#define AP_AGGREGATOR_STORE_EXCEPTION_H

#include "base/error.h"
#include "base/str.h"

/* Finds the first exception in `text`: its number, and its first line without the decoration.
 * False where there is none. */
bool ap_exception_find(struct ap_str text, uint32_t *ret_number, struct ap_str *ret_line);

/* -errno of an exception's number; -EIO for those without a meaning of their own here. */
int ap_exception_errno(uint32_t number);

/* Fills `err` with `what` and the exception in `text` (or the text itself where it has none), in one
 * line that can be shown on a terminal; returns its errno. */
int ap_exception_error(struct ap_error *err, const char *what, struct ap_str text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Byte strings to dense ids: the same bytes always give the same id, ids count up from 0, and id 0
 * is always the empty string. Serves strings as well as fixed-size keys and id lists. */
#ifndef AP_BASE_INTERN_H
#define AP_BASE_INTERN_H

#include "base/str.h"

struct ap_intern;

/* NULL = out of memory. What is copied is NUL-terminated beyond its length and 8-byte aligned, or, in less memory, one
 * of the two: text the former, keys the latter. */
struct ap_intern *ap_intern_new(void);
struct ap_intern *ap_intern_new_text(void);
struct ap_intern *ap_intern_new_keys(void);
void ap_intern_free(struct ap_intern *in);
AP_DEFINE_CLEANUP(intern, struct ap_intern, ap_intern_free)

/* Makes room for so many more, of so many bytes in all (keys: each rounded up to 8), so that adding them takes no more
 * memory: 0, -ENOMEM. */
int ap_intern_reserve(struct ap_intern *in, size_t more, size_t bytes);
/* The id of `s`, which is copied when it is new: 0, -ENOMEM, or -EOVERFLOW past 2^32 - 2 ids or bytes of one.
 * `ret_new` (may be NULL) tells whether it was. */
int ap_intern_add(struct ap_intern *in, struct ap_str s, uint32_t *ret_id, bool *ret_new);
/* -ENOENT where it is not there. */
int ap_intern_find(const struct ap_intern *in, struct ap_str s, uint32_t *ret_id);
/* The bytes of an id; valid until ap_intern_free(). An id out of range gives the empty string. */
struct ap_str ap_intern_get(const struct ap_intern *in, uint32_t id);
uint32_t ap_intern_count(const struct ap_intern *in); /* ids in use, at least 1 */
size_t ap_intern_bytes(const struct ap_intern *in);   /* memory held */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread waited for in futex(), by the functions that led there: all primitives of all runtimes
 * come down to that one call. */
#ifndef AP_PROFILE_LOCK_KIND_H
#define AP_PROFILE_LOCK_KIND_H

#include "profile/profile.h"

/* "mutex", "rwlock", "condition", "semaphore", "barrier", "join", "once", "park" (a thread of a runtime without
 * work: no contention), else "futex". */
struct ap_str ap_lock_kind(const struct ap_profile *p, uint32_t stack);

/* Whether a wait of that kind is for something that another thread holds, not for work or an end. */
bool ap_lock_is_contention(struct ap_str kind);

/* Which function waits: the innermost frame outside the kernel, the C library and the primitive itself;
 * where the stack has none, `ret_outside` is false and it is the innermost outside the kernel, 0: none. */
uint32_t ap_lock_waiter(const struct ap_profile *p, uint32_t stack, bool *ret_outside);

#endif

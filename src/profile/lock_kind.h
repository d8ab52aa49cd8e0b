/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread waited for: in futex(), by the functions that led there, since all primitives of all
 * runtimes come down to that one call; and in the kernel, for a lock of its own. */
#ifndef AP_PROFILE_LOCK_KIND_H
#define AP_PROFILE_LOCK_KIND_H

#include "profile/profile.h"

/* "mutex", "rwlock", "condition", "semaphore", "barrier", "join", "once", "park" (a thread of a runtime without
 * work: no contention), else "futex". */
struct ap_str ap_lock_kind(const struct ap_profile *p, uint32_t stack);

/* Whether a wait of that kind is for something that another thread holds, not for work or an end. */
bool ap_lock_is_contention(struct ap_str kind);
/* Whether it may be for work as well, of which threads without any wait for good: for such a lock it is no
 * contention as long as nobody ends a wait. */
bool ap_lock_may_be_for_work(struct ap_str kind);

/* Whether a function of that name is a lock's own, wherever it is linked in. */
bool ap_lock_is_primitive(struct ap_str name);

/* Which function waits: the stack's place (profile/place.h); where that is no function of the program,
 * `ret_outside` is false. 0: the stack has nothing outside the kernel. */
uint32_t ap_lock_waiter(const struct ap_profile *p, uint32_t stack, bool *ret_outside);

/* Which function of the kernel asks for a lock of the kernel: the innermost frame outside the lock itself;
 * 0: none. */
uint32_t ap_lock_kernel_caller(const struct ap_profile *p, uint32_t stack);

#endif

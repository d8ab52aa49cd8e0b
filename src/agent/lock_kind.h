/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread waited for in futex(), by the functions that led there: all primitives of all runtimes
 * come down to that one call. */
#ifndef AP_AGENT_LOCK_KIND_H
#define AP_AGENT_LOCK_KIND_H

#include "profile/profile.h"

/* "mutex", "rwlock", "condition", "semaphore", "barrier", "join", "once", "park" (a thread of a runtime without
 * work: no contention), else "futex". */
struct ap_str ap_lock_kind(const struct ap_profile *p, uint32_t stack);

#endif

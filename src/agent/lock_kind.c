/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lock_kind.h"

#include <string.h>

#define FRAMES_MAX 24 /* from the leaf outwards */

/* Parts of names, the more special ones first. */
static const struct {
	const char *part, *kind;
} kinds[] = {
	{"pthread_cond_", "condition"},
	{"pthread_rwlock_", "rwlock"},
	{"pthread_barrier_", "barrier"},
	{"pthread_clockjoin", "join"},
	{"pthread_timedjoin", "join"},
	{"pthread_join", "join"},
	{"pthread_once", "once"},
	{"pthread_mutex_", "mutex"},
	{"lll_lock", "mutex"},
	{"lll_mutex", "mutex"},
	{"sem_wait", "semaphore"},
	{"sem_timedwait", "semaphore"},
	{"sem_clockwait", "semaphore"},
	/* Go: goroutines wait without a thread; a thread waits for work, or for a lock of the runtime. */
	{"runtime.lock2", "mutex"},
	{"runtime.semasleep", "park"},
	{"runtime.notesleep", "park"},
	{"runtime.notetsleep", "park"},
	/* Rust's standard library, and parking_lot */
	{"mutex::futex::", "mutex"},
	{"futex_mutex::", "mutex"},
	{"RawMutex", "mutex"},
	{"rwlock::futex", "rwlock"},
	{"RawRwLock", "rwlock"},
	{"condvar::futex", "condition"},
	{"Condvar", "condition"},
	{"once::futex", "once"},
	{"thread::park", "park"},
	{"Parker::park", "park"},
};

struct ap_str ap_lock_kind(const struct ap_profile *p, uint32_t stack)
{
	struct ap_stack s = ap_profile_get_stack(p, stack);
	uint32_t seen = 0;

	for (uint32_t i = s.n; i > 0 && seen < FRAMES_MAX; i--) {
		const struct ap_frame *f = ap_profile_get_frame(p, s.frames[i - 1]);
		struct ap_str name =
			ap_profile_str(p, ap_profile_get_function(p, f->function)->name);

		if (f->kind == AP_FRAME_KERNEL)
			continue;
		seen++;
		for (size_t k = 0; name.n && k < AP_ARRAY_SIZE(kinds); k++)
			if (memmem(name.p, name.n, kinds[k].part, strlen(kinds[k].part)))
				return ap_str_of(kinds[k].kind);
	}
	return AP_STR("futex");
}

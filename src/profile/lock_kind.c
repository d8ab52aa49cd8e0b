/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/lock_kind.h"

#include <string.h>

#define FRAMES_MAX 24 /* from the leaf outwards */

/* Parts of the primitives' names, the more special ones first. */
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
	/* Abseil, and gRPC over it */
	{"gpr_cv_wait", "condition"},
	{"CondVar::", "condition"},
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
	{"Thread>::park", "park"},
	{"Parker::park", "park"},
};

/* Beside those, the layers between a primitive and its callers. */
static const char *const module_starts[] = {"libc.so", "libc-",	   "libpthread", "libstdc++",
					    "libc++",  "libabsl_", "ld-"};
static const char *const name_starts[] = {
	"runtime.", "std::", "<std::", "core::", "parking_lot", "absl::", "Absl", "syscall"};

/* "" where none is known. */
static struct ap_str kind_of_name(struct ap_str name)
{
	for (size_t k = 0; name.n && k < AP_ARRAY_SIZE(kinds); k++)
		if (memmem(name.p, name.n, kinds[k].part, strlen(kinds[k].part)))
			return ap_str_of(kinds[k].kind);
	return AP_STR("");
}

static struct ap_str name_of(const struct ap_profile *p, const struct ap_frame *f)
{
	return ap_profile_str(p, ap_profile_get_function(p, f->function)->name);
}

struct ap_str ap_lock_kind(const struct ap_profile *p, uint32_t stack)
{
	struct ap_stack s = ap_profile_get_stack(p, stack);
	uint32_t seen = 0;

	for (uint32_t i = s.n; i > 0 && seen < FRAMES_MAX; i--) {
		const struct ap_frame *f = ap_profile_get_frame(p, s.frames[i - 1]);
		struct ap_str kind;

		if (f->kind == AP_FRAME_KERNEL)
			continue;
		seen++;
		kind = kind_of_name(name_of(p, f));
		if (kind.n)
			return kind;
	}
	return AP_STR("futex");
}

bool ap_lock_is_contention(struct ap_str kind)
{
	return !ap_str_is(kind, "condition") && !ap_str_is(kind, "join") &&
	       !ap_str_is(kind, "park");
}

static bool is_primitive(const struct ap_profile *p, const struct ap_frame *f)
{
	struct ap_str name = name_of(p, f), module = ap_profile_module(p, f->mapping);

	for (size_t i = 0; i < AP_ARRAY_SIZE(module_starts); i++)
		if (ap_str_starts(module, ap_str_of(module_starts[i])))
			return true;
	for (size_t i = 0; i < AP_ARRAY_SIZE(name_starts); i++)
		if (ap_str_starts(name, ap_str_of(name_starts[i])))
			return true;
	return kind_of_name(name).n || (name.n && memmem(name.p, name.n, "futex", 5));
}

uint32_t ap_lock_waiter(const struct ap_profile *p, uint32_t stack, bool *ret_outside)
{
	struct ap_stack s = ap_profile_get_stack(p, stack);
	uint32_t leaf = 0;

	*ret_outside = false;
	for (uint32_t i = s.n; i > 0; i--) {
		const struct ap_frame *f = ap_profile_get_frame(p, s.frames[i - 1]);

		if (f->kind == AP_FRAME_KERNEL)
			continue;
		*ret_outside = !is_primitive(p, f);
		if (*ret_outside)
			return s.frames[i - 1];
		leaf = leaf ?: s.frames[i - 1];
	}
	return leaf;
}

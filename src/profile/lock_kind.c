/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/lock_kind.h"

#include <string.h>

#include "profile/place.h"

#define FRAMES_MAX 24 /* from the leaf outwards */

struct named {
	const char *part, *kind; /* of a function's name, and what a wait in it is for */
};

/* Of the primitives, the more special ones first. */
static const struct named kinds[] = {
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

/* Of what is built of conditions and semaphores: what a wait for one of those within is for. */
static const struct named built[] = {
	/* Java: monitors, to which a thread also comes back after Object.wait(), and threads of collectors */
	{"ObjectMonitor::enter", "mutex"},
	{"ObjectMonitor::EnterI", "mutex"},
	{"ObjectMonitor::ReenterI", "mutex"},
	{"GangWorker::loop", "park"},
	{"WorkerThread::run", "park"},
	/* Python: the interpreter's lock */
	{"take_gil", "mutex"},
};

/* "" where none is known. */
static struct ap_str kind_in(const struct named *table, size_t n, struct ap_str name)
{
	for (size_t k = 0; name.n && k < n; k++)
		if (memmem(name.p, name.n, table[k].part, strlen(table[k].part)))
			return ap_str_of(table[k].kind);
	return AP_STR("");
}

static struct ap_str name_of(const struct ap_profile *p, const struct ap_frame *f)
{
	return ap_profile_str(p, ap_profile_get_function(p, f->function)->name);
}

static bool may_be_built_of(struct ap_str kind)
{
	return ap_str_is(kind, "condition") || ap_str_is(kind, "semaphore");
}

struct ap_str ap_lock_kind(const struct ap_profile *p, uint32_t stack)
{
	struct ap_stack s = ap_profile_get_stack(p, stack);
	struct ap_str kind = AP_STR("");
	uint32_t seen = 0;

	for (uint32_t i = s.n; i > 0 && seen < FRAMES_MAX; i--) {
		const struct ap_frame *f = ap_profile_get_frame(p, s.frames[i - 1]);

		if (f->kind == AP_FRAME_KERNEL)
			continue;
		seen++;
		if (kind.n) {
			struct ap_str of = kind_in(built, AP_ARRAY_SIZE(built), name_of(p, f));

			if (of.n)
				return of;
			continue;
		}
		kind = kind_in(kinds, AP_ARRAY_SIZE(kinds), name_of(p, f));
		if (kind.n && !may_be_built_of(kind))
			return kind;
	}
	return kind.n ? kind : AP_STR("futex");
}

bool ap_lock_is_contention(struct ap_str kind)
{
	return !ap_str_is(kind, "condition") && !ap_str_is(kind, "join") &&
	       !ap_str_is(kind, "park");
}

bool ap_lock_may_be_for_work(struct ap_str kind)
{
	return ap_str_is(kind, "futex") || ap_str_is(kind, "semaphore");
}

bool ap_lock_is_primitive(struct ap_str name)
{
	return kind_in(kinds, AP_ARRAY_SIZE(kinds), name).n ||
	       (name.n && memmem(name.p, name.n, "futex", 5));
}

uint32_t ap_lock_waiter(const struct ap_profile *p, uint32_t stack, bool *ret_outside)
{
	enum ap_place_rank rank;
	uint32_t frame = ap_place_of(p, stack, &rank);

	*ret_outside = rank == AP_PLACE_PROGRAM;
	return rank == AP_PLACE_KERNEL ? 0 : frame;
}

/* How the kernel's lock functions begin. */
static const char *const kernel_starts[] = {
	"_raw_spin_", "_raw_read_", "_raw_write_",  "do_raw_", "native_queued_", "queued_",
	"__pv_",      "resilient_", "lockdep_",	    "mutex_",  "__mutex_",	 "__ww_mutex_",
	"ww_mutex_",  "down_",	    "__down",	    "rwsem_",  "percpu_down_",	 "__percpu_down_",
	"percpu_rw",  "rt_mutex_",  "__rt_mutex_",  "rt_spin", "rt_read_lock",	 "rt_write_lock",
	"rtlock_",    "rwbase_",    "raw_spin_rq_",
};

static bool is_kernel_lock(struct ap_str name)
{
	if (ap_str_is(name, "down"))
		return true;
	for (size_t i = 0; i < AP_ARRAY_SIZE(kernel_starts); i++)
		if (ap_str_starts(name, ap_str_of(kernel_starts[i])))
			return true;
	return false;
}

uint32_t ap_lock_kernel_caller(const struct ap_profile *p, uint32_t stack)
{
	struct ap_stack s = ap_profile_get_stack(p, stack);

	for (uint32_t i = s.n; i > 0; i--) {
		const struct ap_frame *f = ap_profile_get_frame(p, s.frames[i - 1]);

		if (f->kind == AP_FRAME_KERNEL && !is_kernel_lock(name_of(p, f)))
			return s.frames[i - 1];
	}
	return 0;
}

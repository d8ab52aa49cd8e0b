/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/lock_kind.h"

#include "sample_profile.h"

/* The kind of a stack of these functions, outermost first; a name that begins with '[' is the kernel's. */
static void check(const char *const *names, const char *kind)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = ap_profile_new();
	uint32_t frames[8], n = 0, stack = 0;
	struct ap_str got;

	assert_non_null(p);
	for (; names[n]; n++)
		frames[n] = sample_frame(p, 0, n, names[n],
					 names[n][0] == '[' ? AP_FRAME_KERNEL : AP_FRAME_NATIVE, 0);
	assert_int_equal(ap_profile_stack(p, frames, n, AP_REASON_OK, &stack), 0);
	got = ap_lock_kind(p, stack);
	if (!ap_str_is(got, kind))
		fail_msg("%.*s instead of %s", AP_STR_ARG(got), kind);
}

#define CHECK(kind, ...) check((const char *const[]){__VA_ARGS__, NULL}, kind)

static void tells_what_a_thread_waits_for(void **state)
{
	CHECK("mutex", "main", "want", "___pthread_mutex_lock", "futex_wait", "[futex_do_wait");
	CHECK("condition", "start_thread", "worker", "___pthread_cond_wait",
	      "__futex_abstimed_wait");
	/* A condition's wait that has ended, and now wants its mutex back. */
	CHECK("mutex", "worker", "___pthread_cond_wait", "__pthread_mutex_cond_lock",
	      "__lll_lock_wait");
	CHECK("rwlock", "reader", "___pthread_rwlock_rdlock", "futex_wait");
	CHECK("join", "main", "__pthread_clockjoin_ex");
	CHECK("semaphore", "LWLockAcquire", "PGSemaphoreLock", "__new_sem_wait_slow64",
	      "do_futex_wait");
	CHECK("park", "runtime.mcall", "runtime.findRunnable", "runtime.stopm", "runtime.notesleep",
	      "runtime.futexsleep.abi0");
	CHECK("mutex", "runtime.lock2", "runtime.futexsleep.abi0");
	CHECK("mutex", "std::sys::pal::unix::sync::mutex::futex::Mutex::lock_contended");
	CHECK("futex", "main", "syscall", "[pthread_mutex_of_the_kernel");
	CHECK("futex", "main", "my_own_lock");
	/* Locks and waits for work that runtimes build of conditions and semaphores. */
	CHECK("mutex", "JavaThread::run()", "ObjectMonitor::EnterI(JavaThread*)",
	      "os::PlatformEvent::park()", "___pthread_cond_wait");
	CHECK("condition", "JavaThread::run()", "ObjectMonitor::wait(long, bool, JavaThread*)",
	      "os::PlatformEvent::park()", "___pthread_cond_wait");
	CHECK("park", "GangWorker::loop()", "PosixSemaphore::wait()", "__new_sem_wait_slow64");
	CHECK("mutex", "GangWorker::loop()", "__gthread_mutex_lock", "___pthread_mutex_lock");
	CHECK("mutex", "_PyEval_EvalFrameDefault", "take_gil", "PyCOND_TIMEDWAIT",
	      "___pthread_cond_timedwait64");
}

/* A stack, outermost first: "module!function", "module!" without a symbol, "[kernel]!function". */
static uint32_t stack(struct ap_profile *p, const char *const *frames)
{
	uint32_t ids[16], n = 0, id;

	for (; frames[n]; n++) {
		struct ap_str rest = ap_str_of(frames[n]), module = ap_str_cut(&rest, '!');
		struct ap_function fn = {0};
		struct ap_mapping m = {0};
		struct ap_frame f = {.offset = n};

		if (ap_str_is(module, "[kernel]"))
			f.kind = AP_FRAME_KERNEL;
		ap_profile_string(p, rest, &fn.name);
		ap_profile_string(p, module, &m.path);
		ap_profile_mapping(p, &m, &f.mapping);
		ap_profile_function(p, &fn, &f.function);
		assert_int_equal(ap_profile_frame(p, &f, &ids[n]), 0);
	}
	assert_int_equal(ap_profile_stack(p, ids, n, 0, &id), 0);
	return id;
}

static void tells_which_function_waits(void **state)
{
	static const struct {
		const char *const frames[8];
		const char *kind, *waiter;
		bool inside;
	} cases[] = {
		{{"a!main", "a!want", "/lib/libc.so.6!pthread_mutex_lock", "/lib/libc.so.6!",
		  "[kernel]!futex_wait", NULL},
		 "mutex",
		 "want"},
		{{"a!main", "a!look", "/lib/libc.so.6!pthread_rwlock_rdlock", NULL},
		 "rwlock",
		 "look"},
		/* Linked into the program. */
		{{"a!main", "a!want", "a!___pthread_mutex_lock", "a!__lll_lock_wait", NULL},
		 "mutex",
		 "want"},
		{{"a!main", "a!work", "a!std::mutex::lock()", "libstdc++.so.6!x",
		  "libc.so.6!pthread_mutex_lock", NULL},
		 "mutex",
		 "work"},
		{{"r!app::serve", "r!std::sys::sync::mutex::futex::Mutex::lock_contended",
		  "libc.so.6!syscall", NULL},
		 "mutex",
		 "app::serve"},
		{{"r!app::serve", "r!<std::sync::mpmc::Receiver<u8>>::recv",
		  "r!<std::thread::thread::Thread>::park_timeout", "libc.so.6!syscall", NULL},
		 "park",
		 "app::serve"},
		{{"g!serve", "libgpr.so!gpr_cv_wait", "libabsl_synchronization.so.1!",
		  "libabsl_synchronization.so.1!AbslInternalPerThreadSemWait", "libc.so.6!syscall",
		  NULL},
		 "condition",
		 "serve"},
		/* Nothing but the runtime: its innermost function. */
		{{"g!runtime.mcall", "g!runtime.notesleep", "g!runtime.futex", NULL},
		 "park",
		 "runtime.futex",
		 true},
		{{"a!main", "a!own_lock", "[kernel]!do_futex", NULL}, "futex", "own_lock"},
		{{"[kernel]!do_futex", NULL}, "futex", "", true},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		struct ap_profile *p = ap_profile_new();
		uint32_t id = stack(p, cases[i].frames);
		bool outside;
		const struct ap_frame *f = ap_profile_get_frame(p, ap_lock_waiter(p, id, &outside));

		assert_int_equal(outside, !cases[i].inside);
		assert_true(ap_str_is(ap_lock_kind(p, id), cases[i].kind));
		assert_true(
			ap_str_is(ap_profile_str(p, ap_profile_get_function(p, f->function)->name),
				  cases[i].waiter));
		ap_profile_free(p);
	}
}

static void tells_who_asks_for_a_lock_of_the_kernel(void **state)
{
	static const struct {
		const char *frames[8], *caller;
	} cases[] = {
		{{"a.out!main", "libc.so.6!munmap", "[kernel]!do_syscall_64",
		  "[kernel]!__vm_munmap", "[kernel]!down_write_killable",
		  "[kernel]!rwsem_down_write_slowpath"},
		 "__vm_munmap"},
		{{"[kernel]!kthread", "[kernel]!rcu_core", "[kernel]!_raw_spin_lock_irqsave",
		  "[kernel]!__pv_queued_spin_lock_slowpath"},
		 "rcu_core"},
		{{"[kernel]!schedule", "[kernel]!__schedule", "[kernel]!raw_spin_rq_lock_nested",
		  "[kernel]!_raw_spin_lock"},
		 "__schedule"},
		{{"[kernel]!console_lock", "[kernel]!down", "[kernel]!__down_common"},
		 "console_lock"},
		{{"[kernel]!download", "[kernel]!__mutex_lock.constprop.0"}, "download"},
		/* While it sleeps, the kernel leaves the lock's own functions out. */
		{{"[kernel]!pipe_read"}, "pipe_read"},
		{{"a.out!main", "[kernel]!mutex_lock"}, ""},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		struct ap_profile *p = ap_profile_new();
		uint32_t id = stack(p, cases[i].frames);
		const struct ap_frame *f = ap_profile_get_frame(p, ap_lock_kernel_caller(p, id));

		assert_true(
			ap_str_is(ap_profile_str(p, ap_profile_get_function(p, f->function)->name),
				  cases[i].caller));
		ap_profile_free(p);
	}
}

static void waits_for_work_are_no_contention(void **state)
{
	static const char *const yes[] = {"mutex", "rwlock", "semaphore",   "barrier",
					  "once",  "futex",  "rwsem write", ""};
	static const char *const no[] = {"park", "join", "condition"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(yes); i++)
		assert_true(ap_lock_is_contention(ap_str_of(yes[i])));
	for (size_t i = 0; i < AP_ARRAY_SIZE(no); i++)
		assert_false(ap_lock_is_contention(ap_str_of(no[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_a_thread_waits_for),
		cmocka_unit_test(tells_which_function_waits),
		cmocka_unit_test(tells_who_asks_for_a_lock_of_the_kernel),
		cmocka_unit_test(waits_for_work_are_no_contention),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "../profile/sample_profile.h"
#include "agent/lock_kind.h"

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
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(tells_what_a_thread_waits_for)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

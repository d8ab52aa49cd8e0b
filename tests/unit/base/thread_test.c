/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../test.h"
#include "base/thread.h"

enum { THREADS = 3 };

static pthread_barrier_t ready, seen;

static int own_nice(void)
{
	return getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid));
}

static void *wait_and_tell(void *arg)
{
	pthread_setname_np(pthread_self(), arg);
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&seen);
	return (void *)(intptr_t)own_nice();
}

static void makes_threads_of_a_name_yield(void **state)
{
	static const char *const names[THREADS] = {"Merge", "MergeMore", "Merge"};
	pthread_t threads[THREADS];
	int before = own_nice();

	pthread_barrier_init(&ready, NULL, THREADS + 1);
	pthread_barrier_init(&seen, NULL, THREADS + 1);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wait_and_tell, (void *)names[i]),
				 0);
	pthread_barrier_wait(&ready);
	assert_int_equal(ap_thread_nice("Mer", 19), 0);
	assert_int_equal(ap_thread_nice("Merge", 19), 2);
	pthread_barrier_wait(&seen);
	for (int i = 0; i < THREADS; i++) {
		void *nice;

		pthread_join(threads[i], &nice);
		assert_int_equal((intptr_t)nice, i == 1 ? before : 19);
	}
	assert_int_equal(own_nice(), before);
	pthread_barrier_destroy(&ready);
	pthread_barrier_destroy(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_threads_of_a_name_yield),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Waits on a schedule:  waits TURNS
 *	main		naps 3 ms TURNS times, then joins the others
 *	holder		TURNS times holds the lock for 12 ms by hold_lock(), then naps 4 ms
 *	wanter		TURNS times waits for the lock in want_lock()
 *	reader		TURNS times reads from a pipe in read_slowly(), to which the holder writes
 *	napper		20 * TURNS times naps 0.1 ms in nap_briefly()
 * Prints of each thread its name, and in nanoseconds how long it lived, its CPU time, and how long it
 * spent in the function named above (0 for main).
 *
 *	waits deadlock
 * says "x" once two threads wait for each other's lock, in take_first() and take_second(), for good. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, noclone))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile int sink;
static int turns, ends[2];

static long long now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void nap(long us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&t, NULL);
}

static void tell(const char *name, long long began, long long spent)
{
	printf("%s %lld %lld %lld\n", name, now(CLOCK_MONOTONIC) - began,
	       now(CLOCK_THREAD_CPUTIME_ID), spent);
}

static long long time_of(void (*function)(void))
{
	long long began = now(CLOCK_MONOTONIC);

	function();
	return now(CLOCK_MONOTONIC) - began;
}

KEEP static void hold_lock(void)
{
	pthread_mutex_lock(&lock);
	nap(12000);
	pthread_mutex_unlock(&lock);
	sink++;
}

KEEP static void want_lock(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	sink++;
}

KEEP static void read_slowly(void)
{
	char c;

	if (read(ends[0], &c, 1) == 1)
		sink++;
}

KEEP static void nap_briefly(void)
{
	nap(100);
	sink++;
}

static void *holder(void *arg)
{
	long long began = now(CLOCK_MONOTONIC), spent = 0;

	prctl(PR_SET_NAME, "holder");
	for (int i = 0; i < turns; i++) {
		spent += time_of(hold_lock);
		if (write(ends[1], "x", 1) == 1)
			nap(4000);
	}
	tell("holder", began, spent);
	return arg;
}

static void *wanter(void *arg)
{
	long long began = now(CLOCK_MONOTONIC), spent = 0;

	prctl(PR_SET_NAME, "wanter");
	for (int i = 0; i < turns; i++) {
		spent += time_of(want_lock);
		nap(2000);
	}
	tell("wanter", began, spent);
	return arg;
}

static void *reader(void *arg)
{
	long long began = now(CLOCK_MONOTONIC), spent = 0;

	prctl(PR_SET_NAME, "reader");
	for (int i = 0; i < turns; i++)
		spent += time_of(read_slowly);
	tell("reader", began, spent);
	return arg;
}

static void *napper(void *arg)
{
	long long began = now(CLOCK_MONOTONIC), spent = 0;

	prctl(PR_SET_NAME, "napper");
	prctl(PR_SET_TIMERSLACK, 1);
	for (int i = 0; i < 20 * turns; i++)
		spent += time_of(nap_briefly);
	tell("napper", began, spent);
	return arg;
}

static pthread_mutex_t first = PTHREAD_MUTEX_INITIALIZER, second = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both;

KEEP static void take_first(void)
{
	pthread_mutex_lock(&first);
	sink++;
}

KEEP static void take_second(void)
{
	pthread_mutex_lock(&second);
	sink++;
}

static void *crossed(void *arg)
{
	prctl(PR_SET_NAME, "crossed");
	take_second();
	pthread_barrier_wait(&both);
	take_first();
	return arg;
}

static int deadlock(void)
{
	pthread_t thread;

	pthread_barrier_init(&both, NULL, 2);
	take_first();
	if (pthread_create(&thread, NULL, crossed, NULL))
		return 1;
	pthread_barrier_wait(&both);
	if (write(1, "x", 1) != 1)
		return 1;
	take_second();
	return 0;
}

int main(int argc, char **argv)
{
	void *(*const parts[])(void *) = {holder, wanter, reader, napper};
	pthread_t threads[4];
	long long began = now(CLOCK_MONOTONIC);

	if (argc > 1 && strcmp(argv[1], "deadlock") == 0)
		return deadlock();
	turns = argc > 1 ? atoi(argv[1]) : 100;
	if (pipe(ends) < 0)
		return 1;
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, parts[i], NULL))
			return 1;
	for (int i = 0; i < turns; i++)
		nap(3000);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	tell("main", began, 0);
	return 0;
}

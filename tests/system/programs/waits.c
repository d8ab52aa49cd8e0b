/* SPDX-License-Identifier: Apache-2.0 */
/* Waits on a schedule:  waits TURNS [all]
 *	main		naps 3 ms TURNS times, then joins the others
 *	holder		TURNS times holds the lock for 12 ms by hold_lock(), then naps 4 ms
 *	wanter		TURNS times waits for the lock in want_lock(), then naps 2 ms
 *	reader		TURNS times reads from a pipe in read_slowly(), to which the holder writes
 *	napper		20 * TURNS times naps 0.1 ms in nap_briefly()
 * and with `all` besides
 *	sleeper		TURNS times sleeps 5 ms in sleep_well()
 *	keeper, asker	as holder and wanter, with another lock, held for 6 ms by keep_lock(), and ask_lock()
 *	burner		TURNS times uses 10 ms of CPU time in burn_cpu()
 *	opener		TURNS times opens in fail_to_open() 5 files that are not there and 2 in no folder, then
 *			naps 2 ms
 *	straight, crossed	wait for each other's lock, in take_second() and take_first(), to the end
 * Prints of each thread its name, in nanoseconds how long it lived, its CPU time, and how long it
 * was off the CPU in the function named above (0 for main), and how often it went to sleep in its turns.
 *
 *	waits deadlock
 * says "x" once two threads wait for each other's lock, in take_first() and take_second(), for good. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, noclone))

enum { THREADS = 4, ALL_THREADS = 9, MISSING = 5, NO_FOLDER = 2, BURN_NS = 10000000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, other_lock = PTHREAD_MUTEX_INITIALIZER;
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

static long long off_cpu(void)
{
	return now(CLOCK_MONOTONIC) - now(CLOCK_THREAD_CPUTIME_ID);
}

/* By the kernel's count; a nap whose time is over before the thread is asleep is none. */
static long sleeps(void)
{
	struct rusage use;

	getrusage(RUSAGE_THREAD, &use);
	return use.ru_nvcsw;
}

static void tell(const char *name, long long lived, long long cpu, long long waited, long slept)
{
	printf("%s %lld %lld %lld %ld\n", name, lived, cpu, waited, slept);
}

KEEP static void hold_lock(void)
{
	pthread_mutex_lock(&lock);
	nap(12000);
	pthread_mutex_unlock(&lock);
	sink++;
}

static void feed_reader(void)
{
	if (write(ends[1], "x", 1) == 1)
		nap(4000);
}

KEEP static void want_lock(void)
{
	pthread_mutex_lock(&lock);
	pthread_mutex_unlock(&lock);
	sink++;
}

static void pause_briefly(void)
{
	nap(2000);
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

KEEP static void sleep_well(void)
{
	nap(5000);
	sink++;
}

KEEP static void keep_lock(void)
{
	pthread_mutex_lock(&other_lock);
	nap(6000);
	pthread_mutex_unlock(&other_lock);
	sink++;
}

KEEP static void ask_lock(void)
{
	pthread_mutex_lock(&other_lock);
	pthread_mutex_unlock(&other_lock);
	sink++;
}

KEEP static void burn_cpu(void)
{
	long long end = now(CLOCK_THREAD_CPUTIME_ID) + BURN_NS;

	while (now(CLOCK_THREAD_CPUTIME_ID) < end)
		for (int i = 0; i < 200000; i++)
			sink++;
}

KEEP static void fail_to_open(void)
{
	for (int i = 0; i < MISSING; i++)
		if (open("/nonexistent/x", O_RDONLY) < 0)
			sink++;
	for (int i = 0; i < NO_FOLDER; i++)
		if (openat(-1, "x", O_RDONLY) < 0)
			sink++;
}

static const struct part {
	const char *name;
	void (*timed)(void), (*then)(void);
	int per_turn;
} parts[ALL_THREADS] = {
	{"holder", hold_lock, feed_reader, 1},	    {"wanter", want_lock, pause_briefly, 1},
	{"reader", read_slowly, NULL, 1},	    {"napper", nap_briefly, NULL, 20},
	{"sleeper", sleep_well, NULL, 1},	    {"keeper", keep_lock, pause_briefly, 1},
	{"asker", ask_lock, pause_briefly, 1},	    {"burner", burn_cpu, NULL, 1},
	{"opener", fail_to_open, pause_briefly, 1},
};

KEEP static void *take_turns(void *arg)
{
	const struct part *p = arg;
	long long begin = now(CLOCK_MONOTONIC), waited = 0;
	long slept = sleeps();

	prctl(PR_SET_NAME, p->name);
	prctl(PR_SET_TIMERSLACK, 1);
	for (int i = 0; i < p->per_turn * turns; i++) {
		long long before = off_cpu();

		p->timed();
		waited += off_cpu() - before;
		if (p->then)
			p->then();
	}
	slept = sleeps() - slept;
	tell(p->name, now(CLOCK_MONOTONIC) - begin, now(CLOCK_THREAD_CPUTIME_ID), waited, slept);
	return NULL;
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

KEEP static void *straight(void *arg)
{
	prctl(PR_SET_NAME, "straight");
	take_first();
	pthread_barrier_wait(&both);
	take_second();
	return arg;
}

KEEP static void *crossed(void *arg)
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

/* When the two threads that will never end began to wait; 0: they could not be started. */
static long long begin_deadlock(void)
{
	pthread_t threads[2];

	pthread_barrier_init(&both, NULL, 3);
	if (pthread_create(&threads[0], NULL, straight, NULL) ||
	    pthread_create(&threads[1], NULL, crossed, NULL))
		return 0;
	pthread_barrier_wait(&both);
	return now(CLOCK_MONOTONIC);
}

int main(int argc, char **argv)
{
	int all = argc > 2 && strcmp(argv[2], "all") == 0, n = all ? ALL_THREADS : THREADS;
	long long begin = now(CLOCK_MONOTONIC), locked = 0;
	pthread_t threads[ALL_THREADS];

	if (argc > 1 && strcmp(argv[1], "deadlock") == 0)
		return deadlock();
	turns = argc > 1 ? atoi(argv[1]) : 100;
	if (pipe(ends) < 0 || (all && !(locked = begin_deadlock())))
		return 1;
	for (int i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, take_turns, (void *)&parts[i]))
			return 1;
	for (int i = 0; i < turns; i++)
		nap(3000);
	for (int i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	tell("main", now(CLOCK_MONOTONIC) - begin, now(CLOCK_THREAD_CPUTIME_ID), 0, sleeps());
	if (all) {
		locked = now(CLOCK_MONOTONIC) - locked;
		tell("straight", locked, 0, locked, 1);
		tell("crossed", locked, 0, locked, 1);
	}
	return 0;
}

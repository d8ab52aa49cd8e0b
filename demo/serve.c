/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "demo.h"

#define WORKERS_MAX 16

static bool stopping;

static uint64_t nanoseconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Sleeps as long as `used` nanoseconds of CPU time must be followed by for the share to hold. */
static void rest(uint64_t used, double share)
{
	uint64_t ns = (uint64_t)((double)used * (1 - share) / share);
	struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	nanosleep(&t, NULL);
}

static void *work(void *arg)
{
	const struct demo_worker *w = arg;
	uint64_t random = 0x9e3779b97f4a7c15u ^ (uint64_t)(uintptr_t)w;

	pthread_setname_np(pthread_self(), w->thread);
	while (!__atomic_load_n(&stopping, __ATOMIC_RELAXED)) {
		uint64_t before = nanoseconds(CLOCK_THREAD_CPUTIME_ID);

		w->task(&random);
		rest(nanoseconds(CLOCK_THREAD_CPUTIME_ID) - before, w->share);
	}
	return NULL;
}

int demo_serve(const struct demo_worker *workers, size_t n)
{
	pthread_t threads[WORKERS_MAX];
	size_t started = 0;
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	while (started < n && started < WORKERS_MAX &&
	       pthread_create(&threads[started], NULL, work, (void *)&workers[started]) == 0)
		started++;
	if (started < n)
		fprintf(stderr, "demo: only %zu of %zu threads could be started\n", started, n);
	else
		sigwait(&set, &sig);
	__atomic_store_n(&stopping, true, __ATOMIC_RELAXED);
	while (started)
		pthread_join(threads[--started], NULL);
	return 0;
}

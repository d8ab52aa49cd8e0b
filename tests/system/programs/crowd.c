/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads at once, each of which sleeps:  crowd THREADS TURNS
 * They are named t0, t1, …, and sleep 5 ms at a time, in rest(). None ends before all have begun. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEEP __attribute__((noinline, noclone))

static pthread_barrier_t all;
static volatile int sink;
static int turns;

KEEP static void rest(void)
{
	struct timespec t = {0, 5000000};

	nanosleep(&t, NULL);
	sink++;
}

static void *sleeper(void *number)
{
	char name[16];

	snprintf(name, sizeof(name), "t%ld", (long)number);
	pthread_setname_np(pthread_self(), name);
	pthread_barrier_wait(&all);
	for (int i = 0; i < turns; i++)
		rest();
	return NULL;
}

int main(int argc, char **argv)
{
	long n = argc > 2 ? atol(argv[1]) : 0;
	pthread_t *threads = calloc((size_t)n + 1, sizeof(*threads));

	if (n < 1 || !threads)
		return 2;
	turns = atoi(argv[2]);
	pthread_barrier_init(&all, NULL, (unsigned int)n);
	for (long i = 0; i < n; i++)
		if (pthread_create(&threads[i], NULL, sleeper, (void *)i) != 0)
			return 1;
	for (long i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	return 0;
}

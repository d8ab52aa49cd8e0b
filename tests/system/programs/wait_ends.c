/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for locks that end in every way:  wait_ends TURNS
 * TURNS times each, in the thread of that name:
 *	timed		waits 4 ms in vain for held.mutex, in time_out()
 *	signalled	waits for a semaphore on the heap until a signal comes, in be_signalled()
 *	several		waits for two futexes at once, of which the second is woken, in wait_for_two()
 * while "idle" waits for a semaphore that nobody ever posts, in wait_for_work(). Prints of each lock its name and
 * address. */
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, noclone))

static volatile int sink;
static int turns;

static void nap(long us)
{
	struct timespec t = {us / 1000000, us % 1000000 * 1000};

	nanosleep(&t, NULL);
}

static struct {
	char pad[64];
	pthread_mutex_t mutex;
} held = {.mutex = PTHREAD_MUTEX_INITIALIZER};
static sem_t *interrupted, work;
static uint32_t pair[2];
static int waiting; /* the thread `several` is about to wait */

static struct timespec in_ms(int ms)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_nsec += ms * 1000000l;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

KEEP static void time_out(void)
{
	struct timespec until = in_ms(4);

	if (pthread_mutex_timedlock(&held.mutex, &until) == ETIMEDOUT)
		sink++;
}

KEEP static void be_signalled(void)
{
	if (sem_wait(interrupted) < 0 && errno == EINTR)
		sink++;
}

KEEP static void wait_for_two(uint32_t value)
{
	struct futex_waitv both[2] = {
		{.uaddr = (uintptr_t)&pair[0], .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG},
		{.val = value,
		 .uaddr = (uintptr_t)&pair[1],
		 .flags = FUTEX_32 | FUTEX_PRIVATE_FLAG},
	};

	syscall(449, both, 2, 0, NULL, CLOCK_MONOTONIC);
	sink++;
}

KEEP static void wait_for_work(void)
{
	while (sem_wait(&work) < 0)
		sink++;
}

static void *timed(void *arg)
{
	prctl(PR_SET_NAME, "timed");
	for (int i = 0; i < turns; i++)
		time_out();
	return arg;
}

static void *signalled(void *arg)
{
	prctl(PR_SET_NAME, "signalled");
	for (int i = 0; i < turns; i++)
		be_signalled();
	return arg;
}

static void *several(void *arg)
{
	prctl(PR_SET_NAME, "several");
	for (int i = 0; i < turns; i++) {
		uint32_t value = __atomic_load_n(&pair[1], __ATOMIC_ACQUIRE);

		__atomic_store_n(&waiting, i + 1, __ATOMIC_RELEASE);
		wait_for_two(value);
	}
	return arg;
}

static void *idle(void *arg)
{
	prctl(PR_SET_NAME, "idle");
	wait_for_work();
	return arg;
}

static void on_signal(int sig)
{
}

/* Each is waited for before it is woken: 4 ms are enough for it to fall asleep, and if not it waits once less. */
int main(int argc, char **argv)
{
	void *(*const parts[])(void *) = {timed, signalled, several, idle};
	struct sigaction action = {.sa_handler = on_signal};
	pthread_t threads[4];

	turns = argc > 1 ? atoi(argv[1]) : 100;
	interrupted = malloc(sizeof(*interrupted));
	sigaction(SIGUSR1, &action, NULL);
	if (!interrupted || sem_init(interrupted, 0, 0) < 0 || sem_init(&work, 0, 0) < 0)
		return 1;
	pthread_mutex_lock(&held.mutex);
	for (int i = 0; i < 4; i++)
		if (pthread_create(&threads[i], NULL, parts[i], NULL))
			return 1;
	printf("held %p\ninterrupted %p\npair %p\nwork %p\n", (void *)&held.mutex,
	       (void *)interrupted, (void *)&pair[1], (void *)&work);
	for (int i = 0; i < turns; i++) {
		while (__atomic_load_n(&waiting, __ATOMIC_ACQUIRE) <= i)
			nap(100);
		nap(4000);
		pthread_kill(threads[1], SIGUSR1);
		__atomic_add_fetch(&pair[1], 1, __ATOMIC_RELEASE);
		syscall(SYS_futex, &pair[1], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	pthread_join(threads[0], NULL);
	pthread_join(threads[2], NULL);
	return 0;
}

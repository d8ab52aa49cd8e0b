/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for locks that lend their waiters' priority:  wait_pi TURNS
 *	inherits	waits TURNS times in lock_pi() for `owned`, which the main thread holds for 4 ms
 *	requeued	waits TURNS times in wait_requeue_pi() for `event`, after which it has `owned`
 * Prints the names of the two words and their addresses. */
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, noclone))

static uint32_t owned, event;
static int turns, begun[2];
static volatile long sink;

static long futex(uint32_t *word, int op, uint32_t value, uintptr_t more, uint32_t *other,
		  uint32_t third)
{
	return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, more, other, third);
}

KEEP static void lock_pi(void)
{
	sink += futex(&owned, FUTEX_LOCK_PI, 0, 0, NULL, 0);
}

KEEP static void wait_requeue_pi(uint32_t value)
{
	sink += futex(&event, FUTEX_WAIT_REQUEUE_PI, value, 0, &owned, 0);
}

static void unlock(void)
{
	sink += futex(&owned, FUTEX_UNLOCK_PI, 0, 0, NULL, 0);
}

static void nap(void)
{
	nanosleep(&(struct timespec){0, 4000000}, NULL);
}

static void tell(int i, int turn)
{
	__atomic_store_n(&begun[i], turn, __ATOMIC_RELEASE);
}

static void await(int i, int turn)
{
	while (__atomic_load_n(&begun[i], __ATOMIC_ACQUIRE) < turn)
		sched_yield();
}

static void *inherits(void *arg)
{
	prctl(PR_SET_NAME, "inherits");
	for (int i = 1; i <= turns; i++) {
		await(1, i);
		tell(0, i);
		lock_pi();
		unlock();
	}
	return arg;
}

static void *requeued(void *arg)
{
	prctl(PR_SET_NAME, "requeued");
	for (int i = 1; i <= turns; i++) {
		tell(0, i);
		wait_requeue_pi(i - 1);
		unlock();
	}
	return arg;
}

int main(int argc, char **argv)
{
	pthread_t thread;

	turns = argc > 1 ? atoi(argv[1]) : 20;
	pthread_create(&thread, NULL, inherits, NULL);
	for (int i = 1; i <= turns; i++) {
		sink += futex(&owned, FUTEX_LOCK_PI, 0, 0, NULL, 0);
		tell(1, i);
		await(0, i);
		nap();
		unlock();
	}
	pthread_join(thread, NULL);
	tell(0, 0);
	pthread_create(&thread, NULL, requeued, NULL);
	for (int i = 1; i <= turns; i++) {
		await(0, i);
		nap();
		sink += futex(&owned, FUTEX_LOCK_PI, 0, 0, NULL, 0);
		/* Waits for nobody else: the word is as it was when the other began. */
		while (futex(&event, FUTEX_CMP_REQUEUE_PI, 1, 0, &owned, i - 1) == 0)
			sched_yield();
		__atomic_store_n(&event, i, __ATOMIC_RELEASE);
		unlock();
	}
	pthread_join(thread, NULL);
	printf("owned %p\nevent %p\n", (void *)&owned, (void *)&event);
	return 0;
}

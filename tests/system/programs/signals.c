/* SPDX-License-Identifier: Apache-2.0 */
/* Handles 10,000 signals a second, which arrive at any instruction: every other one on the alternate
 * signal stack. Each SIGUSR1 says on standard output how many there were. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define KEEP __attribute__((noinline, noclone))

static volatile sig_atomic_t asked;
static volatile unsigned long handled, sink;
static char alternate[64 * 1024];

KEEP static unsigned long work(unsigned long n)
{
	unsigned long sum = 0;

	for (unsigned long i = 0; i < n; i++)
		sum += i * i ^ sum >> 3;
	return sum;
}

KEEP static void on_timer(int number)
{
	(void)number;
	handled++;
	sink += work(20000);
}

static void on_question(int number)
{
	(void)number;
	asked = 1;
}

static int by_hash(const void *a, const void *b)
{
	const unsigned int *x = a, *y = b;

	return (*x * 2654435761u > *y * 2654435761u) - (*x * 2654435761u < *y * 2654435761u);
}

KEEP static void sort_numbers(void)
{
	unsigned int numbers[512];

	for (unsigned int i = 0; i < 512; i++)
		numbers[i] = i ^ (unsigned int)sink;
	qsort(numbers, 512, sizeof(numbers[0]), by_hash);
	sink += numbers[7];
}

static int start_timer(int number, int flags)
{
	struct sigaction action = {.sa_handler = on_timer, .sa_flags = flags | SA_RESTART};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = number};
	struct itimerspec every = {{0, 200000}, {0, 200000}};
	timer_t timer;

	return sigaction(number, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, &timer) ||
	       timer_settime(timer, 0, &every, NULL);
}

int main(void)
{
	struct sigaction question = {.sa_handler = on_question, .sa_flags = SA_RESTART};
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};

	if (sigaltstack(&stack, NULL) || sigaction(SIGUSR1, &question, NULL) ||
	    start_timer(SIGRTMIN, 0) || start_timer(SIGRTMIN + 1, SA_ONSTACK)) {
		perror("signals");
		return 1;
	}
	for (;;) {
		sort_numbers();
		if (asked) {
			asked = 0;
			printf("%lu\n", handled);
			fflush(stdout);
		}
	}
}

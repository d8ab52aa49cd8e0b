/* SPDX-License-Identifier: Apache-2.0 */
/* Makes known numbers of system calls in four threads:  syscalls [wait|block]
 *	wait	begins when a byte is on stdin, and then waits there for the end
 *	block	reads a pipe that a thread writes to after known times, and prints how long the reads took by
 *		the clock: "SUM MAX", nanoseconds */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
	THREADS = 4,
	GETPPID = 1000,
	BAD_CLOSE = 300,
	NO_FILE = 200,
	WOULD_BLOCK = 50,
	OLD = 100,
	UNKNOWN = 7
};
enum { READS = 10, PAUSE_MS = 30 };

/* getppid by the 32-bit entry. */
static void call_i386(void)
{
#ifdef __x86_64__
	long r;

	__asm__ volatile("int $0x80" : "=a"(r) : "0"(64) : "memory", "r8", "r9", "r10", "r11");
#endif
}

static pthread_barrier_t all;

/* All are there before any ends: another's stack, taken over, would need fewer calls than one of its own. */
static void *run(void *arg)
{
	const int *empty = arg;
	char byte;

	pthread_barrier_wait(&all);
	for (int i = 0; i < GETPPID; i++)
		syscall(SYS_getppid);
	for (int i = 0; i < BAD_CLOSE; i++)
		syscall(SYS_close, -1);
	for (int i = 0; i < NO_FILE; i++)
		syscall(SYS_faccessat, AT_FDCWD, "/nonexistent/x", R_OK);
	for (int i = 0; i < WOULD_BLOCK; i++)
		syscall(SYS_read, *empty, &byte, 1);
	for (int i = 0; i < OLD; i++)
		call_i386();
	for (int i = 0; i < UNKNOWN; i++)
		syscall(9999);
	return NULL;
}

static void run_threads(void)
{
	pthread_t threads[THREADS];
	int empty[2];

	if (pipe2(empty, O_NONBLOCK) < 0 || pthread_barrier_init(&all, NULL, THREADS))
		return;
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, run, &empty[0]);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void *write_late(void *arg)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000l};

	for (int i = 0; i < READS; i++) {
		nanosleep(&pause, NULL);
		if (write(*(int *)arg, "x", 1) != 1)
			break;
	}
	return NULL;
}

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void block(void)
{
	long long sum = 0, max = 0;
	pthread_t writer;
	int fds[2];
	char byte;

	if (pipe(fds) < 0)
		return;
	pthread_create(&writer, NULL, write_late, &fds[1]);
	for (int i = 0; i < READS; i++) {
		long long begin, took;

		/* readv: no other call of the program is one. */
		begin = now();
		if (syscall(SYS_readv, fds[0], &(struct {
				    void *p;
				    size_t n;
			    }){&byte, 1},
			    1) != 1)
			return;
		took = now() - begin;
		sum += took;
		max = took > max ? took : max;
	}
	pthread_join(writer, NULL);
	printf("%lld %lld\n", sum, max);
}

int main(int argc, char **argv)
{
	int wait = argc > 1 && strcmp(argv[1], "wait") == 0;
	char byte;

	if (argc > 1 && strcmp(argv[1], "block") == 0) {
		block();
		return 0;
	}
	if (wait && read(STDIN_FILENO, &byte, 1) != 1)
		return 1;
	run_threads();
	if (wait) {
		puts("done");
		fflush(stdout);
		return read(STDIN_FILENO, &byte, 1) < 0;
	}
	return 0;
}

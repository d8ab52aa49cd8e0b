/* SPDX-License-Identifier: Apache-2.0 */
/* Makes slow and failing system calls in functions of known names:  call_stacks [wait|storm N]
 *	wait	begins when a byte is on stdin, and then waits there for the end
 *	storm	makes N calls that fail, one after the other */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SLOW = 5, MISSING = 12, BAD = 9, PAUSE_MS = 60 };

/* After the call there is something left to do: it is no jump. */
#define KEEP_FRAME() __asm__ volatile("")

__attribute__((noinline)) static void sleep_long(void)
{
	const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000l};

	syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &pause, NULL);
	KEEP_FRAME();
}

__attribute__((noinline)) static void open_missing(void)
{
	syscall(SYS_faccessat, AT_FDCWD, "/nonexistent/x", R_OK);
	KEEP_FRAME();
}

__attribute__((noinline)) static void close_twice(void)
{
	syscall(SYS_close, -1);
	KEEP_FRAME();
}

int main(int argc, char **argv)
{
	int wait = argc > 1 && strcmp(argv[1], "wait") == 0;
	long storm = argc > 2 && strcmp(argv[1], "storm") == 0 ? atol(argv[2]) : 0;
	char byte;

	if (wait && read(STDIN_FILENO, &byte, 1) != 1)
		return 1;
	for (long i = 0; i < storm; i++)
		close_twice();
	if (storm)
		return 0;
	for (int i = 0; i < SLOW; i++)
		sleep_long();
	for (int i = 0; i < MISSING; i++)
		open_missing();
	for (int i = 0; i < BAD; i++)
		close_twice();
	if (wait) {
		puts("done");
		fflush(stdout);
		return read(STDIN_FILENO, &byte, 1) < 0;
	}
	return 0;
}

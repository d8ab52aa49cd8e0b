/* SPDX-License-Identifier: Apache-2.0 */
/* Starts RATE short-lived processes a second for so many seconds, and says on standard output who it
 * is, how many there were and what CPU time they took:  spawner RATE SECONDS */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static const char *const commands[][4] = {
	{"/bin/sh", "-c", "true", NULL},
	{"/bin/true", NULL},
	{"/bin/sh", "-c", "/bin/echo one | /bin/cat", NULL},
	{"/bin/ls", "-l", "/usr/bin", NULL},
	{"/usr/bin/perl", "-e", "my %h; $h{$_ % 97} .= $_ for 1..20000;", NULL},
	{"/usr/bin/sort", "-R", "/usr/share/common-licenses/GPL-3", NULL},
};

static void reap(int flags)
{
	while (waitpid(-1, NULL, flags) > 0)
		;
}

static int start(const posix_spawn_file_actions_t *quiet, unsigned long n)
{
	char *const *command =
		(char *const *)commands[n % (sizeof(commands) / sizeof(commands[0]))];
	pid_t pid;

	return posix_spawn(&pid, command[0], quiet, NULL, command, environ);
}

static void report(unsigned long started)
{
	struct rusage used;

	getrusage(RUSAGE_CHILDREN, &used);
	printf("{\"pid\": %d, \"started\": %lu, \"cpu_s\": %.6f}\n", getpid(), started,
	       (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

int main(int argc, char **argv)
{
	const long rate = argc > 2 ? atol(argv[1]) : 0, seconds = argc > 2 ? atol(argv[2]) : 0;
	posix_spawn_file_actions_t quiet;
	struct timespec next;
	unsigned long started = 0;

	if (rate < 1 || rate > 10000 || seconds < 1 || posix_spawn_file_actions_init(&quiet) ||
	    posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", 1, 0))
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (long n = 0; n < rate * seconds; n++) {
		started += start(&quiet, (unsigned long)n) == 0;
		reap(WNOHANG);
		next.tv_nsec += 1000000000 / rate;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	reap(0);
	report(started);
	return 0;
}

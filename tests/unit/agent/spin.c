/* SPDX-License-Identifier: Apache-2.0 */
/* What profiler_test.c profiles: burns the given milliseconds of CPU time at the bottom of known
 * calls. With a descriptor as second argument it first writes there where in its own file the call
 * from main() lies, and at the end how much CPU time it has used, both as u64. */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

extern const char __ehdr_start[];

static volatile uint64_t sink;

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static __attribute__((noinline)) void inner(void)
{
	for (int i = 0; i < 20000; i++)
		sink += (uint64_t)i * sink;
}

static __attribute__((noinline)) void middle(uint64_t until)
{
	while (cpu_ns() < until)
		inner();
	sink++;
}

static __attribute__((noinline)) void outer(uint64_t ns, int fd)
{
	uint64_t call = (uint64_t)((const char *)__builtin_return_address(0) - __ehdr_start) - 1;

	if (fd >= 0 && write(fd, &call, sizeof(call)) != sizeof(call))
		_exit(1);
	middle(cpu_ns() + ns);
	sink++;
}

int main(int argc, char **argv)
{
	int fd = argc > 2 ? atoi(argv[2]) : -1;
	uint64_t used;

	outer((argc > 1 ? strtoull(argv[1], NULL, 10) : 5) * 1000000ull, fd);
	used = cpu_ns();
	return fd >= 0 && write(fd, &used, sizeof(used)) != sizeof(used);
}

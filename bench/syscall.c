/* SPDX-License-Identifier: Apache-2.0 */
/* What counting system calls adds to one: a loop of getppid() with no program on the tracepoints, with
 * empty ones, and with Aperture's, alternating, on one CPU. */
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/syscall.h>

#include "agent/syscalls.h"
#include "bench.h"

enum { ROUNDS = 15, CALLS = 300000 };

enum { WITH_NONE, WITH_EMPTY, WITH_COUNTING, VARIANTS };

static double call_ns(void)
{
	uint64_t begin = ap_clock_mono_ns();

	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	return (double)(ap_clock_mono_ns() - begin) / CALLS;
}

/* A program that returns 0. */
static int load_empty(void)
{
	const struct bpf_insn code[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "empty", "Dual BSD/GPL", code,
			       AP_ARRAY_SIZE(code), NULL);

	if (fd < 0)
		bench_fail("syscall", strerror(-fd));
	return fd;
}

static double with_empty(int prog)
{
	_cleanup_fd_ int enter = bpf_raw_tracepoint_open("sys_enter", prog);
	_cleanup_fd_ int leave = bpf_raw_tracepoint_open("sys_exit", prog);

	if (enter < 0 || leave < 0)
		bench_fail("syscall", "cannot attach an empty program");
	return call_ns();
}

static double with_counting(struct ap_syscalls *s)
{
	struct ap_error err = {0};
	double ns;

	if (ap_syscalls_start(s, &err) < 0)
		bench_fail("syscall", err.msg);
	ns = call_ns();
	ap_syscalls_stop(s);
	return ns;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void bench_syscall(void)
{
	_cleanup_(ap_cleanup_syscalls) struct ap_syscalls *s = NULL;
	_cleanup_fd_ int empty = load_empty();
	double ns[VARIANTS][ROUNDS], *median[VARIANTS];
	struct ap_profiler_cost cost = {0};
	struct ap_error err = {0};
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (ap_syscalls_open(NULL, NULL, &err, &s) < 0)
		bench_fail("syscall", err.msg);
	for (int i = 0; i < ROUNDS; i++) {
		ns[WITH_NONE][i] = call_ns();
		ns[WITH_EMPTY][i] = with_empty(empty);
		ns[WITH_COUNTING][i] = with_counting(s);
	}
	for (int v = 0; v < VARIANTS; v++) {
		qsort(ns[v], ROUNDS, sizeof(double), compare);
		median[v] = &ns[v][ROUNDS / 2];
	}
	ap_syscalls_cost(s, &cost);
	bench_report("syscall",
		     "\"none_ns\":%.1f,\"empty_ns\":%.1f,\"counting_ns\":%.1f,"
		     "\"added_to_empty_ns\":%.1f,\"map_bytes\":%llu",
		     *median[WITH_NONE], *median[WITH_EMPTY], *median[WITH_COUNTING],
		     *median[WITH_COUNTING] - *median[WITH_EMPTY],
		     (unsigned long long)cost.map_bytes);
}

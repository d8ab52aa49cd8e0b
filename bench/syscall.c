/* SPDX-License-Identifier: Apache-2.0 */
/* What counting system calls adds to one: a loop of getppid(), one of a close() that fails, and one of eight calls
 * of several durations, with no program on the tracepoints, with empty ones, and with Aperture's; alternating in
 * short turns on one CPU, before all ordinary processes where that is permitted, since others are the noise. */
#include <bpf/bpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/syscall.h>

#include "agent/syscalls.h"
#include "bench.h"

enum { ROUNDS = 301, CALLS = 2000 };

enum { GOOD, FAILING, MIXED };

enum { WITH_NONE, WITH_EMPTY, WITH_COUNTING, VARIANTS };

static int zero;

static void call(int kind, int i)
{
	static char page[4096];

	if (kind == GOOD)
		syscall(SYS_getppid);
	else if (kind == FAILING || i % 8 == 0)
		syscall(SYS_close, -1);
	else if (i % 2)
		syscall(i % 4 == 1 ? SYS_getppid : SYS_getuid);
	else if (i % 8 == 2)
		syscall(SYS_lseek, zero, 0L, SEEK_SET);
	else
		syscall(SYS_read, zero, page, i % 8 == 4 ? sizeof(page) : 64);
}

static double call_ns(int kind)
{
	uint64_t begin;

	/* The second time caches are warm. */
	for (int turn = 0; turn < 2; turn++) {
		begin = ap_clock_mono_ns();
		for (int i = 0; i < CALLS; i++)
			call(kind, i);
	}
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

static double with_empty(int prog, int kind)
{
	_cleanup_fd_ int enter = bpf_raw_tracepoint_open("sys_enter", prog);
	_cleanup_fd_ int leave = bpf_raw_tracepoint_open("sys_exit", prog);

	if (enter < 0 || leave < 0)
		bench_fail("syscall", "cannot attach an empty program");
	return call_ns(kind);
}

static double with_counting(struct ap_syscalls *s, int kind)
{
	struct ap_error err = {0};
	double ns;

	if (ap_syscalls_start(s, &err) < 0)
		bench_fail("syscall", err.msg);
	ns = call_ns(kind);
	ap_syscalls_stop(s);
	return ns;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct figures {
	double median[VARIANTS];
	double added[3]; /* to the empty programs, turn by turn: the quartiles */
};

static struct figures compare_loops(struct ap_syscalls *s, int empty, int kind)
{
	static double ns[VARIANTS][ROUNDS], added[ROUNDS];
	struct figures f;

	for (int i = 0; i < ROUNDS; i++) {
		ns[WITH_NONE][i] = call_ns(kind);
		ns[WITH_EMPTY][i] = with_empty(empty, kind);
		ns[WITH_COUNTING][i] = with_counting(s, kind);
		added[i] = ns[WITH_COUNTING][i] - ns[WITH_EMPTY][i];
	}
	for (int v = 0; v < VARIANTS; v++) {
		qsort(ns[v], ROUNDS, sizeof(double), compare);
		f.median[v] = ns[v][ROUNDS / 2];
	}
	qsort(added, ROUNDS, sizeof(double), compare);
	for (int q = 0; q < 3; q++)
		f.added[q] = added[ROUNDS * (q + 1) / 4];
	return f;
}

void bench_syscall(void)
{
	_cleanup_(ap_cleanup_syscalls) struct ap_syscalls *s = NULL;
	const struct sched_param first = {.sched_priority = 1};
	_cleanup_fd_ int empty = load_empty();
	struct ap_profiler_cost cost = {0};
	struct ap_error err = {0};
	struct figures good, bad, mixed;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	sched_setscheduler(0, SCHED_FIFO, &first);
	if (ap_syscalls_open(NULL, NULL, &err, &s) < 0)
		bench_fail("syscall", err.msg);
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	good = compare_loops(s, empty, GOOD);
	bad = compare_loops(s, empty, FAILING);
	mixed = compare_loops(s, empty, MIXED);
	close(zero);
	ap_syscalls_cost(s, &cost);
	bench_report("syscall",
		     "\"none_ns\":%.1f,\"empty_ns\":%.1f,\"counting_ns\":%.1f,"
		     "\"added_to_empty_ns\":%.1f,\"added_q1_ns\":%.1f,\"added_q3_ns\":%.1f,"
		     "\"failing_added_to_empty_ns\":%.1f,\"mixed_added_to_empty_ns\":%.1f,"
		     "\"rounds\":%d,\"calls\":%d,\"map_bytes\":%llu",
		     good.median[WITH_NONE], good.median[WITH_EMPTY], good.median[WITH_COUNTING],
		     good.added[1], good.added[0], good.added[2], bad.added[1], mixed.added[1],
		     ROUNDS, CALLS, (unsigned long long)cost.map_bytes);
}

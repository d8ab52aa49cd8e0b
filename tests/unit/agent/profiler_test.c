/* SPDX-License-Identifier: Apache-2.0 */
/* The whole capture path against the running kernel; skipped, with the reason, where BPF is not
 * permitted. Environment: AP_SPIN, the path of spin.c's program; AP_EMULATED, on an emulated CPU. */
#include "../test.h"
#include "agent/profiler.h"

#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"

#define DEADLINE_NS (20 * AP_NSEC_PER_SEC)

static const char *spin_path;

/* From here on this process runs before all ordinary ones, where that is permitted: sharing a CPU, it
 * would be met by chance, which scatters more than these tests allow for. */
static void go_first(void)
{
	const struct sched_param p = {.sched_priority = 1};

	sched_setscheduler(0, SCHED_FIFO, &p);
}

/* A child that waits for a byte before it runs spin. */
struct child {
	pid_t pid;
	int go, out;
	struct rusage used; /* once it has ended */
};

static struct child child_prepare(const char *ms)
{
	int go[2], out[2];
	struct child c;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe(out), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		char byte, fd[16];

		snprintf(fd, sizeof(fd), "%d", out[1]);
		go_first();
		if (read(go[0], &byte, 1) == 1)
			execl(spin_path, "spin", ms, fd, (char *)NULL);
		_exit(127);
	}
	close(go[0]);
	close(out[1]);
	c.go = go[1];
	c.out = out[0];
	return c;
}

static void child_go(struct child *c)
{
	assert_int_equal(write(c->go, "x", 1), 1);
	close(c->go);
}

static uint64_t child_read(struct child *c)
{
	uint64_t v = 0;

	assert_int_equal(read(c->out, &v, sizeof(v)), sizeof(v));
	return v;
}

static void child_end(struct child *c)
{
	int status;

	close(c->out);
	assert_int_equal(wait4(c->pid, &status, 0, &c->used), c->pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static struct ap_profiler *open_profiler(const struct ap_profiler_options *o)
{
	struct ap_profiler *p = NULL;
	struct ap_error err = {0};
	int r = ap_profiler_open(o, &err, &p);

	if (r == -EPERM || r == -ENOENT) {
		print_message("skipped: %s\n", err.msg);
		skip();
	}
	if (r < 0)
		fail_msg("%s", err.msg);
	return p;
}

static void start(struct ap_profiler *p)
{
	struct ap_error err = {0};

	if (ap_profiler_start(p, &err) < 0)
		fail_msg("%s", err.msg);
}

static uint64_t count(struct ap_profiler *p, enum ap_ledger_id id)
{
	return ap_ledger_get(ap_profiler_ledger(p), id);
}

/* The fewest of `expected` samples that may be there. An emulated CPU (AP_EMULATED: tests/vm) is late
 * for its timer; the periods that it skipped are named losses. */
static uint64_t fewest(struct ap_profiler *p, uint64_t expected)
{
	uint64_t late = getenv("AP_EMULATED") ? count(p, AP_LEDGER_SAMPLE_NOT_RUN) : 0;

	return expected - AP_MIN(late, expected);
}

/* The most samples that there may be of programs that run for a known time, for which `expected` allows their start too;
 * an emulated CPU takes longer for that, and then what they used of it is the bound. */
static uint64_t most(uint64_t expected, const struct rusage *used)
{
	uint64_t us = (uint64_t)(used->ru_utime.tv_sec + used->ru_stime.tv_sec) * 1000000 +
		      (uint64_t)(used->ru_utime.tv_usec + used->ru_stime.tv_usec);

	return AP_MAX(expected, us * 997 / 1000000 * 107 / 100);
}

static void assert_closed(struct ap_profiler *p)
{
	assert_int_equal(count(p, AP_LEDGER_SAMPLE_ELAPSED),
			 count(p, AP_LEDGER_SAMPLE_DELIVERED) + count(p, AP_LEDGER_SAMPLE_NOT_RUN) +
				 count(p, AP_LEDGER_SAMPLE_IDLE) +
				 count(p, AP_LEDGER_SAMPLE_THINNED) +
				 count(p, AP_LEDGER_SAMPLE_FILTERED) +
				 count(p, AP_LEDGER_SAMPLE_RINGBUF_FULL) +
				 count(p, AP_LEDGER_SAMPLE_NO_SCRATCH));
	assert_int_equal(count(p, AP_LEDGER_READER_IN), count(p, AP_LEDGER_SAMPLE_DELIVERED));
	assert_int_equal(count(p, AP_LEDGER_READER_IN), count(p, AP_LEDGER_READER_OUT));
}

/* By its path, since other runs of this test may be going on. */
static bool is_spin(const struct ap_rows *rows, uint32_t path)
{
	return ap_str_is(ap_rows_str(rows, path), spin_path);
}

/* Whether the stack passes through that address of the file called spin. */
static bool passes(const struct ap_rows *rows, uint32_t stack, uint64_t address)
{
	struct ap_stack_view v = ap_rows_stack(rows, stack);

	for (uint32_t i = 0; i < v.n_user; i++) {
		const struct ap_rows_file *f = &rows->files.p[v.user[i].file];

		if (v.user[i].address == address && is_spin(rows, f->path))
			return true;
	}
	return false;
}

/* Whether spin's own code was running, and not the dynamic loader's or the C library's. */
static bool is_own(const struct ap_rows *rows, uint32_t stack)
{
	struct ap_stack_view v = ap_rows_stack(rows, stack);

	return v.n_user > 0 && is_spin(rows, rows->files.p[v.user[0].file].path);
}

struct spin_counts {
	uint64_t all;
	uint64_t own;	  /* of them, those in spin's own code */
	uint64_t passing; /* of these, those through the address */
};

/* The samples of processes called spin. */
static struct spin_counts count_spin(const struct ap_rows *rows, uint64_t address)
{
	struct spin_counts n = {0};

	AP_VEC_FOREACH(&rows->rows, row) {
		const struct ap_rows_process *proc = &rows->processes.p[row->process];

		if (!is_spin(rows, proc->exe) || !ap_str_is(ap_rows_str(rows, row->comm), "spin"))
			continue;
		n.all += row->count;
		if (!is_own(rows, row->stack))
			continue;
		n.own += row->count;
		n.passing += passes(rows, row->stack, address) ? row->count : 0;
	}
	return n;
}

static void samples_reach_main_and_add_up_to_cpu_time(void **state)
{
	struct ap_profiler_options o = {.frequency_hz = 997, .target = AP_TARGET_PIDS};
	_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = open_profiler(&o);
	_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;
	uint64_t main_call, used, expected;
	struct spin_counts n;
	struct child c = child_prepare("1000");
	struct ap_profiler_cost cost;
	struct ap_error err = {0};

	assert_int_equal(ap_profiler_add_target(p, c.pid, &err), 0);
	start(p);
	child_go(&c);
	main_call = child_read(&c);
	used = child_read(&c);
	child_end(&c);
	assert_int_equal(ap_profiler_stop(p), 0);
	assert_int_equal(ap_profiler_collect(p, &rows), 0);

	assert_closed(p);
	assert_false(ap_profiler_target_alive(p));
	n = count_spin(rows, main_call);
	expected = used * 997 / AP_NSEC_PER_SEC;
	print_message(
		"%llu samples, %llu expected, %llu in its own code, %llu of them through main()\n",
		(unsigned long long)n.all, (unsigned long long)expected, (unsigned long long)n.own,
		(unsigned long long)n.passing);
	assert_in_range(n.all, fewest(p, expected * 93 / 100), expected * 107 / 100);
	assert_in_range(n.own, fewest(p, n.all * 70 / 100) + 1, n.all);
	assert_in_range(n.passing, n.own * 98 / 100, n.own);
	ap_profiler_cost(p, &cost);
	assert_true(cost.bpf_runs > 0 && cost.bpf_ns > 0 && cost.map_bytes > 0);
}

/* Programs run one after the other, each while fewer samples are taken than before. */
static void nanoseconds_stay_true_while_the_stride_changes(void **state)
{
	static const uint32_t strides[] = {1, 2, 8, 1};
	struct ap_profiler_options o = {.frequency_hz = 997, .target = AP_TARGET_PIDS};
	_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = open_profiler(&o);
	uint64_t used = 0, ns = 0, samples = 0;
	struct child c[AP_ARRAY_SIZE(strides)];
	struct ap_error err = {0};

	for (size_t i = 0; i < AP_ARRAY_SIZE(strides); i++) {
		c[i] = child_prepare("400");
		assert_int_equal(ap_profiler_add_target(p, c[i].pid, &err), 0);
	}
	start(p);
	for (size_t i = 0; i < AP_ARRAY_SIZE(strides); i++) {
		_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;

		if (i > 0)
			assert_int_equal(ap_profiler_set_stride(p, strides[i]), 0);
		child_go(&c[i]);
		child_read(&c[i]);
		used += child_read(&c[i]);
		child_end(&c[i]);
		if (i + 1 == AP_ARRAY_SIZE(strides))
			assert_int_equal(ap_profiler_stop(p), 0);
		assert_int_equal(ap_profiler_collect(p, &rows), 0);
		assert_int_equal(rows->period_ns, i == 0 ? AP_NSEC_PER_SEC / 997 : (uint64_t)0);
		AP_VEC_FOREACH(&rows->rows, row) {
			samples += row->count;
			ns += row->value;
		}
	}
	assert_closed(p);
	print_message("%llu samples, %.3f s of %.3f s\n", (unsigned long long)samples,
		      (double)ns / 1e9, (double)used / 1e9);
	assert_in_range(ns * 997 / AP_NSEC_PER_SEC, fewest(p, used * 947 / AP_NSEC_PER_SEC),
			used * 1047 / AP_NSEC_PER_SEC);
	/* 400 + 200 + 50 + 400 of 1,600 ms of CPU time */
	assert_in_range(samples, fewest(p, 970), used * 1130 / (1600 * AP_NSEC_PER_MSEC));
	assert_true(count(p, AP_LEDGER_SAMPLE_THINNED) > fewest(p, 200 + 350));
}

static uint64_t profile_child(struct ap_profiler *p)
{
	struct child c = child_prepare("300");
	struct ap_error err = {0};
	uint64_t main_call;

	assert_int_equal(ap_profiler_add_target(p, c.pid, &err), 0);
	child_go(&c);
	main_call = child_read(&c);
	child_read(&c);
	child_end(&c);
	return main_call;
}

/* Each variant of the programs, whatever this kernel's best is. */
static void all_variants_walk_alike(void **state)
{
	for (uint32_t variant = 0; variant < 3; variant++) {
		struct ap_profiler_options o = {
			.frequency_hz = 997, .target = AP_TARGET_PIDS, .variant = variant};
		_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = open_profiler(&o);
		_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;
		uint64_t main_call = 0, *stacks = ap_profiler_ledger(p)->stacks, told, delivered;
		struct spin_counts n;

		start(p);
		/* The first ones may be over before the tables are made. */
		for (int i = 0; i < 50 && stacks[AP_REASON_OK] < 50; i++)
			main_call = profile_child(p);
		assert_int_equal(ap_profiler_stop(p), 0);
		assert_int_equal(ap_profiler_collect(p, &rows), 0);
		assert_closed(p);
		n = count_spin(rows, main_call);
		assert_true(n.all > 50);
		assert_true(n.own > 0);
		assert_in_range(n.passing, n.own * 98 / 100, n.own);
		assert_true(stacks[AP_REASON_OK] >= 50);
		/* The last where it execs or ends; there a stack may also be gone. */
		told = stacks[AP_REASON_OK] + stacks[AP_REASON_NO_TABLE] +
		       stacks[AP_REASON_KERNEL_ONLY];
		delivered = count(p, AP_LEDGER_READER_OUT);
		assert_in_range(told, delivered * 98 / 100, delivered);
	}
}

static int open_counter(int cpu)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_SW_CPU_CLOCK};

	return (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

/* The sum over CPUs of what counters of our own say, in whole periods. */
static uint64_t counters_read(const int *fds, int n, uint64_t period)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++) {
		uint64_t ns = 0;

		if (fds[i] >= 0 && read(fds[i], &ns, sizeof(ns)) == sizeof(ns))
			sum += ns / period;
	}
	return sum;
}

static void ledger_agrees_with_a_counter_of_our_own(void **state)
{
	struct ap_profiler_options o = {.frequency_hz = 4999};
	_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = open_profiler(&o);
	_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;
	uint64_t period = AP_NSEC_PER_SEC / 4999, at_least, at_most, rows_count = 0;
	int n = (int)sysconf(_SC_NPROCESSORS_ONLN), outer[256], inner[256];
	struct child c = child_prepare("1000");

	n = AP_MIN(n, 256);
	for (int i = 0; i < n; i++)
		outer[i] = open_counter(i);
	start(p);
	for (int i = 0; i < n; i++)
		inner[i] = open_counter(i);
	child_go(&c);
	child_read(&c);
	child_read(&c);
	child_end(&c);
	at_least = counters_read(inner, n, period);
	assert_int_equal(ap_profiler_stop(p), 0);
	at_most = counters_read(outer, n, period);
	for (int i = 0; i < n; i++) {
		close(outer[i]);
		close(inner[i]);
	}
	assert_int_equal(ap_profiler_collect(p, &rows), 0);
	assert_closed(p);
	assert_true(at_least > 1000);
	assert_in_range(count(p, AP_LEDGER_SAMPLE_ELAPSED), at_least, at_most);
	AP_VEC_FOREACH(&rows->rows, row)
		rows_count += row->count;
	assert_int_equal(rows_count, count(p, AP_LEDGER_READER_OUT));
	assert_int_equal(rows->period_ns, period);
}

/* A process that was sampled before and after its exec is there twice. */
static bool is_first_of_pid(const struct ap_rows *rows, const struct ap_rows_process *proc)
{
	AP_VEC_FOREACH(&rows->processes, other)
		if (other->pid == proc->pid)
			return other == proc;
	return false;
}

static void processes_of_5_ms_are_named_and_mapped(void **state)
{
	struct ap_profiler_options o = {.frequency_hz = 997};
	_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = open_profiler(&o);
	_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;
	struct spin_counts n;
	uint64_t main_call = 0;
	uint32_t processes = 0;

	start(p);
	for (int i = 0; i < 40; i++) {
		struct child c = child_prepare("5");

		child_go(&c);
		main_call = child_read(&c);
		child_end(&c);
	}
	assert_int_equal(ap_profiler_stop(p), 0);
	assert_int_equal(ap_profiler_collect(p, &rows), 0);
	assert_closed(p);
	n = count_spin(rows, main_call);
	AP_VEC_FOREACH(&rows->processes, proc)
		processes += is_spin(rows, proc->exe) && is_first_of_pid(rows, proc) &&
			     ap_str_is(ap_rows_str(rows, proc->comm), "spin");
	print_message("%u processes, %llu samples, %llu through main()\n", processes,
		      (unsigned long long)n.all, (unsigned long long)n.passing);
	/* About 5 samples each, some before main(); a process may be missed, but not half-known. */
	assert_in_range(processes, 30, 40);
	assert_true(n.passing >= fewest(p, 80));
	AP_VEC_FOREACH(&rows->processes, proc)
		if (is_spin(rows, proc->exe))
			assert_true(proc->exe_file > 0);
}

static void children_of_a_target_are_profiled(void **state)
{
	struct ap_profiler_options o = {.frequency_hz = 997, .target = AP_TARGET_PIDS};
	_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = open_profiler(&o);
	_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;
	uint64_t all, deadline = ap_clock_mono_ns() + DEADLINE_NS;
	struct child other = child_prepare("200");
	struct ap_error err = {0};
	char command[4096];
	int go[2], status;
	struct rusage used;
	pid_t pid;

	snprintf(command, sizeof(command), "read x; %s 100 & %s 100; wait", spin_path, spin_path);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		go_first();
		dup2(go[0], 0);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(ap_profiler_add_target(p, pid, &err), 0);
	start(p);
	child_go(&other);
	assert_int_equal(write(go[1], "x\n", 2), 2);
	close(go[0]);
	close(go[1]);
	assert_int_equal(wait4(pid, &status, 0, &used), pid);
	child_read(&other);
	child_read(&other);
	child_end(&other);
	while (ap_profiler_target_alive(p) && ap_clock_mono_ns() < deadline)
		sched_yield();
	assert_false(ap_profiler_target_alive(p));
	assert_int_equal(ap_profiler_stop(p), 0);
	assert_int_equal(ap_profiler_collect(p, &rows), 0);
	assert_closed(p);
	all = count_spin(rows, 0).all;
	/* Two of 100 ms each, and not the 200 ms of the one that is no child of the target. */
	assert_in_range(all, fewest(p, 170), most(260, &used));
	assert_true(count(p, AP_LEDGER_SAMPLE_FILTERED) > 0);
	AP_VEC_FOREACH(&rows->processes, proc)
		assert_int_not_equal(proc->pid, other.pid);
}

/* Where cgroup v2 is mounted, alone or beside v1, and may be written; NULL = nowhere. */
static const char *cgroup_root(void)
{
	if (access("/sys/fs/cgroup/cgroup.procs", W_OK) == 0)
		return "/sys/fs/cgroup";
	return access("/sys/fs/cgroup/unified/cgroup.procs", W_OK) == 0 ? "/sys/fs/cgroup/unified"
									: NULL;
}

static void a_cgroup_is_profiled_with_those_below_it(void **state)
{
	char top[128], sub[160], procs[192], pid[16];
	struct ap_profiler_options o = {
		.frequency_hz = 997, .target = AP_TARGET_CGROUP, .cgroup = top};
	_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;
	const char *root = cgroup_root();
	struct ap_profiler *p;
	struct child inside, outside;
	uint64_t all, least;
	int fd, n;

	if (!root) {
		print_message("skipped: no cgroup v2 that may be written\n");
		skip();
	}
	snprintf(top, sizeof(top), "%s/aperture-test-%d", root, (int)getpid());
	snprintf(sub, sizeof(sub), "%s/sub", top);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", sub);
	assert_int_equal(ap_mkdir_all(sub, 0755), 0);
	inside = child_prepare("200");
	outside = child_prepare("200");
	n = snprintf(pid, sizeof(pid), "%d", (int)inside.pid);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, pid, (size_t)n), n);
	close(fd);
	p = open_profiler(&o);
	start(p);
	child_go(&inside);
	child_go(&outside);
	child_end(&inside);
	child_end(&outside);
	assert_int_equal(ap_profiler_stop(p), 0);
	assert_int_equal(ap_profiler_collect(p, &rows), 0);
	assert_closed(p);
	all = count_spin(rows, 0).all;
	least = fewest(p, 150);
	ap_profiler_free(p);
	assert_int_equal(rmdir(sub), 0);
	assert_int_equal(rmdir(top), 0);
	assert_in_range(all, least, most(260, &inside.used));
	assert_int_equal(rows->processes.n, 1);
}

static void exact_times_keep_each_sample(void **state)
{
	struct ap_profiler_options o = {
		.frequency_hz = 997, .target = AP_TARGET_PIDS, .exact_time = true};
	_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = open_profiler(&o);
	_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;
	int64_t before = ap_clock_unix_ns(), last = 0;
	struct child c = child_prepare("100");
	struct ap_error err = {0};

	assert_int_equal(ap_profiler_add_target(p, c.pid, &err), 0);
	start(p);
	child_go(&c);
	child_read(&c);
	child_read(&c);
	child_end(&c);
	assert_int_equal(ap_profiler_stop(p), 0);
	assert_int_equal(ap_profiler_collect(p, &rows), 0);
	assert_true(rows->rows.n > fewest(p, 50));
	AP_VEC_FOREACH(&rows->rows, row) {
		assert_true(row->time_ns >= before && row->time_ns <= ap_clock_unix_ns());
		assert_true(row->time_ns >= last);
		last = row->time_ns;
		assert_int_equal(row->tid, c.pid);
		assert_int_equal(row->count, 1);
	}
}

static void refuses_bad_options(void **state)
{
	struct ap_profiler_options o = {.frequency_hz = 10001};
	struct ap_profiler *p = NULL;
	struct ap_error err = {0};

	assert_int_equal(ap_profiler_open(&o, &err, &p), -EINVAL);
	assert_non_null(strstr(err.msg, "10000"));
	o = (struct ap_profiler_options){.max_user_frames = 1025};
	assert_int_equal(ap_profiler_open(&o, &err, &p), -EINVAL);
	assert_null(p);
}

static void says_which_target_does_not_exist(void **state)
{
	struct ap_profiler_options o = {.target = AP_TARGET_PIDS};
	_cleanup_(ap_cleanup_profiler) struct ap_profiler *p = open_profiler(&o);
	struct ap_profiler_options cgroup = {.target = AP_TARGET_CGROUP, .cgroup = "/no/such"};
	struct ap_profiler *none = NULL;
	struct ap_error err = {0};

	assert_int_equal(ap_profiler_add_target(p, 0x3fffffff, &err), -ESRCH);
	assert_int_equal(ap_profiler_open(&cgroup, &err, &none), -ENOENT);
	assert_non_null(strstr(err.msg, "/no/such"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_bad_options),
		cmocka_unit_test(says_which_target_does_not_exist),
		cmocka_unit_test(samples_reach_main_and_add_up_to_cpu_time),
		cmocka_unit_test(all_variants_walk_alike),
		cmocka_unit_test(nanoseconds_stay_true_while_the_stride_changes),
		cmocka_unit_test(ledger_agrees_with_a_counter_of_our_own),
		cmocka_unit_test(processes_of_5_ms_are_named_and_mapped),
		cmocka_unit_test(children_of_a_target_are_profiled),
		cmocka_unit_test(a_cgroup_is_profiled_with_those_below_it),
		cmocka_unit_test(exact_times_keep_each_sample),
	};

	spin_path = getenv("AP_SPIN");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Modes and rates that change while programs run which know what they do: nothing of what was asked for is lost
 * or told twice, whatever came before and after. Skipped, with the reason, where BPF is not permitted.
 * Environment: AP_EMULATED, on an emulated CPU. */
#include "../test.h"
#include "agent/profiler.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "base/clock.h"
#include "profile/profile.h"

#define PHASE_NS  (200 * AP_NSEC_PER_MSEC)
#define CALLS	  1000
#define PHASES	  AP_ARRAY_SIZE(settings)
#define ALL_MODES (AP_MODE_CPU | AP_MODE_OFFCPU | AP_MODE_LOCK | AP_MODE_SYSCALL)

static const struct ap_profiler_setting settings[] = {
	{AP_MODE_CPU, 499, 0},
	{AP_MODE_CPU | AP_MODE_OFFCPU, 1999, 0},
	{AP_MODE_OFFCPU | AP_MODE_LOCK, 99, 0},
	{AP_MODE_SYSCALL, 99, 0},
	{ALL_MODES, 4999, 0},
	{AP_MODE_LOCK, 99, 0},
	{AP_MODE_OFFCPU | AP_MODE_LOCK, 99, 100000},
	{AP_MODE_CPU | AP_MODE_LOCK, 99, 0},
	{AP_MODE_CPU | AP_MODE_SYSCALL, 99, 0},
	{AP_MODE_SYSCALL, 99, 0},
	{AP_MODE_CPU, 499, 0},
	{ALL_MODES, 997, 0},
};

enum program { BURNER, SLEEPER, NAPPER, WAITER, CALLER, PROGRAMS };

struct child {
	pid_t pid;
	int go, done; /* a byte each way */
};

static void child_main(enum program what, int go, int done)
{
	const struct sched_param first = {.sched_priority = 1};
	const struct timespec nap = {.tv_nsec = 3 * AP_NSEC_PER_MSEC};
	uint32_t never = 0;
	char byte = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* of a test that fails */
	if (what == BURNER)
		sched_setscheduler(0, SCHED_FIFO, &first);
	if (write(done, &byte, 1) != 1)
		_exit(1);
	for (;;) {
		switch (what) {
		case BURNER:
			for (volatile int i = 0; i < 1000000; i++)
				;
			break;
		case NAPPER:
			nanosleep(&nap, NULL);
			break;
		case WAITER:
			syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
			break;
		case CALLER:
			if (read(go, &byte, 1) != 1)
				_exit(0);
			for (int i = 0; i < CALLS; i++)
				syscall(SYS_getppid);
			if (write(done, &byte, 1) != 1)
				_exit(0);
			break;
		default:
			pause();
		}
	}
}

static void child_wait(const struct child *c)
{
	char byte;

	assert_int_equal(read(c->done, &byte, 1), 1);
}

static struct child child_start(enum program what)
{
	int go[2], done[2];
	struct child c;

	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	assert_int_equal(pipe2(done, O_CLOEXEC), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		close(go[1]);
		close(done[0]);
		child_main(what, go[0], done[1]);
	}
	close(go[0]);
	close(done[1]);
	c.go = go[1];
	c.done = done[0];
	child_wait(&c);
	return c;
}

static void child_end(struct child *c)
{
	kill(c->pid, SIGKILL);
	assert_int_equal(waitpid(c->pid, NULL, 0), c->pid);
	close(c->go);
	close(c->done);
}

static uint64_t clock_of(clockid_t id)
{
	struct timespec t;

	assert_int_equal(clock_gettime(id, &t), 0);
	return (uint64_t)t.tv_sec * AP_NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

/* Between what a counter must have seen of a clock and what it may have seen. */
struct range {
	uint64_t min, max;
	uint64_t from_min, from_max; /* where the present time of being on began; 0: off */
	uint64_t longest;	     /* time of being on */
	uint32_t changes;
};

/* `before` and `after`: the clock around a change, to on or off. */
static void range_change(struct range *r, bool on, uint64_t before, uint64_t after)
{
	if (r->from_max && !on) {
		r->min += before - r->from_max;
		r->max += after - r->from_min;
		r->longest = AP_MAX(r->longest, after - r->from_min);
		r->from_min = r->from_max = 0;
	} else if (!r->from_max && on) {
		r->from_min = before;
		r->from_max = after;
	}
	r->changes++;
}

struct test {
	struct ap_profiler *p;
	struct child child[PROGRAMS];
	struct range cpu, offcpu, lock, syscalls;
	uint64_t burnt, slept, napped, waited, waited_lock; /* as rows tell */
	uint64_t calls, calls_expected;
	uint64_t longest_read;
	uint64_t not_run_ns;
	struct ap_ledger seen;
};

static void change(struct test *t, uint32_t modes, int (*fn)(struct test *t, const void *ctx),
		   const void *ctx)
{
	uint64_t before, after, burnt_before, burnt_after;
	clockid_t id;

	assert_int_equal(clock_getcpuclockid(t->child[BURNER].pid, &id), 0);
	burnt_before = clock_of(id);
	before = ap_clock_mono_ns();
	assert_int_equal(fn(t, ctx), 0);
	after = ap_clock_mono_ns();
	burnt_after = clock_of(id);
	range_change(&t->cpu, modes & AP_MODE_CPU, burnt_before, burnt_after);
	range_change(&t->offcpu, modes & AP_MODE_OFFCPU, before, after);
	range_change(&t->lock, modes & AP_MODE_LOCK, before, after);
	range_change(&t->syscalls, modes & AP_MODE_SYSCALL, before, after);
}

static int set(struct test *t, const void *ctx)
{
	struct ap_error err = {0};
	int r = ap_profiler_set(t->p, ctx, &err);

	if (r < 0)
		fail_msg("%s", err.msg);
	return r;
}

static int start(struct test *t, const void *ctx)
{
	struct ap_error err = {0};

	return ap_profiler_start(t->p, &err);
}

static int stop(struct test *t, const void *ctx)
{
	return ap_profiler_stop(t->p);
}

/* No counter has fallen, and the stages are in balance, without losses where there is no excuse: on a machine
 * that others use too, a timer may be late. That of the reader when nothing is on its way. */
static void check_ledger(struct test *t, uint32_t frequency_hz, bool stopped)
{
	struct ap_ledger now;

	ap_profiler_ledger_copy(t->p, &now);
	for (uint32_t i = 0; i < AP_LEDGER_MAX; i++)
		assert_true(now.count[i] >= t->seen.count[i]);
	assert_int_equal(now.count[AP_LEDGER_SAMPLE_ELAPSED],
			 now.count[AP_LEDGER_SAMPLE_DELIVERED] + now.count[AP_LEDGER_SAMPLE_IDLE] +
				 now.count[AP_LEDGER_SAMPLE_FILTERED] +
				 now.count[AP_LEDGER_SAMPLE_THINNED] +
				 now.count[AP_LEDGER_SAMPLE_NOT_RUN] +
				 now.count[AP_LEDGER_SAMPLE_RINGBUF_FULL] +
				 now.count[AP_LEDGER_SAMPLE_NO_SCRATCH]);
	assert_int_equal(now.count[AP_LEDGER_SAMPLE_RINGBUF_FULL], 0);
	assert_int_equal(now.count[AP_LEDGER_OFFCPU_ENDED], now.count[AP_LEDGER_OFFCPU_DELIVERED]);
	if (stopped)
		assert_int_equal(now.count[AP_LEDGER_READER_IN], now.count[AP_LEDGER_READER_OUT]);
	t->not_run_ns +=
		(now.count[AP_LEDGER_SAMPLE_NOT_RUN] - t->seen.count[AP_LEDGER_SAMPLE_NOT_RUN]) *
		AP_NSEC_PER_SEC / frequency_hz;
	t->seen = now;
}

static void take_row(struct test *t, const struct ap_row *row, pid_t pid)
{
	if (pid == t->child[BURNER].pid && row->event == AP_EVENT_CPU)
		t->burnt += row->value;
	if (pid == t->child[SLEEPER].pid && row->event == AP_EVENT_OFFCPU)
		t->slept += row->value;
	if (pid == t->child[NAPPER].pid && row->event == AP_EVENT_OFFCPU)
		t->napped += row->value;
	if (pid == t->child[WAITER].pid && row->event == AP_EVENT_OFFCPU)
		t->waited += row->value;
	if (pid == t->child[WAITER].pid && row->event == AP_EVENT_LOCK)
		t->waited_lock += row->value;
}

static void collect(struct test *t, uint64_t period_ns)
{
	_cleanup_(ap_cleanup_rows) struct ap_rows *rows = NULL;

	assert_int_equal(ap_profiler_collect(t->p, &rows), 0);
	assert_int_equal(rows->period_ns, period_ns);
	AP_VEC_FOREACH(&rows->rows, row)
		take_row(t, row, rows->processes.p[row->process].pid);
	AP_VEC_FOREACH(&rows->syscalls, s) {
		if (rows->processes.p[s->process].pid != t->child[CALLER].pid)
			continue;
		if (s->number == SYS_getppid)
			t->calls += s->stat.count;
		if (s->number == SYS_read)
			t->longest_read = AP_MAX(t->longest_read, s->stat.max_ns);
	}
}

/* Until the burner has used that much more CPU time; the caller does its calls meanwhile. */
static void let_run(struct test *t, bool counted)
{
	const struct timespec moment = {.tv_nsec = 5 * AP_NSEC_PER_MSEC};
	uint64_t from;
	clockid_t id;

	assert_int_equal(clock_getcpuclockid(t->child[BURNER].pid, &id), 0);
	from = clock_of(id);
	assert_int_equal(write(t->child[CALLER].go, "", 1), 1);
	child_wait(&t->child[CALLER]);
	t->calls_expected += counted ? CALLS : 0;
	while (clock_of(id) < from + PHASE_NS)
		nanosleep(&moment, NULL);
}

static void close_all(struct test *t)
{
	const struct sched_param ordinary = {0};

	sched_setscheduler(0, SCHED_OTHER, &ordinary);
	for (int i = 0; i < PROGRAMS; i++)
		child_end(&t->child[i]);
	ap_profiler_free(t->p);
}

static bool open_all(struct test *t, uint32_t modes)
{
	struct ap_profiler_options o = {
		.modes = modes,
		.frequency_hz = settings[0].frequency_hz,
		.target = AP_TARGET_PIDS,
	};
	/* This process before the burner, which is before all others. */
	const struct sched_param first = {.sched_priority = 2};
	struct ap_error err = {0};
	int r;

	/* Before the profiler: they would hold its descriptors, and with them its programs. */
	for (int i = 0; i < PROGRAMS; i++)
		t->child[i] = child_start((enum program)i);
	r = ap_profiler_open(&o, &err, &t->p);
	if (r == -EPERM || r == -ENOENT) {
		print_message("skipped: %s\n", err.msg);
		close_all(t);
		return false;
	}
	assert_int_equal(r, 0);
	for (int i = 0; i < PROGRAMS; i++)
		assert_int_equal(ap_profiler_add_target(t->p, t->child[i].pid, &err), 0);
	sched_setscheduler(0, SCHED_FIFO, &first);
	return true;
}

/* 1 % and what one moment of each change may hide. */
static void assert_range(const char *what, uint64_t value, const struct range *r, uint64_t each_ns)
{
	uint64_t slack = r->max / 100 + r->changes * each_ns;

	print_message("%s: %.4f s, between %.4f and %.4f s\n", what, (double)value / 1e9,
		      (double)r->min / 1e9, (double)r->max / 1e9);
	assert_in_range(value, r->min - AP_MIN(slack, r->min), r->max + slack);
}

/* What naps is on the CPU in between, which takes an emulated one a tenth of the time; for each change. */
static uint64_t awake(const struct range *r)
{
	return getenv("AP_EMULATED") ? r->max / 10 / r->changes : 0;
}

static void what_is_asked_for_is_told_once_whatever_came_before(void **state)
{
	const struct ap_profiler_setting all = {.modes = ALL_MODES};
	struct test t = {0};
	uint32_t modes = settings[0].modes;

	if (!open_all(&t, AP_MODE_CPU))
		skip();
	/* All is loaded before the start, so that changes take little time. */
	set(&t, &all);
	set(&t, &settings[0]);
	change(&t, modes, start, NULL);
	for (size_t i = 0; i < PHASES; i++) {
		modes = settings[i].modes;
		if (i)
			change(&t, modes, set, &settings[i]);
		check_ledger(&t, settings[AP_MAX(i, (size_t)1) - 1].frequency_hz, false);
		let_run(&t, modes & AP_MODE_SYSCALL);
		collect(&t, 0);
		collect(&t, AP_NSEC_PER_SEC / settings[i].frequency_hz);
	}
	change(&t, 0, stop, NULL);
	collect(&t, AP_NSEC_PER_SEC / settings[PHASES - 1].frequency_hz);
	check_ledger(&t, settings[PHASES - 1].frequency_hz, true);
	/* A period that a change cut short on average half, at most one of 99 Hz. */
	assert_range("burnt", t.burnt, &t.cpu, 5 * AP_NSEC_PER_MSEC + t.not_run_ns);
	assert_range("slept", t.slept, &t.offcpu, AP_NSEC_PER_MSEC / 2);
	assert_range("napped", t.napped, &t.offcpu, 3 * AP_NSEC_PER_MSEC + awake(&t.offcpu));
	assert_range("waited", t.waited, &t.offcpu, AP_NSEC_PER_MSEC / 2);
	assert_range("waited for a lock", t.waited_lock, &t.lock, AP_NSEC_PER_MSEC / 2);
	assert_int_equal(t.calls, t.calls_expected);
	/* The caller waits in read() through phases without system calls that take longer than any with. */
	assert_in_range(t.longest_read, 0, t.syscalls.longest);
	close_all(&t);
}

static void programs_are_loaded_when_they_are_first_asked_for(void **state)
{
	const struct ap_profiler_setting bad = {AP_MODE_CPU, AP_FREQUENCY_MAX + 1, 0};
	const struct ap_profiler_setting all = {ALL_MODES, 997, 0};
	struct test t = {0};
	struct ap_error err = {0};

	if (!open_all(&t, AP_MODE_CPU))
		skip();
	change(&t, AP_MODE_CPU, start, NULL);
	/* What cannot be changes nothing. */
	assert_int_equal(ap_profiler_set(t.p, &bad, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "1 to 10000"));
	let_run(&t, false);
	collect(&t, AP_NSEC_PER_SEC / settings[0].frequency_hz);
	change(&t, ALL_MODES, set, &all);
	check_ledger(&t, settings[0].frequency_hz, false);
	let_run(&t, true);
	change(&t, 0, stop, NULL);
	collect(&t, 0);
	check_ledger(&t, all.frequency_hz, true);
	assert_range("burnt", t.burnt, &t.cpu, 2 * AP_NSEC_PER_MSEC + t.not_run_ns);
	assert_range("slept", t.slept, &t.offcpu, AP_NSEC_PER_MSEC / 2);
	assert_range("waited for a lock", t.waited_lock, &t.lock, AP_NSEC_PER_MSEC / 2);
	assert_int_equal(t.calls, t.calls_expected);
	close_all(&t);
}

/* Those that run already: their first samples are to be complete. */
static void programs_have_tables_before_they_are_sampled(void **state)
{
	const struct ap_profiler_setting calls = {.modes = AP_MODE_SYSCALL}, cpu = {0};
	struct ap_tables_stats tables;
	struct test t = {0};

	if (!open_all(&t, AP_MODE_SYSCALL))
		skip();
	change(&t, calls.modes, start, NULL);
	ap_profiler_tables(t.p, &tables);
	assert_in_range(tables.store.tables, 0, 1); /* the vDSO's */
	change(&t, AP_MODE_CPU, set, &cpu);
	ap_profiler_tables(t.p, &tables);
	assert_true(tables.store.tables > 1);
	if (!getenv("AP_EMULATED")) /* where it takes longer than anybody waits */
		assert_int_equal(tables.queued, 0);
	let_run(&t, false);
	change(&t, 0, stop, NULL);
	collect(&t, 0);
	check_ledger(&t, AP_FREQUENCY_DEFAULT, true);
	assert_range("burnt", t.burnt, &t.cpu, 10 * AP_NSEC_PER_MSEC + t.not_run_ns);
	close_all(&t);
}

/* Neither on busy nor on idle CPUs. */
static void a_change_of_rate_is_no_loss(void **state)
{
	static const struct ap_profiler_setting rates[] = {{AP_MODE_CPU, 99, 0},
							   {AP_MODE_CPU, AP_FREQUENCY_MAX, 0}};
	const struct timespec moment = {.tv_nsec = 15 * AP_NSEC_PER_MSEC};
	struct test t = {0};

	if (!open_all(&t, AP_MODE_CPU))
		skip();
	start(&t, NULL);
	for (int i = 0; i < 60; i++) {
		set(&t, &rates[i & 1]);
		nanosleep(&moment, NULL);
	}
	stop(&t, NULL);
	check_ledger(&t, AP_FREQUENCY_MAX, false);
	print_message("%llu of %llu periods without a run\n",
		      (unsigned long long)t.seen.count[AP_LEDGER_SAMPLE_NOT_RUN],
		      (unsigned long long)t.seen.count[AP_LEDGER_SAMPLE_ELAPSED]);
	/* An emulated CPU does not keep up with such a clock. */
	if (!getenv("AP_EMULATED"))
		assert_in_range(t.seen.count[AP_LEDGER_SAMPLE_NOT_RUN], 0,
				t.seen.count[AP_LEDGER_SAMPLE_ELAPSED] / 10);
	close_all(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_for_is_told_once_whatever_came_before),
		cmocka_unit_test(a_change_of_rate_is_no_loss),
		cmocka_unit_test(programs_have_tables_before_they_are_sampled),
		cmocka_unit_test(programs_are_loaded_when_they_are_first_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

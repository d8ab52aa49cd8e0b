/* SPDX-License-Identifier: Apache-2.0 */
/* Counting against the running kernel; skipped, with the reason, where BPF is not permitted. */
#include "../test.h"
#include "agent/syscalls.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"

#define SKIPPED 77

/* What was reported of one call of one process so far. */
struct seen {
	int32_t pid;
	uint16_t number;
	struct ap_syscall_stat stat;
	uint32_t in_flight; /* at the last drain */
	uint64_t oldest_ns, longest_ns;
	uint64_t all; /* calls of everybody */
	struct ap_ledger ledger;
};

static int take(void *ctx, const struct ap_syscall_report *r)
{
	struct seen *s = ctx;

	s->all += r->stat.count;
	if (r->pid != s->pid || r->number != s->number || r->abi != AP_SYSCALL_NATIVE)
		return 0;
	s->in_flight = r->in_flight;
	s->oldest_ns = r->oldest_ns;
	s->longest_ns = r->stat.max_ns;
	return ap_syscall_stat_add(&s->stat, &r->stat);
}

static int refuse(void *ctx, const struct ap_syscall_report *r)
{
	return -ENOMEM;
}

static struct ap_syscalls *open_counting(const struct ap_syscalls_options *o)
{
	struct ap_syscalls *s = NULL;
	struct ap_error err = {0};

	if (ap_syscalls_open(NULL, o, &err, &s) < 0 || ap_syscalls_start(s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

static void drain(struct ap_syscalls *s, struct seen *seen)
{
	assert_int_equal(ap_syscalls_drain(s, take, seen, &seen->ledger), 0);
}

/* After the stop: all that was counted was reported or is a loss. */
static void check_balance(const struct seen *seen)
{
	const uint64_t *c = seen->ledger.count;

	assert_true(c[AP_LEDGER_SYSCALL_IN] > 0);
	assert_int_equal(c[AP_LEDGER_SYSCALL_IN], seen->all + c[AP_LEDGER_SYSCALL_TABLE_FULL] +
							  c[AP_LEDGER_SYSCALL_NO_START] +
							  c[AP_LEDGER_SYSCALL_NO_MEMORY]);
}

enum { CALLS = 100000, THREADS = 3 };

static void *make_calls(void *arg)
{
	for (int i = 0; i < CALLS; i++)
		syscall(SYS_getppid);
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void count_threads(const struct ap_syscalls_options *o)
{
	struct seen seen = {.pid = getpid(), .number = SYS_getppid};
	struct ap_syscalls *s = open_counting(o);
	pthread_t threads[THREADS];
	uint64_t longest = 0;
	int done = 0;

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, make_calls, &done), 0);
	while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < THREADS) {
		drain(s, &seen);
		longest = AP_MAX(longest, seen.longest_ns);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ap_syscalls_stop(s);
	drain(s, &seen);
	assert_int_equal(seen.stat.count, THREADS * CALLS);
	assert_int_equal(ap_syscall_counts_sum(&seen.stat.buckets), THREADS * CALLS);
	assert_int_equal(seen.stat.errors.v.n, 0);
	assert_int_equal(seen.stat.max_ns, AP_MAX(longest, seen.longest_ns));
	assert_true(seen.stat.sum_ns > 0 && seen.stat.max_ns < 10 * AP_NSEC_PER_SEC);
	assert_int_equal(seen.ledger.count[AP_LEDGER_SYSCALL_TABLE_FULL], 0);
	check_balance(&seen);
	ap_syscall_stat_free(&seen.stat);
	ap_syscalls_free(s);
}

static void drains_meanwhile_lose_nothing(void **state)
{
	count_threads(NULL);
}

/* All threads but one find the place of their flights taken. */
static void more_threads_than_places_are_counted_too(void **state)
{
	const struct ap_syscalls_options o = {.max_flights = 1};

	count_threads(&o);
}

static struct ap_syscalls_options chosen(const char *name)
{
	const char *p[] = {name};
	struct ap_strings calls = {.n = 1}, none = {0};
	struct ap_syscalls_options o;
	struct ap_error err = {0};

	memcpy(&calls.p, &(void *){p}, sizeof(calls.p));
	if (ap_syscall_options_parse(&calls, &none, 0, 0, &o, &err) < 0)
		fail_msg("%s", err.msg);
	return o;
}

/* How many of ten getppid() or of ten close() are counted; all that is counted, `ret_all`. */
static uint64_t count_ten(const struct ap_syscalls_options *o, uint16_t number, uint64_t *ret_all)
{
	struct seen seen = {.pid = getpid(), .number = number};
	struct ap_syscalls *s = open_counting(o);
	uint64_t n;

	for (int i = 0; i < 10; i++) {
		syscall(SYS_getppid);
		syscall(SYS_close, -1);
	}
	ap_syscalls_stop(s);
	drain(s, &seen);
	check_balance(&seen);
	n = seen.stat.count;
	*ret_all = seen.ledger.count[AP_LEDGER_SYSCALL_IN];
	ap_syscall_stat_free(&seen.stat);
	ap_syscalls_free(s);
	return n;
}

static void only_chosen_calls_are_counted(void **state)
{
	struct ap_syscalls_options one = chosen("getppid"), not_one = chosen("!getppid");
	uint64_t all;

	assert_int_equal(count_ten(&one, SYS_getppid, &all), 10);
	assert_int_equal(count_ten(&one, SYS_close, &all), 0);
	assert_int_equal(count_ten(&not_one, SYS_getppid, &all), 0);
	assert_true(count_ten(&not_one, SYS_close, &all) >= 10);
	assert_true(all > 10);
}

/* The maximum is that of the time since the last drain. */
static void each_drain_has_its_own_maximum(void **state)
{
	static const long pauses_ms[] = {300, 5, 20};
	struct seen seen = {.pid = getpid(), .number = SYS_clock_nanosleep};
	struct ap_syscalls *s = open_counting(NULL);

	for (size_t i = 0; i < AP_ARRAY_SIZE(pauses_ms); i++) {
		const struct timespec t = {.tv_nsec = pauses_ms[i] * 1000000};

		syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &t, NULL);
		drain(s, &seen);
		assert_true(seen.longest_ns >= (uint64_t)t.tv_nsec);
		/* Not that of the first one again. */
		assert_true(i == 0 || seen.longest_ns < 300000000);
	}
	ap_syscall_stat_free(&seen.stat);
	ap_syscalls_free(s);
}

/* Keys that are alike find places of their own. */
static void many_calls_find_room(void **state)
{
	struct seen seen = {.pid = getpid(), .number = 1300};
	struct ap_syscalls *s = open_counting(NULL);

	for (long number = 1000; number < 1600; number++)
		syscall(number);
	ap_syscalls_stop(s);
	drain(s, &seen);
	assert_int_equal(seen.stat.count, 1);
	assert_int_equal(ap_syscall_counts_sum(&seen.stat.errors), 1);
	assert_int_equal(seen.ledger.count[AP_LEDGER_SYSCALL_TABLE_FULL], 0);
	check_balance(&seen);
	ap_syscall_stat_free(&seen.stat);
	ap_syscalls_free(s);
}

static void a_full_table_is_counted(void **state)
{
	const struct ap_syscalls_options o = {.max_cells = 4, .max_errors = 1};
	struct seen seen = {.pid = getpid(), .number = SYS_getppid};
	struct ap_syscalls *s = open_counting(&o);
	int done = 0;

	make_calls(&done);
	for (int i = 0; i < 100; i++)
		assert_int_equal(access("/nonexistent/x", R_OK), -1);
	drain(s, &seen);
	ap_syscalls_stop(s);
	drain(s, &seen);
	assert_true(ap_ledger_get(&seen.ledger, AP_LEDGER_SYSCALL_TABLE_FULL) > 0);
	check_balance(&seen);
	ap_syscall_stat_free(&seen.stat);
	ap_syscalls_free(s);
}

static void what_is_not_taken_is_counted(void **state)
{
	struct seen seen = {.pid = getpid(), .number = SYS_getppid};
	struct ap_syscalls *s = open_counting(NULL);
	int done = 0;

	make_calls(&done);
	assert_int_equal(ap_syscalls_drain(s, refuse, NULL, &seen.ledger), 0);
	ap_syscalls_stop(s);
	drain(s, &seen);
	assert_true(ap_ledger_get(&seen.ledger, AP_LEDGER_SYSCALL_NO_MEMORY) >= CALLS);
	check_balance(&seen);
	ap_syscall_stat_free(&seen.stat);
	ap_syscalls_free(s);
}

static void a_call_in_flight_is_told_with_its_age(void **state)
{
	struct seen seen = {.number = SYS_read};
	struct ap_syscalls *s = open_counting(NULL);
	uint64_t deadline = ap_clock_mono_ns() + 20 * AP_NSEC_PER_SEC, age;
	int fds[2], status;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	seen.pid = fork();
	if (seen.pid == 0) {
		char byte;

		close(fds[1]);
		_exit(read(fds[0], &byte, 1) != 0);
	}
	close(fds[0]);
	while (!seen.in_flight && ap_clock_mono_ns() < deadline)
		drain(s, &seen);
	assert_int_equal(seen.in_flight, 1);
	age = seen.oldest_ns;
	drain(s, &seen);
	assert_true(seen.oldest_ns > age);
	assert_int_equal(seen.stat.count, 0);
	close(fds[1]);
	assert_int_equal(waitpid(seen.pid, &status, 0), seen.pid);
	drain(s, &seen);
	assert_int_equal(seen.in_flight, 0);
	assert_int_equal(seen.stat.count, 1);
	assert_true(seen.stat.max_ns > age);
	ap_syscall_stat_free(&seen.stat);
	ap_syscalls_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drains_meanwhile_lose_nothing),
		cmocka_unit_test(more_threads_than_places_are_counted_too),
		cmocka_unit_test(only_chosen_calls_are_counted),
		cmocka_unit_test(each_drain_has_its_own_maximum),
		cmocka_unit_test(many_calls_find_room),
		cmocka_unit_test(a_full_table_is_counted),
		cmocka_unit_test(what_is_not_taken_is_counted),
		cmocka_unit_test(a_call_in_flight_is_told_with_its_age),
	};
	struct ap_syscalls *s = NULL;
	struct ap_error err = {0};

	if (ap_syscalls_open(NULL, NULL, &err, &s) < 0) {
		fprintf(stderr, "skipped: %s\n", err.msg);
		return SKIPPED;
	}
	ap_syscalls_free(s);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

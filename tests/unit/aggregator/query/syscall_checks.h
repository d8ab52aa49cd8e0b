/* SPDX-License-Identifier: Apache-2.0 */
/* Ten seconds of system calls of two processes on one host, and every answer about them. */
#ifndef AP_TESTS_SYSCALL_CHECKS_H
#define AP_TESTS_SYSCALL_CHECKS_H

#include "fixture.h"

static inline void add_calls(struct ap_profile *p, int64_t second, const char *label_text,
			     const char *name, uint64_t ns, uint64_t count, uint32_t in_flight)
{
	struct ap_syscall_stat s = {.count = count, .sum_ns = ns * count, .max_ns = count ? ns : 0};
	struct ap_syscall row = {.time_ns = NS(second) + 5,
				 .labels = labels(p, label_text),
				 .in_flight = in_flight,
				 .oldest_ns = in_flight ? 1000 * (uint64_t)(second - T0 + 1) : 0};

	ap_profile_string(p, ap_str_of(name), &row.name);
	ap_profile_string(p, AP_STR("x86-64"), &row.abi);
	ap_syscall_counts_add(&s.buckets, ap_latency_bucket(ns), count);
	if (count > 1)
		ap_syscall_counts_add(&s.errors, 11, 1);
	assert_int_equal(ap_profile_add_syscall(p, &row, &s), 0);
	ap_syscall_stat_free(&s);
}

/* Second k: redis reads 3 times in 1000 ns, once with EAGAIN, and nginx once in (k + 1) ms; a thread of
 * redis waits in futex until second 6, one of nginx to the end. */
static inline void push_calls(struct fixture *f, int k)
{
	struct ap_profile *p = ap_profile_new();
	const char *redis = "service=redis,comm=io,pid=7,team=db", *nginx = "service=nginx,pid=8";

	add_calls(p, T0 + k, redis, "read", 1000, 3, 0);
	add_calls(p, T0 + k, nginx, "read", 1000000 * (uint64_t)(k + 1), 1, 0);
	if (k < 6)
		add_calls(p, T0 + k, redis, "futex", 1, 0, 1);
	else if (k == 6)
		add_calls(p, T0 + k, redis, "futex", 6000000000, 1, 0);
	add_calls(p, T0 + k, nginx, "futex", 1, 0, 1);
	push(f, p, "h1", T0 + k, T0 + k + 1);
}

static inline struct ap_syscall_table *ask(struct fixture *f, const struct ap_query *q,
					   const struct ap_syscall_query *s, struct ap_coverage *c)
{
	struct ap_syscall_table *t = NULL;
	struct ap_error err = {0};

	if (ap_query_syscalls(f->queries, q, s, &t, c, &err) < 0)
		fail_msg("%s", err.msg);
	return t;
}

static inline const struct ap_syscall_row *row_named(const struct ap_syscall_table *t,
						     const char *name, const char *value)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (ap_str_is(t->rows[i].syscall, name) && ap_str_is(t->rows[i].value, value))
			return &t->rows[i];
	fail_msg("no row %s of %s", name, value);
	return NULL;
}

static inline void check_rows(struct fixture *f)
{
	struct ap_query q = query(T0, T0 + 10);
	struct ap_coverage c;
	_cleanup_(ap_cleanup_syscall_table) struct ap_syscall_table *t =
		ask(f, &q, &(struct ap_syscall_query){0}, &c);
	const struct ap_syscall_row *read = row_named(t, "read", "");
	const struct ap_syscall_row *futex = row_named(t, "futex", "");

	assert_int_equal(t->n, 2);
	assert_ptr_equal(futex, &t->rows[0]); /* the most time */
	assert_int_equal(t->count, 41);
	assert_int_equal(t->covered_s, 10);
	assert_int_equal(read->stat.count, 40);
	assert_int_equal(read->stat.sum_ns, 30 * 1000 + 55 * 1000000);
	assert_int_equal(read->stat.max_ns, 10000000);
	assert_int_equal(read->errors, 10);
	assert_int_equal(read->stat.errors.v.p[0].number, 11);
	assert_int_equal(ap_syscall_counts_sum(&read->stat.buckets), 40);
	assert_true(ap_syscall_quantile(&read->stat, 0.5) > 937);
	assert_true(ap_syscall_quantile(&read->stat, 0.5) < 1063);
	assert_int_equal(read->in_flight, 0);
	assert_int_equal(futex->in_flight, 1); /* redis's has ended */
	assert_int_equal(futex->oldest_ns, 10000);
	assert_int_equal(c.hosts_reporting, 1);
	assert_int_equal(c.lost, 10 * 2);
	assert_null(c.truncated);
}

static inline void check_by_label(struct fixture *f)
{
	struct ap_query q = query(T0, T0 + 10);
	struct ap_coverage c;
	_cleanup_(ap_cleanup_syscall_table) struct ap_syscall_table *t =
		ask(f, &q,
		    &(struct ap_syscall_query){
			    .by = AP_STR("service"), .sort = AP_SYSCALL_SORT_COUNT, .limit = 3},
		    &c);

	assert_int_equal(t->n, 3);
	assert_int_equal(t->n_rows, 4);
	assert_string_equal(c.truncated, "rows");
	assert_int_equal(c.cut, 1);
	assert_int_equal(t->count, 41); /* of what was cut off too */
	assert_int_equal(row_named(t, "read", "redis")->stat.count, 30);
	assert_int_equal(row_named(t, "read", "nginx")->stat.count, 10);
	assert_int_equal(row_named(t, "futex", "redis")->in_flight, 0);
}

static inline void check_selected(struct fixture *f)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	struct ap_query q = query(T0 + 2, T0 + 4);
	struct ap_coverage c;
	struct ap_syscall_table *t;

	assert_int_equal(ap_filter_parse(AP_STR("{team=\"db\"}"), &filter, NULL, NULL), 0);
	q.filter = filter;
	t = ask(f, &q, &(struct ap_syscall_query){.by = AP_STR("pid")}, &c);
	assert_int_equal(row_named(t, "read", "7")->stat.count, 6);
	assert_int_equal(row_named(t, "futex", "7")->in_flight, 1);
	assert_int_equal(row_named(t, "futex", "7")->oldest_ns, 4000);
	assert_int_equal(t->n, 2);
	ap_syscall_table_free(t);
	t = ask(f, &q, &(struct ap_syscall_query){.syscall = AP_STR("write")}, &c);
	assert_int_equal(t->n, 0);
	ap_syscall_table_free(t);
}

static inline void check_over_time(struct fixture *f)
{
	struct ap_query q = query(T0 - 10, T0 + 10);
	struct ap_coverage c;
	_cleanup_(ap_cleanup_syscall_table) struct ap_syscall_table *t =
		ask(f, &q,
		    &(struct ap_syscall_query){
			    .syscall = AP_STR("read"), .steps = true, .step_ms = 5000},
		    &c);

	assert_int_equal(t->n_steps, 4);
	assert_false(t->steps[0].reported);
	assert_int_equal(t->covered_s, 10);
	for (int i = 2; i < 4; i++) {
		assert_true(t->steps[i].reported);
		assert_int_equal(t->steps[i].count, 20);
		assert_int_equal(t->steps[i].errors, 5);
	}
	assert_int_equal(t->steps[2].max_ns, 5000000);
	assert_int_equal(t->steps[3].max_ns, 10000000);
	assert_true(t->steps[3].p99_ns > 9375000 && t->steps[3].p99_ns <= 10000000);
}

static inline void check_calls(struct fixture *f)
{
	check_rows(f);
	check_by_label(f);
	check_selected(f);
	check_over_time(f);
}

#endif

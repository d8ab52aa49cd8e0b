/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "profile/merge.h"
#include "profile/profile.h"

static void check_bucket(uint64_t ns)
{
	uint32_t b = ap_latency_bucket(ns);
	uint64_t from = ap_latency_from(b), to = ap_latency_from(b + 1);
	double middle = (double)from + (double)(to - from) / 2;

	assert_true(b < AP_LATENCY_BUCKETS);
	assert_true(from <= ns && (ns < to || to == UINT64_MAX));
	if (to - from > 1 && to != UINT64_MAX) {
		double away = middle > (double)ns ? middle - (double)ns : (double)ns - middle;

		assert_true(away <= 0.0625 * (double)ns);
	}
}

static void a_bucket_holds_its_values_within_the_error(void **state)
{
	uint64_t random = 88172645463325252ull;

	for (uint64_t ns = 0; ns < 300000; ns++)
		check_bucket(ns);
	for (int bit = 0; bit < 64; bit++) {
		check_bucket(1ull << bit);
		check_bucket((1ull << bit) - 1);
		check_bucket((1ull << bit) + 1);
	}
	for (int i = 0; i < 1000000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		check_bucket(random >> (i % 64));
	}
}

static void buckets_follow_one_another(void **state)
{
	for (uint32_t b = 1; b < AP_LATENCY_BUCKETS; b++) {
		assert_true(ap_latency_from(b) > ap_latency_from(b - 1));
		assert_int_equal(ap_latency_bucket(ap_latency_from(b)), b);
		assert_int_equal(ap_latency_bucket(ap_latency_from(b) - 1), b - 1);
	}
	assert_true(ap_latency_from(AP_LATENCY_BUCKETS) == UINT64_MAX);
}

static void counts_are_kept_in_order(void **state)
{
	static const uint32_t numbers[] = {40, 7, 495, 7, 0, 40, 41};
	struct ap_syscall_counts c = {0};

	for (size_t i = 0; i < AP_ARRAY_SIZE(numbers); i++)
		assert_int_equal(ap_syscall_counts_add(&c, numbers[i], i + 1), 0);
	assert_int_equal(ap_syscall_counts_add(&c, 3, 0), 0);
	assert_int_equal(c.v.n, 5);
	for (size_t i = 1; i < c.v.n; i++)
		assert_true(c.v.p[i].number > c.v.p[i - 1].number);
	assert_int_equal(c.v.p[1].number, 7);
	assert_int_equal(c.v.p[1].count, 2 + 4);
	assert_int_equal(ap_syscall_counts_sum(&c), 28);
	ap_vec_free(&c.v);
}

/* Latencies 1 to 1000 µs, one each. */
static void quantiles_are_within_the_error(void **state)
{
	struct ap_syscall_stat s = {0};

	assert_true(ap_syscall_quantile(&s, 0.5) < 0);
	for (uint64_t us = 1; us <= 1000; us++) {
		ap_syscall_counts_add(&s.buckets, ap_latency_bucket(us * 1000), 1);
		s.count++;
		s.sum_ns += us * 1000;
	}
	s.max_ns = 1000000;
	for (int percent = 1; percent <= 100; percent++) {
		double q = ap_syscall_quantile(&s, percent / 100.0), exact = percent * 10000.0;

		assert_true(q >= exact * (1 - 0.0625) && q <= exact * 1.0625);
		assert_true(q <= (double)s.max_ns);
	}
	ap_syscall_stat_free(&s);
}

static void stats_add_up(void **state)
{
	struct ap_syscall_stat a = {.count = 2, .sum_ns = 30, .max_ns = 20};
	struct ap_syscall_stat b = {.count = 1, .sum_ns = 5, .max_ns = 5};

	ap_syscall_counts_add(&a.buckets, ap_latency_bucket(10), 1);
	ap_syscall_counts_add(&a.buckets, ap_latency_bucket(20), 1);
	ap_syscall_counts_add(&b.buckets, ap_latency_bucket(5), 1);
	ap_syscall_counts_add(&b.errors, 11, 1);
	assert_int_equal(ap_syscall_stat_add(&a, &b), 0);
	assert_int_equal(a.count, 3);
	assert_int_equal(a.sum_ns, 35);
	assert_int_equal(a.max_ns, 20);
	assert_int_equal(ap_syscall_counts_sum(&a.buckets), 3);
	assert_int_equal(ap_syscall_counts_sum(&a.errors), 1);
	ap_syscall_stat_free(&a);
	ap_syscall_stat_free(&b);
}

static void calls_and_errors_have_names(void **state)
{
#ifdef __x86_64__
	assert_string_equal(ap_syscall_name(AP_SYSCALL_NATIVE, 0), "read");
	assert_string_equal(ap_syscall_name(AP_SYSCALL_COMPAT, 3), "read");
	assert_string_equal(ap_syscall_name(AP_SYSCALL_X32, 513), "rt_sigreturn");
	assert_string_equal(ap_syscall_abi_name(AP_SYSCALL_COMPAT), "i386");
#endif
	assert_null(ap_syscall_name(AP_SYSCALL_NATIVE, 9999));
	assert_null(ap_syscall_name(AP_SYSCALL_ABI_MAX, 0));
	assert_string_equal(ap_errno_name(11), "EAGAIN");
	assert_string_equal(ap_errno_name(512), "ERESTARTSYS");
	assert_null(ap_errno_name(0));
	assert_null(ap_errno_name(4095));
}

static struct ap_profile *one_call(const char *name, uint64_t ns)
{
	struct ap_profile *p = ap_profile_new();
	struct ap_syscall_stat s = {.count = 1, .sum_ns = ns, .max_ns = ns};
	struct ap_syscall row = {.time_ns = 1};

	ap_profile_string(p, ap_str_of(name), &row.name);
	ap_profile_string(p, AP_STR("x86-64"), &row.abi);
	ap_syscall_counts_add(&s.buckets, ap_latency_bucket(ns), 1);
	assert_int_equal(ap_profile_add_syscall(p, &row, &s), 0);
	row.name = 99;
	assert_int_equal(ap_profile_add_syscall(p, &row, &s), -EINVAL);
	ap_syscall_stat_free(&s);
	return p;
}

static void merged_profiles_keep_their_rows(void **state)
{
	struct ap_profile *a = one_call("read", 100), *b = one_call("write", 900);
	struct ap_syscall_stat s = {0};

	assert_int_equal(ap_profile_merge(a, b), 0);
	ap_profile_free(b);
	assert_int_equal(a->syscalls.n, 2);
	assert_true(ap_str_is(ap_profile_str(a, a->syscalls.p[1].name), "write"));
	assert_true(ap_str_is(ap_profile_str(a, a->syscalls.p[1].abi), "x86-64"));
	assert_int_equal(ap_profile_syscall_stat(a, &a->syscalls.p[1], &s), 0);
	assert_int_equal(s.max_ns, 900);
	assert_int_equal(s.buckets.v.p[0].number, ap_latency_bucket(900));
	ap_syscall_stat_free(&s);
	ap_profile_free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_holds_its_values_within_the_error),
		cmocka_unit_test(buckets_follow_one_another),
		cmocka_unit_test(counts_are_kept_in_order),
		cmocka_unit_test(quantiles_are_within_the_error),
		cmocka_unit_test(stats_add_up),
		cmocka_unit_test(calls_and_errors_have_names),
		cmocka_unit_test(merged_profiles_keep_their_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

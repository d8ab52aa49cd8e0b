/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/account.h"

#include "../test.h"
#include "base/macro.h"

static void divides_periods_without_a_run(void **state)
{
	struct ap_cpu_account a = {0};

	assert_int_equal(ap_cpu_account_update(&a, 10, 10, 1), 10);
	assert_int_equal(a.idle + a.not_run, 0);
	/* Five more, of which one ran and at most three were idle. */
	assert_int_equal(ap_cpu_account_update(&a, 15, 11, 3), 15);
	assert_int_equal(a.idle, 3);
	assert_int_equal(a.not_run, 1);
	assert_int_equal(ap_cpu_account_update(&a, 20, 11, 8), 20);
	assert_int_equal(a.idle, 8);
	assert_int_equal(a.not_run, 1);
}

static void runs_that_catch_up_take_nothing_back(void **state)
{
	struct ap_cpu_account a = {0};

	assert_int_equal(ap_cpu_account_update(&a, 10, 7, 1), 10);
	assert_int_equal(a.not_run, 2);
	assert_int_equal(ap_cpu_account_update(&a, 10, 9, 1), 12);
	assert_int_equal(ap_cpu_account_update(&a, 12, 9, 1), 12);
	assert_int_equal(ap_cpu_account_update(&a, 13, 9, 1), 13);
	assert_int_equal(a.idle, 1);
	assert_int_equal(a.not_run, 3);
	/* More runs than periods, and an idle time that went back. */
	assert_int_equal(ap_cpu_account_update(&a, 13, 20, 0), 24);
}

/* Clocks that are read at slightly different moments, as on a busy machine. */
static void no_increment_is_negative_and_all_add_up(void **state)
{
	struct ap_ledger now = {0}, sent = {0}, total = {0};
	struct ap_cpu_account a = {0};
	uint64_t elapsed = 0, ran = 0;
	uint32_t random = 1;

	for (int i = 0; i < 10000; i++) {
		struct ap_ledger batch = {0};
		uint64_t late;

		random = random * 1664525 + 1013904223;
		elapsed += random >> 24 & 15;
		ran = AP_MAX(ran, elapsed / 2 + (random >> 20 & 3));
		late = random >> 16 & 3;
		now.count[AP_LEDGER_SAMPLE_ELAPSED] = ap_cpu_account_update(
			&a, elapsed - AP_MIN(elapsed, late), ran, elapsed / 3 + (random >> 12 & 3));
		now.count[AP_LEDGER_SAMPLE_DELIVERED] = ran;
		now.count[AP_LEDGER_SAMPLE_IDLE] = a.idle;
		now.count[AP_LEDGER_SAMPLE_NOT_RUN] = a.not_run;
		ap_ledger_take(&sent, &now, &batch);
		for (uint32_t id = 0; id < AP_LEDGER_MAX; id++) {
			assert_true(batch.count[id] < 100);
			total.count[id] += batch.count[id];
		}
		assert_int_equal(batch.count[AP_LEDGER_SAMPLE_ELAPSED],
				 batch.count[AP_LEDGER_SAMPLE_DELIVERED] +
					 batch.count[AP_LEDGER_SAMPLE_IDLE] +
					 batch.count[AP_LEDGER_SAMPLE_NOT_RUN]);
	}
	assert_memory_equal(total.count, now.count, sizeof(total.count));
	assert_true(now.count[AP_LEDGER_SAMPLE_ELAPSED] <= elapsed + 4);
}

static void an_entry_that_goes_back_catches_up(void **state)
{
	static const uint64_t values[] = {5, 3, 4, 5, 9};
	struct ap_ledger sent = {0}, total = {0};

	for (size_t i = 0; i < AP_ARRAY_SIZE(values); i++) {
		struct ap_ledger now = {.count = {[AP_LEDGER_BATCH_OUT] = values[i]}};

		ap_ledger_take(&sent, &now, &total);
		assert_int_equal(total.count[AP_LEDGER_BATCH_OUT], AP_MAX(values[i], 5u));
	}
}

static void periods_are_exact_whatever_the_stride_was(void **state)
{
	static const uint32_t strides[] = {1, 4, 16, 2, 1};
	const uint64_t period = 1000;
	struct ap_cpu_periods p = {.period_ns = period, .stride = 1};
	uint64_t wall = 0;

	for (size_t i = 0; i < AP_ARRAY_SIZE(strides); i++) {
		p.stride = strides[i];
		for (int look = 0; look < 7; look++) {
			wall += 33331;
			ap_cpu_periods_count(&p, wall, wall / 2);
			/* What is not counted yet is less than one sample stands for. */
			assert_in_range(wall - (p.due + p.thinned) * period, 0,
					period * strides[i] - 1);
		}
	}
	assert_int_equal(p.due + p.thinned, wall / period);
	assert_in_range(p.idle, p.due / 2 - 1, p.due / 2 + 1);
}

static void clocks_that_go_back_count_nothing(void **state)
{
	struct ap_cpu_periods p = {.period_ns = 10, .stride = 2};

	ap_cpu_periods_count(&p, 100, 60);
	assert_int_equal(p.due, 5);
	assert_int_equal(p.thinned, 5);
	assert_int_equal(p.idle, 3);
	ap_cpu_periods_count(&p, 50, 0);
	ap_cpu_periods_count(&p, 119, 79);
	assert_int_equal(p.due, 5);
	assert_int_equal(p.idle, 3);
	ap_cpu_periods_count(&p, 120, 80);
	assert_int_equal(p.due, 6);
	assert_int_equal(p.idle, 4);
}

/* A change of rate: counts go on, and what was left over of a long period makes no short ones. */
static void a_new_period_begins_where_it_is_said_to(void **state)
{
	struct ap_cpu_periods p = {.period_ns = 1000, .stride = 1};

	ap_cpu_periods_count(&p, 2999, 1999);
	assert_int_equal(p.due, 2);
	assert_int_equal(p.idle, 1);
	ap_cpu_periods_begin(&p, 10, 4, 2999, 1999);
	ap_cpu_periods_count(&p, 3038, 2038);
	assert_int_equal(p.due, 2);
	ap_cpu_periods_count(&p, 3039, 2039);
	assert_int_equal(p.due, 3);
	assert_int_equal(p.thinned, 3);
	assert_int_equal(p.idle, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(periods_are_exact_whatever_the_stride_was),
		cmocka_unit_test(clocks_that_go_back_count_nothing),
		cmocka_unit_test(a_new_period_begins_where_it_is_said_to),
		cmocka_unit_test(divides_periods_without_a_run),
		cmocka_unit_test(runs_that_catch_up_take_nothing_back),
		cmocka_unit_test(no_increment_is_negative_and_all_add_up),
		cmocka_unit_test(an_entry_that_goes_back_catches_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

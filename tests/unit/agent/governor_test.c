/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/governor.h"

#include "../test.h"
#include "base/clock.h"

#define WINDOW (5 * AP_NSEC_PER_SEC)
#define PERIOD (AP_NSEC_PER_SEC / 99)
#define BUDGET 0.01

/* An agent whose cost is a fixed share of a CPU and one that goes with its samples. */
struct agent {
	struct ap_governor governor;
	uint64_t now, cost;
};

static struct agent start(double budget)
{
	struct agent a = {.now = 77};

	ap_governor_init(&a.governor, budget, WINDOW, PERIOD);
	assert_false(ap_governor_update(&a.governor, a.now, a.cost));
	return a;
}

/* Returns the changes of the stride while `windows` go by. */
static uint64_t run(struct agent *a, unsigned windows, double fixed, double sampled)
{
	uint64_t before = a->governor.changes;

	for (unsigned i = 0; i < windows; i++) {
		a->now += WINDOW;
		a->cost += (uint64_t)((fixed + sampled / a->governor.stride) * (double)WINDOW);
		ap_governor_update(&a->governor, a->now, a->cost);
	}
	return a->governor.changes - before;
}

static void within_the_budget_nothing_changes(void **state)
{
	struct agent a = start(BUDGET);

	assert_int_equal(run(&a, 100, 0.002, 0.007), 0);
	assert_int_equal(a.governor.stride, 1);
}

static void a_cost_of_samples_is_met_at_once(void **state)
{
	struct agent a = start(BUDGET);

	assert_int_equal(run(&a, 2, 0, 0.035), 0);
	assert_int_equal(run(&a, 1, 0, 0.035), 1);
	assert_int_equal(a.governor.stride, 4);
	assert_int_equal(run(&a, 100, 0, 0.035), 0);
}

static void a_fixed_cost_takes_more_steps_and_has_an_end(void **state)
{
	struct agent a = start(BUDGET);

	run(&a, 100, 0.008, 0.008);
	assert_int_equal(a.governor.stride, 4);
	a = start(BUDGET);
	run(&a, 100, 0.02, 0.001);
	assert_int_equal(a.governor.stride, 16);
}

static void bursts_are_let_pass(void **state)
{
	struct agent a = start(BUDGET);

	for (int i = 0; i < 20; i++) {
		assert_int_equal(run(&a, 2, 0.5, 0.001), 0);
		assert_int_equal(run(&a, 1, 0, 0.001), 0);
	}
}

static void a_constant_load_never_swings(void **state)
{
	for (int fixed = 0; fixed <= 20; fixed++) {
		for (int sampled = 0; sampled <= 200; sampled += 5) {
			struct agent a = start(BUDGET);

			run(&a, 200, fixed / 1000.0, sampled / 1000.0);
			assert_int_equal(run(&a, 500, fixed / 1000.0, sampled / 1000.0), 0);
		}
	}
}

static void the_rate_comes_back_step_by_step(void **state)
{
	struct agent a = start(BUDGET);

	run(&a, 10, 0, 0.1);
	assert_int_equal(a.governor.stride, 16);
	assert_int_equal(run(&a, 5, 0, 0.004), 0);
	assert_int_equal(run(&a, 1, 0, 0.004), 1);
	assert_int_equal(a.governor.stride, 8);
	assert_int_equal(run(&a, 100, 0, 0.004), 3);
	assert_int_equal(a.governor.stride, 1);
}

static void no_budget_no_governor(void **state)
{
	struct agent a = start(0);

	assert_int_equal(run(&a, 100, 1, 1), 0);
}

static void a_slow_rate_is_not_lowered_below_one_a_second(void **state)
{
	struct agent a = start(BUDGET);

	ap_governor_init(&a.governor, BUDGET, WINDOW, AP_NSEC_PER_SEC / 5);
	run(&a, 50, 0, 0.5);
	assert_int_equal(a.governor.stride, 4);
	ap_governor_init(&a.governor, BUDGET, WINDOW, AP_NSEC_PER_SEC);
	assert_int_equal(run(&a, 50, 0, 0.5), 0);
}

static void an_estimate_that_falls_costs_nothing(void **state)
{
	struct agent a = start(BUDGET);

	for (int i = 0; i < 50; i++) {
		a.cost = 1000000 - (uint64_t)i;
		a.now += WINDOW;
		ap_governor_update(&a.governor, a.now, a.cost);
	}
	assert_int_equal(a.governor.stride, 1);
}

/* At another rate it begins anew, within what that rate permits. */
static void a_new_period_begins_with_every_sample(void **state)
{
	struct agent a = start(BUDGET);

	run(&a, 20, 0, 8 * BUDGET);
	assert_true(a.governor.stride > 1);
	ap_governor_restart(&a.governor, AP_NSEC_PER_SEC / 2);
	assert_int_equal(a.governor.stride, 1);
	assert_true(a.governor.changes > 0);
	run(&a, 20, 0, 8 * BUDGET);
	assert_int_equal(a.governor.stride, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_new_period_begins_with_every_sample),
		cmocka_unit_test(within_the_budget_nothing_changes),
		cmocka_unit_test(a_cost_of_samples_is_met_at_once),
		cmocka_unit_test(a_fixed_cost_takes_more_steps_and_has_an_end),
		cmocka_unit_test(bursts_are_let_pass),
		cmocka_unit_test(a_constant_load_never_swings),
		cmocka_unit_test(the_rate_comes_back_step_by_step),
		cmocka_unit_test(no_budget_no_governor),
		cmocka_unit_test(a_slow_rate_is_not_lowered_below_one_a_second),
		cmocka_unit_test(an_estimate_that_falls_costs_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

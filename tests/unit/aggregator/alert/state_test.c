/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/alert/state.h"

#include "../../test.h"
#include <math.h>

#define T0 1764000000000ll

/* A rule `gt 10`, one reading every 15 s. */
struct fixture {
	struct ap_alert_rule rule;
	struct ap_alert_status status;
	struct ap_alert_transition last;
	int64_t now;
	unsigned int transitions;
};

static struct fixture begin(uint32_t for_s, double recover)
{
	return (struct fixture){
		.rule = {.op = AP_ALERT_GT,
			 .threshold = 10,
			 .recover = recover,
			 .for_s = for_s,
			 .interval_s = 15},
		.now = T0,
	};
}

static void take(struct fixture *f, struct ap_alert_reading reading, int64_t after_s,
		 enum ap_alert_state expected)
{
	f->now += after_s * 1000;
	f->transitions += ap_alert_step(&f->rule, &f->status, &reading, f->now, &f->last);
	assert_string_equal(ap_alert_state_names[f->status.state], ap_alert_state_names[expected]);
}

static void value(struct fixture *f, double v, enum ap_alert_state expected)
{
	take(f, (struct ap_alert_reading){.sufficient = true, .value = v, .samples = 700}, 15,
	     expected);
}

static void nothing(struct fixture *f, enum ap_alert_state expected)
{
	take(f, (struct ap_alert_reading){.samples = 499}, 15, expected);
}

static void test_without_duration_it_fires_at_once(void **state)
{
	struct fixture f = begin(0, 10);

	value(&f, 10, AP_ALERT_OK);
	assert_int_equal(f.transitions, 0);
	value(&f, 11, AP_ALERT_FIRING);
	assert_int_equal(f.last.from, AP_ALERT_OK);
	assert_int_equal(f.last.to, AP_ALERT_FIRING);
	assert_int_equal(f.status.since_ms, f.now);
	value(&f, 12, AP_ALERT_FIRING);
	assert_int_equal(f.status.since_ms, f.now - 15000);
	value(&f, 10, AP_ALERT_RESOLVED);
	value(&f, 9, AP_ALERT_RESOLVED);
	assert_int_equal(f.transitions, 2);
	assert_false(f.status.open);
	assert_int_equal(f.status.fired_ms, T0 + 30000);
}

static void test_it_must_hold_for_the_duration(void **state)
{
	struct fixture f = begin(60, 10);

	for (int i = 0; i < 4; i++)
		value(&f, 11, AP_ALERT_PENDING);
	value(&f, 10, AP_ALERT_OK); /* 45 s were not enough, and count for nothing now */
	for (int i = 0; i < 4; i++)
		value(&f, 11, AP_ALERT_PENDING);
	value(&f, 11, AP_ALERT_FIRING);
	assert_int_equal(f.last.from, AP_ALERT_PENDING);
	value(&f, 1, AP_ALERT_RESOLVED);
	value(&f, 11, AP_ALERT_PENDING);
	value(&f, 1, AP_ALERT_OK);
}

static void test_hysteresis_keeps_it_firing(void **state)
{
	struct fixture f = begin(0, 8);

	value(&f, 9, AP_ALERT_OK);
	value(&f, 11, AP_ALERT_FIRING);
	value(&f, 9, AP_ALERT_FIRING);
	value(&f, 8, AP_ALERT_RESOLVED);
	value(&f, 9, AP_ALERT_RESOLVED);
	assert_int_equal(f.transitions, 2);
}

static void test_too_few_samples_do_not_fire(void **state)
{
	struct fixture f = begin(30, 10);

	nothing(&f, AP_ALERT_INSUFFICIENT);
	assert_true(isnan(f.status.value));
	assert_int_equal(f.status.samples, 499);
	value(&f, 11, AP_ALERT_PENDING);
	value(&f, 11, AP_ALERT_PENDING);
	nothing(&f, AP_ALERT_INSUFFICIENT);
	value(&f, 11, AP_ALERT_PENDING); /* anew */
	value(&f, 11, AP_ALERT_PENDING);
	value(&f, 11, AP_ALERT_FIRING);
	take(&f, (struct ap_alert_reading){.sufficient = true, .value = NAN}, 15,
	     AP_ALERT_INSUFFICIENT);
}

static void test_firing_survives_a_lack_of_samples(void **state)
{
	struct fixture f = begin(60, 8);

	for (int i = 0; i < 4; i++)
		value(&f, 11, AP_ALERT_PENDING);
	value(&f, 11, AP_ALERT_FIRING);
	nothing(&f, AP_ALERT_INSUFFICIENT);
	assert_true(f.status.open);
	value(&f, 9, AP_ALERT_FIRING); /* above what it recovers at, and without the duration */
	nothing(&f, AP_ALERT_INSUFFICIENT);
	value(&f, 7, AP_ALERT_RESOLVED);
	assert_int_equal(f.last.from, AP_ALERT_INSUFFICIENT);
	assert_false(f.status.open);
}

static void test_a_restart_goes_on(void **state)
{
	struct fixture f = begin(60, 10);

	value(&f, 11, AP_ALERT_PENDING);
	/* Two minutes without an aggregator are within the tolerance. */
	take(&f, (struct ap_alert_reading){.sufficient = true, .value = 11}, 120, AP_ALERT_FIRING);
	/* A day without is no reason to call it resolved. */
	take(&f, (struct ap_alert_reading){.sufficient = true, .value = 11}, 86400,
	     AP_ALERT_FIRING);
	assert_int_equal(f.transitions, 2);
}

static void test_a_long_gap_begins_the_duration_anew(void **state)
{
	struct fixture f = begin(60, 10);

	value(&f, 11, AP_ALERT_PENDING);
	take(&f, (struct ap_alert_reading){.sufficient = true, .value = 11}, 316, AP_ALERT_PENDING);
	assert_int_equal(f.status.pending_ms, f.now);
	for (int i = 0; i < 3; i++)
		value(&f, 11, AP_ALERT_PENDING);
	value(&f, 11, AP_ALERT_FIRING);
}

static void test_a_clock_set_back_begins_anew(void **state)
{
	struct fixture f = begin(60, 10);

	value(&f, 11, AP_ALERT_PENDING);
	take(&f, (struct ap_alert_reading){.sufficient = true, .value = 11}, -7200,
	     AP_ALERT_PENDING);
	assert_int_equal(f.status.pending_ms, f.now);
	assert_int_equal(f.status.since_ms, f.now);
	for (int i = 0; i < 3; i++)
		value(&f, 11, AP_ALERT_PENDING);
	value(&f, 11, AP_ALERT_FIRING);
}

static void test_operators(void **state)
{
	static const struct {
		enum ap_alert_op op;
		bool below, equal, above;
	} rows[] = {
		{AP_ALERT_GT, false, false, true}, {AP_ALERT_GTE, false, true, true},
		{AP_ALERT_LT, true, false, false}, {AP_ALERT_LTE, true, true, false},
		{AP_ALERT_EQ, false, true, false},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(rows); i++) {
		assert_int_equal(ap_alert_compare(rows[i].op, 9, 10), rows[i].below);
		assert_int_equal(ap_alert_compare(rows[i].op, 10, 10), rows[i].equal);
		assert_int_equal(ap_alert_compare(rows[i].op, 11, 10), rows[i].above);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_duration_it_fires_at_once),
		cmocka_unit_test(test_it_must_hold_for_the_duration),
		cmocka_unit_test(test_hysteresis_keeps_it_firing),
		cmocka_unit_test(test_too_few_samples_do_not_fire),
		cmocka_unit_test(test_firing_survives_a_lack_of_samples),
		cmocka_unit_test(test_a_restart_goes_on),
		cmocka_unit_test(test_a_long_gap_begins_the_duration_anew),
		cmocka_unit_test(test_a_clock_set_back_begins_anew),
		cmocka_unit_test(test_operators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

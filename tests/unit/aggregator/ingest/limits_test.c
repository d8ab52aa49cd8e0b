/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/limits.h"

#include "../../test.h"

#define S    1000000000ull
#define HOUR (3600 * (int64_t)S)

static struct ap_profile *profile;

static uint32_t text(const char *s)
{
	uint32_t id;

	assert_int_equal(ap_profile_string(profile, ap_str_of(s), &id), 0);
	return id;
}

/* A row with one label and some service. */
static void row(const char *key, const char *value)
{
	struct ap_label labels[] = {{text("service"), text("web")}, {text(key), text(value)}};
	struct ap_sample s = {.time_ns = 1, .count = 1, .value = 1, .event = AP_EVENT_CPU};

	assert_int_equal(ap_profile_labels(profile, labels, 2, &s.labels), 0);
	assert_int_equal(ap_profile_add(profile, &s), 0);
}

static void value_is(size_t i, const char *key, const char *want)
{
	struct ap_str v =
		ap_profile_label_value(profile, profile->samples.p[i].labels, ap_str_of(key));

	if (!ap_str_is(v, want))
		fail_msg("row %zu: %s is \"%.*s\", not \"%s\"", i, key, AP_STR_ARG(v), want);
}

static int set_up(void **state)
{
	profile = ap_profile_new();
	return profile ? 0 : -1;
}

static int tear_down(void **state)
{
	ap_profile_free(profile);
	return 0;
}

static struct ap_limits *make(uint64_t rate, uint64_t values, uint32_t labels)
{
	const struct ap_limits_config c = {rate, values, labels};
	struct ap_limits *l;

	assert_int_equal(ap_limits_new(&c, &l), 0);
	return l;
}

static void values_beyond_the_limit_are_others(void **state)
{
	struct ap_limits *l = make(0, 2, 0);
	struct ap_limits_stats stats;

	row("pod", "a");
	row("pod", "b");
	row("pod", "c");
	row("unit", "c");
	row("pod", "a");
	assert_int_equal(ap_limits_apply(l, profile, "x", 0, false), 0);
	assert_int_equal(profile->samples.n, 5);
	value_is(0, "pod", "a");
	value_is(2, "pod", AP_LABEL_OTHER);
	value_is(2, "service", "web");
	value_is(3, "unit", "c");
	value_is(4, "pod", "a");
	ap_limits_get_stats(l, &stats);
	assert_int_equal(stats.values_folded, 1);
	assert_int_equal(stats.values, 4);
	ap_limits_free(l);
}

static void each_agent_has_its_own_and_an_hour_ends_it(void **state)
{
	struct ap_limits *l = make(0, 1, 0);
	struct ap_limits_stats stats;

	row("pod", "a");
	assert_int_equal(ap_limits_apply(l, profile, "x", 0, false), 0);
	tear_down(NULL);
	set_up(NULL);
	row("pod", "b");
	assert_int_equal(ap_limits_apply(l, profile, "y", 0, false), 0);
	value_is(0, "pod", "b");
	assert_int_equal(ap_limits_apply(l, profile, "x", HOUR, false), 0);
	ap_limits_get_stats(l, &stats);
	assert_int_equal(stats.values, 2); /* service and one pod */
	ap_limits_free(l);
}

static void what_is_read_again_is_not_counted_again(void **state)
{
	struct ap_limits *l = make(0, 1, 0);
	struct ap_limits_stats stats;

	row("pod", "a");
	row("pod", "b");
	assert_int_equal(ap_limits_apply(l, profile, "x", 0, true), 0);
	value_is(1, "pod", AP_LABEL_OTHER);
	ap_limits_get_stats(l, &stats);
	assert_int_equal(stats.values_folded, 0);
	ap_limits_free(l);
}

static void surplus_labels_go_but_apertures_own(void **state)
{
	struct ap_label labels[] = {{text("service"), text("web")},
				    {text("aa"), text("1")},
				    {text("zz"), text("2")},
				    {text("version"), text("3")}};
	struct ap_sample s = {.time_ns = 1, .count = 1, .value = 1, .event = AP_EVENT_CPU};
	struct ap_limits *l = make(0, 0, 3);
	struct ap_limits_stats stats;

	assert_int_equal(ap_profile_labels(profile, labels, 4, &s.labels), 0);
	assert_int_equal(ap_profile_add(profile, &s), 0);
	assert_int_equal(ap_limits_apply(l, profile, "x", 0, false), 0);
	value_is(0, "aa", "1");
	value_is(0, "zz", "");
	value_is(0, "version", "3");
	value_is(0, "service", "web");
	ap_limits_get_stats(l, &stats);
	assert_int_equal(stats.labels_dropped, 1);
	ap_limits_free(l);
}

static void the_rate_is_kept_over_time(void **state)
{
	struct ap_limits *l = make(1000, 0, 0);
	struct ap_limits_stats stats;
	uint64_t now = 100 * S, taken = 0;

	assert_int_equal(ap_limits_charge(l, "x", 5000, now), 0); /* a large batch is taken once */
	assert_int_equal(ap_limits_charge(l, "x", 1, now), 4000);
	assert_int_equal(ap_limits_charge(l, "y", 1, now), 0);
	assert_int_equal(ap_limits_charge(l, "x", 1, now + 4 * S), 0);
	for (uint64_t ms = 10000; ms < 60000; ms++)
		if (ap_limits_charge(l, "x", 100, now + ms * (S / 1000)) == 0)
			taken += 100;
	assert_in_range(taken, 49000, 52000);
	ap_limits_get_stats(l, &stats);
	assert_true(stats.rate_limited > 0);
	ap_limits_free(l);
	l = make(0, 0, 0);
	assert_int_equal(ap_limits_charge(l, "x", UINT64_MAX, now), 0);
	assert_int_equal(ap_limits_charge(l, "x", UINT64_MAX, now), 0);
	ap_limits_free(l);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(values_beyond_the_limit_are_others),
		TEST(each_agent_has_its_own_and_an_hour_ends_it),
		TEST(what_is_read_again_is_not_counted_again),
		TEST(surplus_labels_go_but_apertures_own),
		TEST(the_rate_is_kept_over_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

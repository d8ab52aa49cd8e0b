/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "base/clock.h"

static void reads_times_as_users_write_them(void **state)
{
	const int64_t now = 1764000000000;
	int64_t t = 0;

	assert_int_equal(ap_time_parse(AP_STR("now"), now, &t), 0);
	assert_int_equal(t, now);
	assert_int_equal(ap_time_parse(AP_STR("now-90s"), now, &t), 0);
	assert_int_equal(t, now - 90000);
	assert_int_equal(ap_time_parse(AP_STR("now-7d"), now, &t), 0);
	assert_int_equal(t, now - 7ll * 86400 * 1000);
	assert_int_equal(ap_time_parse(AP_STR("1763999999123"), now, &t), 0);
	assert_int_equal(t, 1763999999123);
	assert_int_equal(ap_time_parse(AP_STR("2026-11-23T10:00:00Z"), now, &t), 0);
	assert_int_equal(t, 1795428000000);
}

static void refuses_what_is_no_time(void **state)
{
	static const char *const bad[] = {"",
					  "yesterday",
					  "now-",
					  "now-1parsec",
					  "now+1h",
					  "12:00",
					  "2026-11-23T10:00:00+01",
					  "1e9",
					  "now-99999999d"};
	int64_t t = 7;

	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++)
		assert_int_equal(ap_time_parse(ap_str_of(bad[i]), 0, &t), -EINVAL);
	assert_int_equal(t, 7);
}

static void monotonic_times_become_dates(void **state)
{
	int64_t wall = ap_clock_unix_ns();
	int64_t same = (int64_t)ap_clock_mono_ns() + ap_clock_mono_to_unix();

	/* Both were read within this function: a second apart at the most. */
	assert_true(same - wall >= 0 && same - wall < (int64_t)AP_NSEC_PER_SEC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_times_as_users_write_them),
		cmocka_unit_test(refuses_what_is_no_time),
		cmocka_unit_test(monotonic_times_become_dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "base/str.h"

static void parses_sizes_and_durations(void **state)
{
	uint64_t v = 0;

	assert_int_equal(ap_parse_bytes(AP_STR("64KiB"), &v), 0);
	assert_int_equal(v, 65536);
	assert_int_equal(ap_parse_bytes(AP_STR("1.5 G"), &v), 0);
	assert_int_equal(v, 1610612736);
	assert_int_equal(ap_parse_bytes(AP_STR("12parsecs"), &v), -EINVAL);
	assert_int_equal(ap_parse_bytes(AP_STR("99999999999999999999T"), &v), -ERANGE);
	assert_int_equal(ap_parse_duration(AP_STR("250ms"), &v), 0);
	assert_int_equal(v, 250000000);
	assert_int_equal(ap_parse_duration(AP_STR("-3s"), &v), -EINVAL);
	assert_int_equal(ap_parse_percent(AP_STR("0.05"), &v), 0);
	assert_int_equal(v, 50);
	assert_int_equal(ap_parse_percent(AP_STR("12.5 %"), &v), 0);
	assert_int_equal(v, 12500);
	assert_int_equal(ap_parse_percent(AP_STR("1h"), &v), -EINVAL);
}

static void rejects_numbers_with_trailing_bytes(void **state)
{
	uint64_t v = 7;

	assert_int_equal(ap_parse_u64(AP_STR("12x"), &v), -EINVAL);
	assert_int_equal(ap_parse_u64(AP_STR("-1"), &v), -EINVAL);
	assert_int_equal(ap_parse_u64(AP_STR("1\0002"), &v), -EINVAL);
	assert_int_equal(ap_parse_u64(AP_STR("18446744073709551616"), &v), -ERANGE);
	assert_int_equal(v, 7);
	assert_int_equal(ap_parse_u64(AP_STR("18446744073709551615"), &v), 0);
	assert_true(v == UINT64_MAX);
}

static void cuts_and_trims(void **state)
{
	struct ap_str s = AP_STR("a=b=c");

	assert_true(ap_str_is(ap_str_cut(&s, '='), "a"));
	assert_true(ap_str_is(ap_str_cut(&s, '='), "b"));
	assert_true(ap_str_is(ap_str_cut(&s, '='), "c"));
	assert_null(s.p);
	assert_true(ap_str_is(ap_str_trim(AP_STR(" \t x y\n")), "x y"));
}

static void tells_utf8_from_other_bytes(void **state)
{
	assert_true(ap_str_utf8_ok(AP_STR("Zürich 東京 🔥")));
	assert_false(ap_str_utf8_ok(AP_STR("\xc0\xaf")));
	assert_false(ap_str_utf8_ok(AP_STR("\xed\xa0\x80")));
	assert_false(ap_str_utf8_ok(AP_STR("\xf0\x9f\x94")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_sizes_and_durations),
		cmocka_unit_test(rejects_numbers_with_trailing_bytes),
		cmocka_unit_test(cuts_and_trims),
		cmocka_unit_test(tells_utf8_from_other_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

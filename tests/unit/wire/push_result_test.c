/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "wire/batch.h"

static void an_answer_comes_back_as_it_was(void **state)
{
	struct ap_push_result
		r = {AP_PUSH_ERROR, AP_PUSH_CODE_TOO_NEW, "clock", 250, 4, false, {0}},
		got;
	_cleanup_buf_ struct ap_buf b = {0};

	assert_int_equal(ap_push_result_encode(&r, &b), 0);
	assert_int_equal(ap_push_result_decode(ap_buf_view(&b), &got), 0);
	assert_int_equal(got.status, AP_PUSH_ERROR);
	assert_int_equal(got.code, AP_PUSH_CODE_TOO_NEW);
	assert_string_equal(got.text, "clock");
	assert_int_equal(got.retry_after_ms, 250);
	assert_int_equal(got.config_version, 4);
	assert_false(got.has_settings);
}

static void settings_travel_with_it(void **state)
{
	struct ap_push_result r = {.status = AP_PUSH_OK,
				   .config_version = 1ull << 60,
				   .has_settings = true,
				   .settings = {2, {"cpu", "offcpu"}, 999, 100000, 60000000000ull}};
	struct ap_push_result got;
	_cleanup_buf_ struct ap_buf b = {0};

	assert_int_equal(ap_push_result_encode(&r, &b), 0);
	assert_int_equal(ap_push_result_decode(ap_buf_view(&b), &got), 0);
	assert_memory_equal(&got, &r, sizeof(r));
}

static void unreasonable_settings_are_refused(void **state)
{
	static const char mode[] = "\x0a\x03"
				   "cpu";
	struct ap_push_result got;
	_cleanup_buf_ struct ap_buf b = {0};

	/* A mode whose name does not fit; then more modes than there may be. */
	assert_int_equal(ap_push_result_decode(AP_STR("\x32\x12\x0a\x10"
						      "0123456789abcdef"),
					       &got),
			 -EBADMSG);
	ap_buf_append(&b, "\x32\x2d", 2);
	for (int i = 0; i < AP_MODES_MAX + 1; i++)
		ap_buf_append(&b, mode, 5);
	assert_int_equal(ap_push_result_decode(ap_buf_view(&b), &got), -EBADMSG);
}

static void garbage_is_refused(void **state)
{
	struct ap_push_result got;

	assert_int_equal(ap_push_result_decode(AP_STR("\xff\xff\xff"), &got), -EBADMSG);
}

static void numbers_have_names(void **state)
{
	assert_string_equal(ap_push_status_name(AP_PUSH_BACKPRESSURE), "backpressure");
	assert_string_equal(ap_push_status_name((enum ap_push_status)99), "unknown");
	assert_string_equal(ap_push_code_name(AP_PUSH_CODE_TOO_OLD), "too_old");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_comes_back_as_it_was),
		cmocka_unit_test(settings_travel_with_it),
		cmocka_unit_test(unreasonable_settings_are_refused),
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(numbers_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

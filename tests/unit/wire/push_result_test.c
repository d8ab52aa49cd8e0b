/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "wire/batch.h"

static void an_answer_comes_back_as_it_was(void **state)
{
	struct ap_push_result r = {AP_PUSH_ERROR, AP_PUSH_CODE_TOO_NEW, "clock", 250, 4}, got;
	_cleanup_buf_ struct ap_buf b = {0};

	assert_int_equal(ap_push_result_encode(&r, &b), 0);
	assert_int_equal(ap_push_result_decode(ap_buf_view(&b), &got), 0);
	assert_int_equal(got.status, AP_PUSH_ERROR);
	assert_int_equal(got.code, AP_PUSH_CODE_TOO_NEW);
	assert_string_equal(got.text, "clock");
	assert_int_equal(got.retry_after_ms, 250);
	assert_int_equal(got.config_version, 4);
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
		cmocka_unit_test(garbage_is_refused),
		cmocka_unit_test(numbers_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "agent/profiler.h"

static int parse(const char *a, const char *b, uint32_t *ret, struct ap_error *err)
{
	const char *p[] = {a, b};
	struct ap_strings list = {.n = (size_t)(a != NULL) + (b != NULL)};

	memcpy(&list.p, &(void *){p}, sizeof(list.p));
	return ap_modes_parse(&list, ret, err);
}

static void takes_lists_of_modes(void **state)
{
	struct ap_error err = {0};
	uint32_t modes = 0;

	assert_int_equal(parse(NULL, NULL, &modes, &err), 0);
	assert_int_equal(modes, AP_MODE_CPU);
	assert_int_equal(parse("lock", "offcpu", &modes, &err), 0);
	assert_int_equal(modes, AP_MODE_LOCK | AP_MODE_OFFCPU);
	assert_int_equal(parse("wall", NULL, &modes, &err), 0);
	assert_int_equal(modes, AP_MODE_CPU | AP_MODE_OFFCPU);
	assert_int_equal(parse("cpu", "sleep", &modes, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "'sleep'"));
}

static void names_single_modes(void **state)
{
	assert_string_equal(ap_mode_name(AP_MODE_CPU), "cpu");
	assert_string_equal(ap_mode_name(AP_MODE_LOCK), "lock");
	assert_null(ap_mode_name(AP_MODE_CPU | AP_MODE_OFFCPU));
	assert_null(ap_mode_name(1u << 30));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_lists_of_modes),
		cmocka_unit_test(names_single_modes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

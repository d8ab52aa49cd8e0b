/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "agent/cpus.h"

static int collect(void *ctx, uint32_t cpu)
{
	char *to = ctx;

	snprintf(to + strlen(to), 64 - strlen(to), "%u ", cpu);
	return cpu == 77 ? -ECANCELED : 0;
}

static void reads_lists_of_cpus(void **state)
{
	char s[64] = "";

	assert_int_equal(ap_cpu_list_parse(AP_STR("0-3,8,10-11\n"), collect, s), 0);
	assert_string_equal(s, "0 1 2 3 8 10 11 ");
	s[0] = '\0';
	assert_int_equal(ap_cpu_list_parse(AP_STR("\n"), collect, s), 0);
	assert_string_equal(s, "");
	assert_int_equal(ap_cpu_list_parse(AP_STR("77-99"), collect, s), -ECANCELED);
	assert_int_equal(ap_cpu_list_parse(AP_STR("3-1"), collect, s), -EINVAL);
	assert_int_equal(ap_cpu_list_parse(AP_STR("0-4000000000"), collect, s), -EINVAL);
	assert_int_equal(ap_cpu_list_parse(AP_STR("1,,2"), collect, s), -EINVAL);
	assert_int_equal(ap_cpu_list_parse(AP_STR("x"), collect, s), -EINVAL);
}

static void reads_idle_times(void **state)
{
	uint64_t idle[3] = {1, 2, 3}, tick = 1000000000ull / (uint64_t)sysconf(_SC_CLK_TCK);

	assert_int_equal(ap_cpu_idle_parse(AP_STR("cpu  9 9 9 9 9 9\ncpu0 1 2 3 400 5 6 7\n"
						  "cpu2 1 2 3 18446744073709551616 5\n"
						  "cpu9 1 2 3 4 5\nintr 1 2 3\ncpu1 1 2\n"),
					   idle, 3),
			 0);
	assert_int_equal(idle[0], 405 * tick);
	assert_int_equal(idle[1], 2);
	assert_int_equal(idle[2], 3);
	assert_int_equal(ap_cpu_idle_parse(AP_STR(""), idle, 3), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_lists_of_cpus),
		cmocka_unit_test(reads_idle_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

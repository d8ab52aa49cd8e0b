/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/value.h"

#include "../test.h"

static void check(uint64_t part, uint64_t whole, const char *want)
{
	_cleanup_buf_ struct ap_buf b = {0};

	ap_value_percent(&b, part, whole);
	ap_buf_byte(&b, 0);
	assert_string_equal((const char *)b.p, want);
}

static void a_share_never_reads_as_nothing_or_all(void **state)
{
	check(0, 0, "0 %");
	check(0, 5, "0 %");
	check(5, 5, "100.0 %");
	check(1, 100000, "<0.1 %");
	check(99999, 100000, ">99.9 %");
	check(9994, 10000, "99.9 %");
	check(123, 1000, "12.3 %");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_share_never_reads_as_nothing_or_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

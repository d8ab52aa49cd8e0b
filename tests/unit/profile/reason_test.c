/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "abi/ledger.h"
#include "abi/record.h"

static void complete_stacks_are_those_that_were_taken(void **state)
{
	uint64_t counts[AP_REASONS_MAX] = {0};

	assert_true(ap_reason_complete_share(counts) < 0);
	counts[AP_REASON_SHORT_WAIT] = 1000;
	assert_true(ap_reason_complete_share(counts) < 0);
	counts[AP_REASON_OK] = 5;
	counts[AP_REASON_KERNEL_ONLY] = 1;
	counts[AP_REASON_READ_FAULT] = 2;
	assert_true(ap_reason_complete_share(counts) == 0.75);
	assert_true(ap_reason_is_complete(AP_REASON_SHORT_WAIT));
	assert_false(ap_reason_is_complete(AP_REASON_TRUNCATED));
	assert_string_equal(ap_reason_name(AP_REASON_SHORT_WAIT), "short_wait");
	assert_string_equal(ap_reason_name(99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complete_stacks_are_those_that_were_taken)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

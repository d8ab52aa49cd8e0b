/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "base/idmap.h"

static void keeps_every_id_once(void **state)
{
	_cleanup_idmap_ struct ap_idmap m = {0};

	assert_null(ap_idmap_find(&m, 0));
	for (uint64_t i = 0; i < 10000; i++)
		assert_int_equal(ap_idmap_add(&m, i << 40, (uint32_t)i), 1);
	for (uint64_t i = 0; i < 10000; i++)
		assert_int_equal(ap_idmap_add(&m, i << 40, 7), 0);
	assert_int_equal(m.n, 10000);
	assert_int_equal(*ap_idmap_find(&m, 1234ull << 40), 1234);
	assert_int_equal(*ap_idmap_find(&m, 0), 0);
	assert_null(ap_idmap_find(&m, 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_every_id_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "wire/utf8.h"

#define BAD "\xef\xbf\xbd"

static void repair(struct ap_str in, const char *expected)
{
	_cleanup_buf_ struct ap_buf out = {0};

	ap_utf8_repair(in, &out);
	assert_int_equal(out.n, strlen(expected));
	assert_memory_equal(out.p, expected, out.n);
}

static void valid_text_is_kept(void **state)
{
	repair(AP_STR("plain, \xc3\xa9t\xc3\xa9, \xe2\x82\xac, \xf0\x9f\x94\xa5"),
	       "plain, \xc3\xa9t\xc3\xa9, \xe2\x82\xac, \xf0\x9f\x94\xa5");
}

static void each_bad_byte_is_replaced(void **state)
{
	repair(AP_STR("a\xff"
		      "b"),
	       "a" BAD "b");
	repair(AP_STR("\xe2\x82"), BAD BAD);	     /* cut short */
	repair(AP_STR("\xc0\xaf"), BAD BAD);	     /* overlong */
	repair(AP_STR("\xed\xa0\x80"), BAD BAD BAD); /* a surrogate */
	repair(AP_STR("\xc3\xa9\x80"), "\xc3\xa9" BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(valid_text_is_kept),
		cmocka_unit_test(each_bad_byte_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

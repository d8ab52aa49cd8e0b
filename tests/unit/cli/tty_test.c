/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tty.h"

#include "../test.h"

static void assert_keys(struct ap_str input, const int *want)
{
	int key, i = 0;

	while ((key = ap_key_next(&input)) != AP_KEY_NONE)
		assert_int_equal(key, want[i++]);
	assert_int_equal(want[i], AP_KEY_NONE);
	assert_int_equal(input.n, 0);
}

static void takes_keys_apart(void **state)
{
	assert_keys(AP_STR("q1\t\r\n\x7f\b"),
		    (const int[]){'q', '1', AP_KEY_TAB, AP_KEY_ENTER, AP_KEY_ENTER,
				  AP_KEY_BACKSPACE, AP_KEY_BACKSPACE, 0});
	assert_keys(
		AP_STR("\033[A\033OB\033[6~\033[Zx"),
		(const int[]){AP_KEY_UP, AP_KEY_DOWN, AP_KEY_PAGE_DOWN, AP_KEY_BACKTAB, 'x', 0});
}

static void what_is_no_key_does_nothing(void **state)
{
	/* A lone Escape, one before a character, sequences that are not known or that end early. */
	assert_keys(AP_STR("\033"), (const int[]){AP_KEY_ESCAPE, 0});
	assert_keys(AP_STR("\033q"), (const int[]){AP_KEY_ESCAPE, 'q', 0});
	assert_keys(AP_STR("\033[15;2~q"), (const int[]){AP_KEY_OTHER, 'q', 0});
	assert_keys(AP_STR("\033[1;2"), (const int[]){AP_KEY_OTHER, 0});
	assert_keys(AP_STR("\033["), (const int[]){AP_KEY_OTHER, 0});
	assert_keys(AP_STR("\0\xc3\xa9"), (const int[]){AP_KEY_OTHER, 0xc3, 0xa9, 0});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_keys_apart),
		cmocka_unit_test(what_is_no_key_does_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

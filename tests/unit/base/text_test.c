/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include "../test.h"

static void assert_wrapped(const char *text, size_t col, size_t indent, size_t width,
			   const char *want)
{
	_cleanup_buf_ struct ap_buf out = {0};

	ap_text_wrap(&out, ap_str_of(text), col, indent, width);
	ap_buf_byte(&out, 0);
	assert_string_equal((char *)out.p, want);
}

static void counts_characters(void **state)
{
	assert_int_equal(ap_text_columns(AP_STR("")), 0);
	assert_int_equal(ap_text_columns(AP_STR("12 µs ←")), 7);
}

static void breaks_at_spaces(void **state)
{
	assert_wrapped("one two three", 0, 2, 80, "one two three\n");
	assert_wrapped("one two three", 0, 2, 8, "one two\n  three\n");
	assert_wrapped("µµµ µµµ", 0, 0, 7, "µµµ µµµ\n");
	/* A word that is too long stays whole; a line may have begun already. */
	assert_wrapped("incomprehensible a", 0, 0, 4, "incomprehensible\na\n");
	assert_wrapped("one two", 4, 4, 8, "one\n    two\n");
	assert_wrapped("one\ntwo", 0, 2, SIZE_MAX, "one\n  two\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_characters),
		cmocka_unit_test(breaks_at_spaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

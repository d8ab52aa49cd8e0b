/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>

#include "../test.h"
#include "base/json.h"

static void assert_string(struct ap_str in, const char *want)
{
	_cleanup_buf_ struct ap_buf b = {0};

	ap_json_string(&b, in);
	assert_int_equal(ap_buf_error(&b), 0);
	assert_int_equal(b.n, strlen(want));
	assert_memory_equal(b.p, want, b.n);
}

static void strings_are_always_valid_json(void **state)
{
	assert_string(AP_STR(""), "\"\"");
	assert_string(AP_STR("a\"b\\c"), "\"a\\\"b\\\\c\"");
	assert_string(AP_STR("\0\n\t\r\x1f\x7f"), "\"\\u0000\\n\\t\\r\\u001f\\u007f\"");
	assert_string(AP_STR("Zürich 🔥"), "\"Zürich 🔥\"");
	assert_string(AP_STR("a\xff\xc3"), "\"a\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_string(AP_STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

static void writes_numbers_and_keys(void **state)
{
	static const char want[] = "{\"a\":18446744073709551615,\"b\":-9223372036854775808,"
				   "\"c\":0.1,\"d\":null,\"e\":0,\"f\":0,\"g\":-0.25}";
	_cleanup_buf_ struct ap_buf b = {0};

	ap_buf_puts(&b, "{");
	ap_json_key(&b, "a");
	ap_json_u64(&b, UINT64_MAX);
	ap_json_key(&b, "b");
	ap_json_i64(&b, INT64_MIN);
	ap_json_key(&b, "c");
	ap_json_double(&b, 0.1);
	ap_json_key(&b, "d");
	ap_json_double(&b, NAN);
	ap_json_key(&b, "e");
	ap_json_double(&b, 0);
	ap_json_key(&b, "f");
	ap_json_double(&b, -0.0);
	ap_json_key(&b, "g");
	ap_json_double(&b, -0.25);
	ap_buf_puts(&b, "}");
	assert_int_equal(b.n, strlen(want));
	assert_memory_equal(b.p, want, b.n);
}

static void writes_every_length_of_number(void **state)
{
	for (uint64_t power = 1;; power *= 10) {
		const uint64_t numbers[] = {power - 1, power, power + 1};

		for (size_t i = 0; i < AP_ARRAY_SIZE(numbers); i++) {
			_cleanup_buf_ struct ap_buf b = {0};
			char want[32];

			snprintf(want, sizeof(want), "%" PRIu64, numbers[i]);
			ap_json_u64(&b, numbers[i]);
			assert_int_equal(b.n, strlen(want));
			assert_memory_equal(b.p, want, b.n);
		}
		if (power > UINT64_MAX / 10)
			return;
	}
}

/* A string may end in a bracket, and a first element be empty. */
static void separates_elements(void **state)
{
	static const char want[] = "[\"a[\",\"{\",[],{}]";
	_cleanup_buf_ struct ap_buf b = {0};

	ap_buf_puts(&b, "[");
	ap_json_next(&b);
	ap_json_string(&b, AP_STR("a["));
	ap_json_next(&b);
	ap_json_string(&b, AP_STR("{"));
	ap_json_next(&b);
	ap_buf_puts(&b, "[]");
	ap_json_next(&b);
	ap_buf_puts(&b, "{}]");
	assert_int_equal(b.n, strlen(want));
	assert_memory_equal(b.p, want, b.n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(strings_are_always_valid_json),
		cmocka_unit_test(writes_numbers_and_keys),
		cmocka_unit_test(writes_every_length_of_number),
		cmocka_unit_test(separates_elements),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

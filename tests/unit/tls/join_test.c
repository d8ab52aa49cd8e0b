/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "tls/join.h"

#define TOKEN "apt_0123456789abcdef0123456789abcdef0123456789abcdef"
#define PRINT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void what_is_made_is_read(void **state)
{
	static const char *const servers[] = {"aggregator:50051", "10.0.0.7:1", "[fd00::2]:65535"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(servers); i++) {
		_cleanup_buf_ struct ap_buf text = {0};
		struct ap_join made = {.token = TOKEN, .fingerprint = PRINT}, read;

		strcpy(made.server, servers[i]);
		ap_buf_puts(&text, " \n");
		ap_join_format(&made, &text);
		ap_buf_puts(&text, "\r\n");
		assert_int_equal(ap_join_parse(ap_buf_view(&text), &read, NULL), 0);
		assert_memory_equal(&read, &made, sizeof(made));
	}
}

static void every_cut_is_noticed(void **state)
{
	static const char whole[] = "aperture://" TOKEN "@host:50051?ca=" PRINT;
	struct ap_error err = {0};
	struct ap_join j;

	assert_int_equal(ap_join_parse(ap_str_of(whole), &j, &err), 0);
	for (size_t n = 0; n < sizeof(whole) - 1; n++) {
		assert_int_equal(ap_join_parse((struct ap_str){whole, n}, &j, &err), -EINVAL);
		assert_null(strstr(err.msg, "apt_")); /* no secret in a message */
	}
}

static void what_a_shell_or_yaml_would_read_is_refused(void **state)
{
	static const char *const bad[] = {
		"aperture://" TOKEN "@ho'st:50051?ca=" PRINT,
		"aperture://" TOKEN "@host\"x:50051?ca=" PRINT,
		"aperture://" TOKEN "@host:0?ca=" PRINT,
		"aperture://" TOKEN "@host:99999?ca=" PRINT,
		"aperture://" TOKEN "@host?ca=" PRINT,
		"aperture://" TOKEN "@:50051?ca=" PRINT,
		"aperture://" TOKEN "@host:50051?ca=" PRINT "00",
		"aperture://" TOKEN "@host:50051?cb=" PRINT,
		"aperture://apt_XYZ@host:50051?ca=" PRINT,
		"https://" TOKEN "@host:50051?ca=" PRINT,
	};
	struct ap_join j;

	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++)
		assert_int_equal(ap_join_parse(ap_str_of(bad[i]), &j, NULL), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_made_is_read),
		cmocka_unit_test(every_cut_is_noticed),
		cmocka_unit_test(what_a_shell_or_yaml_would_read_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"
#include "tls/secret.h"

static void secrets_differ_and_have_the_form_of_tokens(void **state)
{
	char a[AP_SECRET_TEXT], b[AP_SECRET_TEXT];

	assert_int_equal(ap_secret_make(AP_TOKEN_PREFIX, a), 0);
	assert_int_equal(ap_secret_make(AP_TOKEN_PREFIX, b), 0);
	assert_string_not_equal(a, b);
	assert_true(ap_secret_is_token(ap_str_of(a)));
	assert_false(ap_secret_is_token((struct ap_str){a, strlen(a) - 1}));
	assert_false(ap_secret_is_token((struct ap_str){0}));
	a[strlen(a) - 1] = 'G';
	assert_false(ap_secret_is_token(ap_str_of(a)));
}

static void hashes_are_sha256(void **state)
{
	/* FIPS 180-2, B.1: "abc". */
	static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea,
				      0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
				      0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c,
				      0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
	uint8_t hash[AP_SHA256_BYTES];

	ap_secret_hash(AP_STR("abc"), hash);
	assert_memory_equal(hash, abc, sizeof(abc));
	assert_true(ap_secret_equal(hash, abc));
	hash[31] ^= 1;
	assert_false(ap_secret_equal(hash, abc));
}

static void files_hold_one_line(void **state)
{
	static const char *const names[] = {"secret", NULL};
	struct ap_error err = {0};
	char *s = NULL;

	folder_make();
	assert_int_equal(
		ap_secret_read(file_put("secret", AP_STR(" abc \nmore\n")), "--x", &s, &err), 0);
	assert_string_equal(s, "abc");
	ap_secret_free(s);
	assert_int_equal(ap_secret_read(file_put("secret", AP_STR("\n")), "--x", &s, &err),
			 -EINVAL);
	assert_non_null(strstr(err.msg, "--x"));
	assert_int_equal(ap_secret_read(file_put("secret", AP_STR("a\rb")), "--x", &s, &err),
			 -EINVAL);
	assert_int_equal(ap_secret_read("/nowhere/secret", "--x", &s, &err), -ENOENT);
	folder_remove(names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_differ_and_have_the_form_of_tokens),
		cmocka_unit_test(hashes_are_sha256),
		cmocka_unit_test(files_hold_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

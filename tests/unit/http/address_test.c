/* SPDX-License-Identifier: Apache-2.0 */
#include "http/address.h"

#include "../test.h"

static void test_parse(void **state)
{
	struct ap_address a;
	struct ap_error err;

	assert_int_equal(ap_address_parse("127.0.0.1:9090", &a, &err), 0);
	assert_string_equal(a.host, "127.0.0.1");
	assert_int_equal(a.port, 9090);
	assert_true(a.loopback);
	assert_int_equal(ap_address_parse("127.8.9.10:0", &a, &err), 0);
	assert_true(a.loopback);
	assert_int_equal(ap_address_parse("0.0.0.0:1", &a, &err), 0);
	assert_false(a.loopback);
	assert_int_equal(ap_address_parse(":9090", &a, &err), 0);
	assert_false(a.loopback);
	assert_int_equal(ap_address_parse("[::1]:80", &a, &err), 0);
	assert_string_equal(a.host, "::1");
	assert_true(a.loopback);
}

static void test_parse_refuses(void **state)
{
	static const char *const bad[] = {
		"",	 "9090",	   "127.0.0.1",	    "127.0.0.1:", "127.0.0.1:65536",
		"::1:1", "[::1:1",	   "127.0.0.1:80x", "[]:1",	  "127.0.0.1:-1",
		"[::1]", "no such host:1",
	};
	struct ap_address a;

	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++) {
		struct ap_error err = {0};

		assert_int_equal(ap_address_parse(bad[i], &a, &err), -EINVAL);
		assert_true(err.msg[0] != '\0');
	}
}

static void test_listen_in_use(void **state)
{
	struct ap_address a;
	struct ap_error err = {0};
	_cleanup_fd_ int fd = -1;
	int other = -1;
	uint16_t port;
	char text[40];

	assert_int_equal(ap_address_parse("127.0.0.1:0", &a, &err), 0);
	assert_int_equal(ap_address_listen(&a, "--listen", &fd, &port, &err), 0);
	assert_true(port != 0);
	snprintf(text, sizeof(text), "127.0.0.1:%u", port);
	assert_int_equal(ap_address_parse(text, &a, &err), 0);
	assert_int_equal(ap_address_listen(&a, "--listen", &other, &port, &err), -EADDRINUSE);
	assert_non_null(strstr(err.msg, "in use"));
	assert_non_null(strstr(err.msg, "--listen"));
	assert_int_equal(other, -1);
}

static void test_host(void **state)
{
	static const char *const names[] = {"profiles.example", NULL};
	static const struct {
		const char *host;
		bool ok;
	} cases[] = {
		{"localhost", true},	    {"LocalHost:9090", true},	  {"127.0.0.1:1", true},
		{"127.1.2.3", true},	    {"[::1]:9090", true},	  {"localhost.:80", true},
		{"profiles.example", true}, {"Profiles.Example:1", true}, {"evil.example", false},
		{"localhost.evil", false},  {"127.0.0.1.evil", false},	  {"", false},
		{"127.0.0.1@evil", false},  {"10.0.0.1", false},	  {":9090", false},
		{"xlocalhost", false},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++)
		assert_int_equal(ap_address_host_ok(ap_str_of(cases[i].host), names), cases[i].ok);
	assert_false(ap_address_host_ok(AP_STR("profiles.example"), NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_listen_in_use),
		cmocka_unit_test(test_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "http/server.h"

static void is(const char *header, const char *want)
{
	struct ap_str v = ap_http_cookie_find(ap_str_of(header), "id");

	if (want ? !ap_str_is(v, want) || !v.p : v.p != NULL)
		fail_msg("\"%s\" gives \"%.*s\"", header, AP_STR_ARG(v));
}

static void the_first_of_the_name_counts(void **state)
{
	is("id=a", "a");
	is("other=b; id=a", "a");
	is("id=a; id=b", "a");
	is("  id = a ;x=y", "a");
	is("id=\"a\"", "a");
	is("id=a=b", "a=b");
	is("id=", "");
}

static void others_do_not(void **state)
{
	is("", NULL);
	is("id", NULL);
	is("xid=a", NULL);
	is("id2=a", NULL);
	is("ID=a", NULL);
	is("x=id=a", NULL);
	is(";;;", NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_of_the_name_counts),
		cmocka_unit_test(others_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

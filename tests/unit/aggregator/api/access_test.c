/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of access: none is missing, and what changes something is for administrators. */
#include "aggregator/api/access.h"

#include "../../test.h"

static void every_route_has_a_rule(void **state)
{
	for (size_t i = 0; i < ap_api_route_count; i++)
		if (ap_api_access(&ap_api_routes[i]) == AP_ACCESS_NONE)
			fail_msg("%s (method %d) has no rule in api/access.c",
				 ap_api_routes[i].path, ap_api_routes[i].method);
}

static void a_route_without_a_rule_is_nobodys(void **state)
{
	const struct ap_http_route r = {AP_HTTP_GET, "/api/v1/none", NULL};

	assert_int_equal(ap_api_access(&r), AP_ACCESS_NONE);
	for (int role = AP_ROLE_NONE; role < AP_ROLE_MAX; role++)
		assert_false(ap_role_may((enum ap_role)role, AP_ACCESS_NONE));
	assert_int_equal(ap_grpc_access("/aperture.aggregator.v1.Aggregator/None"), AP_ACCESS_NONE);
}

static void roles_permit_what_they_say(void **state)
{
	static const bool may[AP_ROLE_MAX][5] = {
		/* none, public, push, read, admin */
		[AP_ROLE_NONE] = {false, true, false, false, false},
		[AP_ROLE_PUSH] = {false, true, true, false, false},
		[AP_ROLE_READ] = {false, true, false, true, false},
		[AP_ROLE_ADMIN] = {false, true, true, true, true},
	};

	for (int role = 0; role < AP_ROLE_MAX; role++)
		for (int access = 0; access < 5; access++)
			assert_int_equal(ap_role_may((enum ap_role)role, (enum ap_access)access),
					 may[role][access]);
}

/* PUT and DELETE change something, whatever the rule says; but for the log-out. */
static void changes_are_for_administrators(void **state)
{
	for (size_t i = 0; i < ap_api_route_count; i++) {
		const struct ap_http_route *r = &ap_api_routes[i];

		if ((r->method == AP_HTTP_PUT || r->method == AP_HTTP_DELETE) &&
		    strcmp(r->path, "/api/v1/session") != 0)
			assert_int_equal(ap_api_access(r), AP_ACCESS_ADMIN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_route_has_a_rule),
		cmocka_unit_test(a_route_without_a_rule_is_nobodys),
		cmocka_unit_test(roles_permit_what_they_say),
		cmocka_unit_test(changes_are_for_administrators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/guard/sessions.h"

#include "../../test.h"
#include "aggregator/guard/logins.h"

#define S 1000000000ull

static void unused_sessions_end(void **state)
{
	const struct ap_session *s;
	struct ap_sessions all;
	char a[AP_SECRET_TEXT], b[AP_SECRET_TEXT];

	assert_int_equal(ap_sessions_init(&all, 1, 10 * S), 0);
	assert_int_equal(ap_sessions_add(&all, 1, 0, a, &s), 0);
	assert_non_null(ap_sessions_find(&all, ap_str_of(a), 9 * S));
	assert_non_null(ap_sessions_find(&all, ap_str_of(a), 18 * S)); /* it was used at 9 */
	assert_int_equal(ap_sessions_add(&all, 1, 19 * S, b, &s), -EBUSY);
	assert_null(ap_sessions_find(&all, ap_str_of(a), 29 * S));
	assert_int_equal(ap_sessions_count(&all, 29 * S), 0);
	assert_int_equal(ap_sessions_add(&all, 2, 29 * S, b, &s), 0);
	assert_null(ap_sessions_find(&all, ap_str_of(a), 29 * S));
	ap_sessions_end(&all, ap_str_of(b));
	assert_null(ap_sessions_find(&all, ap_str_of(b), 29 * S));
	ap_sessions_free(&all);
}

static void failures_are_forgiven_one_by_one(void **state)
{
	static struct ap_logins l;
	uint64_t now = 1000 * S;

	for (int i = 0; i < AP_LOGINS_BURST; i++) {
		assert_int_equal(ap_logins_wait_ns(&l, "a", now), 0);
		ap_logins_failed(&l, "a", now);
	}
	assert_int_equal(ap_logins_wait_ns(&l, "a", now), AP_LOGINS_REFILL_NS);
	assert_int_equal(ap_logins_wait_ns(&l, "b", now), 0);
	now += AP_LOGINS_REFILL_NS;
	assert_int_equal(ap_logins_wait_ns(&l, "a", now), 0);
	ap_logins_failed(&l, "a", now);
	assert_int_equal(ap_logins_wait_ns(&l, "a", now), AP_LOGINS_REFILL_NS);
}

static void a_crowd_of_addresses_takes_no_more_room(void **state)
{
	static struct ap_logins l;
	char from[32];

	for (int i = 0; i < AP_LOGINS_BURST; i++)
		ap_logins_failed(&l, "persistent", S);
	for (int i = 0; i < 3 * AP_LOGINS_ADDRESSES; i++) {
		snprintf(from, sizeof(from), "address %d", i);
		ap_logins_failed(&l, from, S);
	}
	assert_true(ap_logins_wait_ns(&l, "persistent", S) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unused_sessions_end),
		cmocka_unit_test(failures_are_forgiven_one_by_one),
		cmocka_unit_test(a_crowd_of_addresses_takes_no_more_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Dropping old days, against the real engine. */
#include "aggregator/retention.h"

#include <spawn.h>
#include <sys/wait.h>

#include "../test.h"
#include "aggregator/store/schema.h"
#include "base/clock.h"
#include "engine.h"

#define DAY	 86400
#define NS_OF(s) ((s) * (int64_t)AP_NSEC_PER_SEC)

static char *folder;
static struct ap_store *store;

static int setup(void **state)
{
	folder = engine_folder();
	store = engine_open(folder);
	return 0;
}

static int teardown(void **state)
{
	ap_store_close(store);
	engine_folder_remove(folder);
	return 0;
}

static uint64_t count(const char *table)
{
	_cleanup_free_ char *sql = NULL;
	struct ap_error err = {0};
	uint64_t n = 0;

	assert_true(asprintf(&sql, "SELECT count() FROM %s", table) > 0);
	if (ap_store_query_uint(store, sql, &n, &err) < 0)
		fail_msg("%s", err.msg);
	return n;
}

static void put(uint64_t unix_s)
{
	struct ap_error err = {0};
	unsigned long long t = unix_s;

	if (ap_store_exec(store, &err,
			  "INSERT INTO aperture.samples (time, count) VALUES (%llu, 1)", t) < 0 ||
	    ap_store_exec(store, &err, "INSERT INTO aperture.ledger (time, count) VALUES (%llu, 1)",
			  t) < 0 ||
	    ap_store_exec(store, &err, "INSERT INTO aperture.stacks (day, id) VALUES (%llu, 1)",
			  t / DAY) < 0 ||
	    ap_store_exec(store, &err, "INSERT INTO aperture.frames (day, id) VALUES (%llu, 1)",
			  t / DAY) < 0)
		fail_msg("%s", err.msg);
}

static void assert_days(uint64_t n)
{
	assert_int_equal(count("aperture.samples"), n);
	assert_int_equal(count("aperture.ledger"), n);
	assert_int_equal(count("aperture.stacks"), n);
	assert_int_equal(count("aperture.frames"), n);
}

/* A day goes when all of it is older than the retention, and not a second earlier. */
static void test_days_go_whole(void **state)
{
	const uint64_t retention = 7 * DAY * AP_NSEC_PER_SEC;
	const int64_t day = 20000ll * DAY;
	struct ap_error err;

	put((uint64_t)day);
	put((uint64_t)day + DAY);
	put((uint64_t)day + 3 * DAY);
	assert_days(3);
	assert_int_equal(ap_retention_apply(store, retention, day + 8 * DAY - 1, &err), 0);
	assert_days(3);
	assert_int_equal(ap_retention_apply(store, retention, day + 8 * DAY, &err), 0);
	assert_days(2);
	assert_int_equal(ap_retention_apply(store, retention, day + 30 * DAY, &err), 0);
	assert_days(0);
}

static void put_symbols(const char *build_id, int64_t version_s)
{
	struct ap_error err = {0};

	if (ap_store_exec(store, &err,
			  "INSERT INTO aperture.symbols (build_id, version) VALUES ('%s', %lld)",
			  build_id, (long long)NS_OF(version_s)) < 0)
		fail_msg("%s", err.msg);
}

/* Symbols go with the last frame of their module, but not on the day that they came. */
static void test_symbols_go_with_their_module(void **state)
{
	const uint64_t retention = 7 * DAY * AP_NSEC_PER_SEC;
	const int64_t day = 20000ll * DAY, now = day + 7 * DAY;
	uint64_t deadline = ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC;
	struct ap_error err;

	if (ap_store_exec(store, &err,
			  "INSERT INTO aperture.frames (day, id, build_id) VALUES (%lld, 1, 'aa')",
			  (long long)(day / DAY)) < 0)
		fail_msg("%s", err.msg);
	put_symbols("aa", day);
	put_symbols("bb", day);
	put_symbols("cc", now - DAY);
	assert_int_equal(ap_retention_apply(store, retention, now, &err), 0);
	while (count("aperture.symbols") > 2 && ap_clock_mono_ns() < deadline)
		usleep(10000);
	assert_int_equal(count("aperture.symbols WHERE build_id = 'bb'"), 0);
	assert_int_equal(count("aperture.symbols"), 2);
	assert_int_equal(ap_retention_apply(store, retention, now + DAY, &err), 0);
	while (count("aperture.symbols") && ap_clock_mono_ns() < deadline)
		usleep(10000);
	assert_int_equal(count("aperture.symbols"), 0);
}

static void test_thread(void **state)
{
	struct ap_retention *r = NULL;
	struct ap_error err;
	uint64_t deadline = ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC;

	put(20000ull * DAY);
	assert_int_equal(ap_retention_start(store, DAY * AP_NSEC_PER_SEC, &r, &err), 0);
	while (count("aperture.frames") && ap_clock_mono_ns() < deadline)
		usleep(10000);
	ap_retention_stop(r);
	assert_days(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_days_go_whole),
		cmocka_unit_test(test_symbols_go_with_their_module),
		cmocka_unit_test(test_thread),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Dropping old days, against the real engine. */
#include "aggregator/store/retention.h"

#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "../engine.h"
#include "base/clock.h"

#define DAY	 86400
#define BEGIN	 (20000ll * DAY)
#define NS_OF(s) ((s) * (int64_t)AP_NSEC_PER_SEC)

static char *folder;
static struct ap_store *store;
static struct ap_buffer *buffer;
static struct ap_rollup *rollup;
static struct ap_retention *retention;
static uint64_t segment;      /* the last one that is stored */
static uint64_t budget_bytes; /* 0: none */

static struct ap_retention_options options(void)
{
	return (struct ap_retention_options){
		.store = store,
		.rollup = rollup,
		.buffer = buffer,
		.retention_ns = {7 * DAY * AP_NSEC_PER_SEC, 20 * DAY * AP_NSEC_PER_SEC,
				 60 * DAY * AP_NSEC_PER_SEC},
		.rollup_interval_ns = 3600 * AP_NSEC_PER_SEC,
		.budget_bytes = budget_bytes,
	};
}

/* As after a restart. */
static void begin(void)
{
	struct ap_buffer_config config = {.last_segment = segment};
	struct ap_retention_options o;

	ap_retention_stop(retention);
	ap_buffer_free(buffer);
	assert_int_equal(ap_buffer_new(&config, &buffer), 0);
	o = options();
	assert_int_equal(ap_retention_new(&o, &retention), 0);
}

static int setup(void **state)
{
	folder = engine_folder();
	store = engine_open(folder);
	segment = store->segment_base;
	assert_int_equal(ap_rollup_new(&(struct ap_rollup_options){.store = store}, &rollup, NULL),
			 0);
	return 0;
}

static int teardown(void **state)
{
	ap_retention_stop(retention);
	ap_rollup_free(rollup);
	ap_buffer_free(buffer);
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

static void put(int64_t unix_s)
{
	struct ap_error err = {0};
	unsigned long long s = ++segment;
	long long t = unix_s;

	if (ap_store_exec(store, &err,
			  "INSERT INTO samples (time, count, segment) VALUES (%lld, 1, %llu)", t,
			  s) < 0 ||
	    ap_store_exec(store, &err,
			  "INSERT INTO ledger (time, count, segment) VALUES (%lld, 1, %llu)", t,
			  s) < 0 ||
	    ap_store_exec(store, &err, "INSERT INTO stacks (day, id) VALUES (%lld, 1)", t / DAY) <
		    0 ||
	    ap_store_exec(store, &err, "INSERT INTO frames (day, id) VALUES (%lld, 1)", t / DAY) <
		    0)
		fail_msg("%s", err.msg);
}

static void drop_old(int64_t now_s)
{
	struct ap_error err = {0};

	begin();
	if (ap_retention_round(retention, now_s, &err) < 0)
		fail_msg("%s", err.msg);
}

static void assert_days(uint64_t raw, uint64_t hourly, uint64_t daily)
{
	assert_int_equal(count("samples"), raw);
	assert_int_equal(count("ledger"), raw);
	assert_int_equal(count("samples_1h"), hourly);
	assert_int_equal(count("samples_1d"), daily);
	assert_int_equal(count("ledger_1h"), daily); /* every level's answers need these */
	assert_int_equal(count("(SELECT DISTINCT day FROM stacks)"), daily);
	assert_int_equal(count("(SELECT DISTINCT day FROM frames)"), daily);
}

/* A day goes from a level when all of it is older than that level's retention, and not a second earlier. */
static void days_go_whole_and_level_by_level(void **state)
{
	put(BEGIN);
	put(BEGIN + DAY);
	put(BEGIN + 3 * DAY);
	drop_old(BEGIN + 8 * DAY - 1);
	assert_days(3, 3, 3);
	drop_old(BEGIN + 8 * DAY);
	assert_days(2, 3, 3);
	drop_old(BEGIN + 22 * DAY);
	assert_days(0, 1, 3);
	drop_old(BEGIN + 61 * DAY);
	assert_days(0, 0, 2);
	drop_old(BEGIN + 200 * DAY);
	assert_days(0, 0, 0);
}

/* What no rollup has yet is waited for for a day; then it goes, be its writer gone for good. */
static void rows_go_once_they_are_summed_up(void **state)
{
	struct ap_retention_stats stats;
	struct ap_error err = {0};

	assert_int_equal(ap_store_exec(store, &err,
				       "INSERT INTO samples (time, count, segment) VALUES (%lld, "
				       "1, %llu)",
				       BEGIN, 99ull << AP_SEGMENT_NUMBER_BITS),
			 0);
	drop_old(BEGIN + 9 * DAY - 1);
	assert_int_equal(count("samples"), 1);
	ap_retention_get_stats(retention, &stats);
	assert_true(stats.parts >= 1);
	drop_old(BEGIN + 9 * DAY);
	assert_int_equal(count("samples"), 0);
}

/* Oldest rows make room and their hours stay; it is counted, and told. */
static void a_budget_acts_first(void **state)
{
	struct ap_retention_stats stats;
	struct ap_retention_usage u;
	struct ap_error err = {0};
	int64_t now = BEGIN + 100 * DAY;
	char notice[480];

	for (int i = 5; i >= 0; i--)
		put(now - i * DAY);
	drop_old(now);
	assert_days(6, 6, 6);
	assert_false(ap_retention_notice(retention, notice, sizeof(notice)));
	assert_int_equal(ap_retention_get_usage(retention, &u, &err), 0);
	assert_true(u.bytes > 0);
	budget_bytes = u.bytes - 1;
	ap_retention_usage_free(&u);
	drop_old(now);
	assert_days(5, 6, 6);
	ap_retention_get_stats(retention, &stats);
	assert_int_equal(stats.days[AP_ROLLUP_RAW][1], 2); /* of samples and the ledger */
	assert_int_equal(stats.rows[AP_ROLLUP_RAW][1], 2);
	assert_int_equal(stats.days[AP_ROLLUP_RAW][0], 0);
	assert_true(ap_retention_notice(retention, notice, sizeof(notice)));
	assert_non_null(strstr(notice, "raw rows of 2025-"));
	budget_bytes = 1;
	drop_old(now);
	assert_days(1, 1, 1);
	assert_true(ap_retention_error(retention, notice, sizeof(notice)));
	assert_non_null(strstr(notice, "--disk-budget"));
	budget_bytes = 0;
	drop_old(now + 100 * DAY);
	assert_days(0, 0, 0);
}

static void put_symbols(const char *build_id, int64_t version_s)
{
	struct ap_error err = {0};

	if (ap_store_exec(store, &err,
			  "INSERT INTO symbols (build_id, version) VALUES ('%s', %lld)", build_id,
			  (long long)NS_OF(version_s)) < 0)
		fail_msg("%s", err.msg);
}

/* Symbols go with the last frame of their module, but not on the day that they came. */
static void symbols_go_with_their_module(void **state)
{
	const int64_t day = BEGIN + 300ll * DAY, now = day + 60 * DAY;
	uint64_t deadline = ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC;
	struct ap_error err;

	if (ap_store_exec(store, &err,
			  "INSERT INTO frames (day, id, build_id) VALUES (%lld, 1, 'aa')",
			  (long long)(day / DAY)) < 0)
		fail_msg("%s", err.msg);
	put_symbols("aa", day);
	put_symbols("bb", day);
	put_symbols("cc", now - DAY);
	drop_old(now);
	while (count("symbols") > 2 && ap_clock_mono_ns() < deadline)
		usleep(10000);
	assert_int_equal(count("symbols WHERE build_id = 'bb'"), 0);
	assert_int_equal(count("symbols"), 2);
	drop_old(now + DAY);
	while (count("symbols") && ap_clock_mono_ns() < deadline)
		usleep(10000);
	assert_int_equal(count("symbols"), 0);
}

static void the_thread(void **state)
{
	struct ap_retention_options o;
	struct ap_retention *r = NULL;
	struct ap_error err;
	uint64_t deadline = ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC;

	put(BEGIN);
	begin();
	o = options();
	assert_int_equal(ap_retention_start(&o, &r, &err), 0);
	while (count("frames") && ap_clock_mono_ns() < deadline)
		usleep(10000);
	ap_retention_stop(r);
	assert_days(0, 0, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(days_go_whole_and_level_by_level),
		cmocka_unit_test(rows_go_once_they_are_summed_up),
		cmocka_unit_test(a_budget_acts_first),
		cmocka_unit_test(symbols_go_with_their_module),
		cmocka_unit_test(the_thread),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}

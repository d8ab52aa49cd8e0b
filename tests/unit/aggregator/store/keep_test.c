/* SPDX-License-Identifier: Apache-2.0 */
/* Which days go, and how long that can go on. */
#include "aggregator/store/keep.h"

#include "../../test.h"

enum { DAY = 86400, TODAY = 20000 };
#define NOW (TODAY * (int64_t)DAY + 3600)

/* Ten days of rows and fifty of sums, at 1000, 100, 10 and 1 bytes a day. */
static struct ap_store_days some_days(void)
{
	static const struct {
		const char *table;
		int n;
		uint64_t bytes;
	} tables[] = {
		{"frames", 50, 1},
		{"samples", 10, 1000},
		{"samples_1d", 50, 10},
		{"samples_1h", 50, 100},
	};
	struct ap_store_days d = {0};

	for (size_t i = 0; i < AP_ARRAY_SIZE(tables); i++)
		for (int k = tables[i].n - 1; k >= 0; k--) {
			struct ap_store_day day = {
				.day = TODAY - k, .rows = 1, .bytes = tables[i].bytes};

			snprintf(day.table, sizeof(day.table), "%s", tables[i].table);
			assert_int_equal(ap_vec_push(&d.v, day), 0);
		}
	return d;
}

static struct ap_keep_limits limits(uint64_t max_bytes)
{
	return (struct ap_keep_limits){.retention_s = {20 * DAY, 90 * DAY, 400ull * DAY},
				       .max_bytes = max_bytes};
}

enum { ALL = 10 * 1000 + 50 * 100 + 50 * 10 + 50 };

static void age_alone(void **state)
{
	_cleanup_days_ struct ap_store_days d = some_days();
	struct ap_keep_limits l = limits(UINT64_MAX);
	struct ap_keep_plan p;

	l.retention_s[AP_ROLLUP_RAW] = 7 * DAY;
	l.retention_s[AP_ROLLUP_HOUR] = 30 * DAY;
	ap_keep_plan(&d, &l, NOW, &p);
	assert_int_equal(p.before[AP_ROLLUP_RAW], TODAY - 7);
	assert_int_equal(p.before[AP_ROLLUP_HOUR], TODAY - 30);
	assert_int_equal(p.before[AP_ROLLUP_DAY], TODAY - 400);
	assert_int_equal(p.before[AP_KEEP_SHARED], TODAY - 400);
	assert_int_equal(p.short_of, 0);
	assert_memory_equal(p.before, p.due, sizeof(p.due));
	/* What age frees is not freed again. */
	l.max_bytes = ALL - 2 * 1000;
	ap_keep_plan(&d, &l, NOW, &p);
	assert_int_equal(p.before[AP_ROLLUP_RAW], TODAY - 7);
}

static void room_takes_rows_then_hours_then_days(void **state)
{
	_cleanup_days_ struct ap_store_days d = some_days();
	struct ap_keep_limits l = limits(ALL - 1);
	struct ap_keep_plan p;

	ap_keep_plan(&d, &l, NOW, &p);
	assert_int_equal(p.before[AP_ROLLUP_RAW], TODAY - 8);
	assert_int_equal(p.due[AP_ROLLUP_RAW], TODAY - 20);
	assert_int_equal(p.before[AP_ROLLUP_HOUR], p.due[AP_ROLLUP_HOUR]);
	l.max_bytes = ALL - 9000 - 1;
	ap_keep_plan(&d, &l, NOW, &p);
	assert_int_equal(p.before[AP_ROLLUP_RAW], TODAY);
	assert_int_equal(p.before[AP_ROLLUP_HOUR], TODAY - 48);
	assert_int_equal(p.before[AP_ROLLUP_DAY], p.due[AP_ROLLUP_DAY]);
	l.max_bytes = ALL - 9000 - 4900 - 12;
	ap_keep_plan(&d, &l, NOW, &p);
	assert_int_equal(p.before[AP_ROLLUP_HOUR], TODAY);
	assert_int_equal(p.before[AP_ROLLUP_DAY], TODAY - 47);
	assert_int_equal(p.before[AP_KEEP_SHARED], TODAY - 47); /* names go with the last level */
	assert_int_equal(p.short_of, 0);
	l.max_bytes = 0;
	ap_keep_plan(&d, &l, NOW, &p);
	assert_int_equal(p.before[AP_ROLLUP_RAW], TODAY); /* today stays */
	assert_int_equal(p.short_of, 1000 + 100 + 10 + 1);
}

static void a_full_disk_is_a_bound_of_its_own(void **state)
{
	_cleanup_days_ struct ap_store_days d = some_days();
	struct ap_keep_limits l = limits(UINT64_MAX);
	struct ap_keep_plan p;

	l.must_free = 1500;
	ap_keep_plan(&d, &l, NOW, &p);
	assert_int_equal(p.before[AP_ROLLUP_RAW], TODAY - 7);
}

static void the_forecast(void **state)
{
	_cleanup_days_ struct ap_store_days d = some_days();
	struct ap_keep_limits l = limits(UINT64_MAX);
	uint64_t full = 20 * 1000 + 90 * 100 + 400 * 10 + 400;
	struct ap_keep_forecast f;

	ap_keep_forecast(&d, &l, NOW, UINT64_MAX, UINT64_MAX, &f);
	assert_int_equal(f.bytes_per_day, 1111);
	assert_int_equal(f.bytes_full, full);
	assert_true(f.days_left < 0);
	assert_int_equal(f.acts_first, AP_KEEP_BY_RETENTION);
	ap_keep_forecast(&d, &l, NOW, full - ALL, UINT64_MAX, &f);
	assert_int_equal(f.acts_first, AP_KEEP_BY_RETENTION);
	ap_keep_forecast(&d, &l, NOW, 2222, 3000, &f);
	assert_int_equal(f.acts_first, AP_KEEP_BY_BUDGET);
	assert_true(f.days_left > 1.99 && f.days_left < 2.01);
	ap_keep_forecast(&d, &l, NOW, 3000, 1111, &f);
	assert_int_equal(f.acts_first, AP_KEEP_BY_FREE);
	/* On the first day nothing is known yet. */
	ap_keep_forecast(&d, &l, NOW - 60 * (int64_t)DAY, 1, 1, &f);
	assert_int_equal(f.bytes_per_day, 0);
	assert_true(f.days_left < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(age_alone),
		cmocka_unit_test(room_takes_rows_then_hours_then_days),
		cmocka_unit_test(a_full_disk_is_a_bound_of_its_own),
		cmocka_unit_test(the_forecast),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

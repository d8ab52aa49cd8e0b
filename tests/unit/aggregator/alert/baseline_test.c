/* SPDX-License-Identifier: Apache-2.0 */
/* Baselines whose samples have gone: sums answer where they tell the very same, and else the rule says what is
 * missing. */
#include <spawn.h>
#include <sys/wait.h>
#include <time.h>

#include "../../test.h"
#include "../query/fixture.h"
#include "aggregator/alert/source.h"
#include "aggregator/store/rollup.h"

enum { HOUR = 3600, DAY = 86400, LAG = 15 };
#define BEGIN ((int64_t)T0 / DAY * DAY)
#define NOW   (BEGIN + 2 * DAY + 4 * HOUR + LAG) /* the window's end is 4 h UTC */

#define SHARE                                                               \
	"{\"name\":\"n\",\"metric\":\"function_share\",\"function\":\"f\"," \
	"\"operator\":\"gt\",\"threshold\":0.2,\"window_s\":3600,"
#define CPU                                                                          \
	"{\"name\":\"n\",\"metric\":\"cpu_time\",\"operator\":\"gt\",\"threshold\":" \
	"0.2,\"window_s\":3600,"
#define TWO_HOURS "\"baseline\":{\"offset_s\":172800,\"window_s\":7200}}"

static struct fixture f;
static struct ap_rollup *rollup;
static struct ap_query_engine *queries;

/* An hour of samples, one a minute, of which so many percent are in the function. */
static void push_hour(int64_t begin, uint64_t percent)
{
	struct ap_profile *p = ap_profile_new();

	for (int minute = 0; minute < 60; minute++) {
		sample(p, begin + minute * 60, "service=web,pid=7", stack(p, "main;f", "/app", 0),
		       percent);
		sample(p, begin + minute * 60, "service=web,pid=7", stack(p, "main;g", "/app", 0),
		       100 - percent);
	}
	push(&f, p, "host", begin, begin + HOUR);
}

static int setup(void **state)
{
	struct ap_query_engine_options o = {0};
	struct ap_error err = {0};

	fixture_begin(&f);
	assert_int_equal(
		ap_rollup_new(&(struct ap_rollup_options){.store = f.store}, &rollup, NULL), 0);
	o = (struct ap_query_engine_options){
		.store = f.store, .buffer = f.buffer, .rollup = rollup};
	assert_int_equal(ap_query_engine_new(&o, &queries), 0);
	push_hour(BEGIN + 1 * HOUR, 10);
	push_hour(BEGIN + 2 * HOUR, 10);
	push_hour(BEGIN + 3 * HOUR, 30);
	push_hour(BEGIN + 4 * HOUR, 80);
	push_hour(BEGIN + 2 * DAY + 3 * HOUR, 40);
	push_hour(BEGIN + 2 * DAY + 4 * HOUR, 40);
	fixture_flush(&f);
	for (unsigned int l = AP_ROLLUP_HOUR; l < AP_ROLLUP_LEVELS; l++)
		if (ap_rollup_run(rollup, (enum ap_rollup_level)l, ap_buffer_watermark(f.buffer),
				  &err) < 0)
			fail_msg("%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	ap_query_engine_free(queries);
	ap_rollup_free(rollup);
	fixture_end(&f);
	return 0;
}

/* The first day goes from a table of samples or sums. */
static void drop(enum ap_rollup_level level)
{
	time_t t = (time_t)BEGIN;
	struct ap_error err = {0};
	char name[16];
	struct tm tm;

	strftime(name, sizeof(name), "%F", gmtime_r(&t, &tm));
	assert_int_equal(ap_rollup_note_dropped(rollup, level, (uint32_t)BEGIN + DAY, &err), 0);
	assert_int_equal(ap_store_exec(f.store, &err, "ALTER TABLE %s DROP PARTITION '%s'",
				       ap_rollup_table(AP_ROLLUP_SAMPLES, level)->name, name),
			 0);
}

static struct ap_alert_reading reading_of(const char *text, int64_t at)
{
	_cleanup_(ap_cleanup_alert_rule) struct ap_alert_rule *rule = NULL;
	struct ap_alert_reading a = {0};
	struct ap_error err = {0};

	if (ap_alert_rule_parse_text(ap_str_of(text), &rule, NULL, &err) < 0 ||
	    ap_alert_profile_read(queries, rule, at * 1000, &a, &err) < 0)
		fail_msg("%s", err.msg);
	return a;
}

static void changed_by(const char *text, int64_t at, double change)
{
	struct ap_alert_reading a = reading_of(text, at);

	if (!a.sufficient)
		fail_msg("%s", a.why);
	assert_float_equal(a.value, change, 1e-6);
	assert_true(a.samples > 0);
	assert_string_equal(a.why, "");
}

static void lacks(const char *text, int64_t at, const char *what)
{
	struct ap_alert_reading a = reading_of(text, at);

	assert_false(a.sufficient);
	if (!strstr(a.why, what))
		fail_msg("\"%s\" does not say \"%s\"", a.why, what);
}

/* From 10 and 30 percent to 40; half an hour later from 20, 30 and 80 percent of parts of the hours. */
static void samples_tell_of_any_baseline(void **state)
{
	changed_by(SHARE TWO_HOURS, NOW, 1);
	changed_by(SHARE TWO_HOURS, NOW + 1800, 40.0 / 37.5 - 1);
	changed_by(CPU TWO_HOURS, NOW, 0);
	changed_by(SHARE "\"filter\":\"{pid=\\\"7\\\"}\"," TWO_HOURS, NOW, 1);
	changed_by(SHARE "\"baseline\":{\"offset_s\":172800,\"window_s\":600}}", NOW,
		   40.0 / 30 - 1);
}

static void what_is_missing_is_said(void **state)
{
	lacks(SHARE "\"min_samples\":9000," TWO_HOURS, NOW,
	      "6000 samples in the window, 9000 are asked for");
	lacks(SHARE "\"min_samples\":9000," TWO_HOURS, NOW - DAY, "0 samples in the window");
	lacks(SHARE "\"min_samples\":6000,\"baseline\":{\"offset_s\":86400,\"window_s\":7200}}",
	      NOW, "0 samples in the baseline, 6000 are asked for");
}

static void sums_answer_for_whole_hours(void **state)
{
	drop(AP_ROLLUP_RAW);
	changed_by(SHARE TWO_HOURS, NOW, 1);
	/* It ends on the full hour from now on. */
	changed_by(SHARE TWO_HOURS, NOW + 1800, 1);
	lacks(SHARE "\"baseline\":{\"offset_s\":172800,\"window_s\":600}}", NOW,
	      "03:50 UTC, of which samples are kept by hour alone (--retention)");
	lacks(SHARE "\"filter\":\"{pid=\\\"7\\\"}\"," TWO_HOURS, NOW,
	      "02:00 UTC, of which samples are kept no more (--retention)");
	lacks(CPU TWO_HOURS, NOW, "the baseline begins at 2025-11-23 02:00 UTC");
	drop(AP_ROLLUP_HOUR);
	lacks(SHARE TWO_HOURS, NOW, "02:00 UTC, of which samples are kept by day alone");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(samples_tell_of_any_baseline),
		cmocka_unit_test(what_is_missing_is_said),
		cmocka_unit_test(sums_answer_for_whole_hours),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}

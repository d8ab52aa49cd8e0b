/* SPDX-License-Identifier: Apache-2.0 */
/* Which baselines are taken, by what is kept. */
#include "../../test.h"
#include "aggregator/alert/engine.h"

#define T0 1764000000000ll

static struct ap_alert_engine *engine;

static int read_metric(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
		       struct ap_alert_reading *ret, struct ap_error *err)
{
	return -ENOTSUP;
}

static int set_up(void **state)
{
	const struct ap_alert_engine_options o = {.path = ":memory:",
						  .read = read_metric,
						  .retention_s = 7 * 86400,
						  .retention_hourly_s = 90 * 86400};

	return ap_alert_engine_new(&o, &engine, NULL);
}

static int tear_down(void **state)
{
	ap_alert_engine_free(engine);
	return 0;
}

/* NULL: taken. */
static const char *refusal_of(const char *metric, const char *more, uint32_t offset,
			      uint32_t window)
{
	_cleanup_buf_ struct ap_buf b = {0};
	static struct ap_error err;
	struct ap_alert_rule *r = NULL;
	uint64_t id;
	int e;

	err = (struct ap_error){0};
	ap_buf_printf(&b,
		      "{\"name\":\"%s %s %u %u\",\"metric\":\"%s\",\"operator\":\"gt\","
		      "\"threshold\":1,%s\"baseline\":{\"offset_s\":%u,\"window_s\":%u}}",
		      metric, *more ? "of more" : "", offset, window, metric, more, offset, window);
	if (ap_alert_rule_parse_text(ap_buf_view(&b), &r, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	e = ap_alert_engine_add(engine, r, T0, &id, &err);
	if (e == 0)
		return NULL;
	assert_int_equal(e, -ERANGE);
	return err.msg;
}

/* Samples are kept for 7 days and sums by hour for 90, which tell of whole hours, and not of all metrics and labels. */
static void test_a_baseline_older_than_what_is_kept_is_refused(void **state)
{
	const uint32_t day = 86400;

	assert_null(refusal_of("cpu_time", "", 7 * day, 600));
	assert_null(refusal_of("cpu_time", "", 6 * day, day));
	assert_string_equal(refusal_of("cpu_time", "", 7 * day + 3600, 3600),
			    "baseline: it begins 7.08 days ago, and samples are kept for 7 "
			    "(--retention)");
	assert_non_null(refusal_of("cpu_time", "", 2 * day, 7 * day));
	assert_null(refusal_of("incomplete_share", "", 30 * day, 3600));
	assert_null(refusal_of("incomplete_share", "", 90 * day, day));
	assert_string_equal(refusal_of("incomplete_share", "", 90 * day + 3600, 3600),
			    "baseline: it begins 90.1 days ago, and sums by hour are kept for 90 "
			    "(--retention-hourly)");
	assert_non_null(
		strstr(refusal_of("incomplete_share", "", 30 * day, 600), "whole hours alone"));
	assert_non_null(strstr(
		refusal_of("incomplete_share", "\"filter\":\"{pid=\\\"7\\\"}\",", 30 * day, 3600),
		"not of processes"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_baseline_older_than_what_is_kept_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/alert/rule.h"

#include "../../test.h"

#define HEAD "\"name\":\"n\",\"operator\":\"gt\",\"threshold\":0.5"

static struct ap_alert_rule *parse(const char *text)
{
	struct ap_alert_rule *r = NULL;
	struct ap_error err = {0};
	const char *field;

	if (ap_alert_rule_parse_text(ap_str_of(text), &r, &field, &err) < 0)
		fail_msg("%s: %s", text, err.msg);
	return r;
}

static void refused(const char *text, const char *field)
{
	struct ap_alert_rule *r = NULL;
	struct ap_error err = {0};
	const char *at = NULL;

	assert_int_equal(ap_alert_rule_parse_text(ap_str_of(text), &r, &at, &err), -EINVAL);
	assert_null(r);
	assert_true(err.msg[0]);
	if (field)
		assert_string_equal(at ? at : "(none)", field);
	else
		assert_null(at);
}

static void test_defaults(void **state)
{
	struct ap_alert_rule *r = parse("{\"metric\":\"buffer_utilization\"," HEAD "}");

	assert_true(r->enabled);
	assert_int_equal(r->severity, AP_ALERT_WARNING);
	assert_int_equal(r->op, AP_ALERT_GT);
	assert_true(r->recover == 0.5);
	assert_int_equal(r->for_s, 0);
	assert_int_equal(r->interval_s, 15);
	ap_alert_rule_unref(r);
	r = parse("{\"metric\":\"lock_time\"," HEAD "}");
	assert_int_equal(r->interval_s, 60);
	assert_int_equal(r->window_s, 300);
	assert_int_equal(r->min_samples, 500);
	assert_string_equal(r->type->name, "lock:nanoseconds");
	ap_alert_rule_unref(r);
}

static void test_every_metric_reads_back(void **state)
{
	for (int i = 0; i < AP_ALERT_METRIC_MAX; i++) {
		const struct ap_alert_metric_info *info = &ap_alert_metrics[i];
		_cleanup_buf_ struct ap_buf text = {0}, once = {0}, twice = {0};
		struct ap_alert_rule *r, *again;

		ap_buf_printf(&text, "{\"metric\":\"%s\"," HEAD "%s%s%s%s}", info->name,
			      info->takes & AP_ALERT_TAKES_FUNCTION ? ",\"function\":\"f\"" : "",
			      info->takes & AP_ALERT_TAKES_MODULE ? ",\"module\":\"m\"" : "",
			      info->takes & AP_ALERT_TAKES_BASELINE
				      ? ",\"baseline\":{\"offset_s\":604800,\"window_s\":3600}"
				      : "",
			      info->takes & AP_ALERT_TAKES_FILTER ? ",\"filter\":\"{host='a'}\""
								  : "");
		ap_buf_byte(&text, '\0');
		r = parse((const char *)text.p);
		ap_buf_puts(&once, "{");
		ap_alert_rule_json(&once, r);
		ap_buf_puts(&once, "}");
		ap_buf_byte(&once, '\0');
		again = parse((const char *)once.p);
		ap_buf_puts(&twice, "{");
		ap_alert_rule_json(&twice, again);
		ap_buf_puts(&twice, "}");
		ap_buf_byte(&twice, '\0');
		assert_string_equal(once.p, twice.p);
		ap_alert_rule_unref(r);
		ap_alert_rule_unref(again);
	}
}

static void test_what_is_wrong_is_named(void **state)
{
#define SYSTEM	 "{\"metric\":\"buffer_utilization\"," HEAD
#define FUNCTION "{\"metric\":\"function_share\"," HEAD
	refused("", NULL);
	refused("[]", NULL);
	refused("{\"name\":\"a\",\"name\":\"b\"}", NULL);
	refused(SYSTEM ",\"nonsense\":1}", NULL);
	refused("{}", "name");
	refused("{\"name\":\"  \"}", "name");
	refused("{\"name\":\"n\",\"metric\":\"bananas\"}", "metric");
	refused("{\"name\":\"n\",\"metric\":\"lock_time\",\"operator\":\"like\"}", "operator");
	refused("{\"name\":\"n\",\"metric\":\"lock_time\",\"operator\":\"gt\"}", "threshold");
	refused(SYSTEM ",\"recover\":0.6}", "recover");
	refused(SYSTEM ",\"severity\":\"grave\"}", "severity");
	refused(SYSTEM ",\"enabled\":1}", "enabled");
	refused(SYSTEM ",\"for_s\":-1}", "for_s");
	refused(SYSTEM ",\"for_s\":1.5}", "for_s");
	refused(SYSTEM ",\"interval_s\":1}", "interval_s");
	refused(SYSTEM ",\"filter\":\"\"}", "filter");
	refused(SYSTEM ",\"min_samples\":1}", "min_samples");
	refused(FUNCTION "}", "function");
	refused(FUNCTION ",\"function\":\"f\",\"filter\":\"{\"}", "filter");
	refused(FUNCTION ",\"function\":\"f\",\"type\":\"cpu:bananas\"}", "type");
	refused(FUNCTION ",\"function\":\"f\\u0000g\"}", NULL);
	refused(FUNCTION ",\"function\":\"f\",\"baseline\":{\"offset_s\":60}}", "offset_s");
	refused(FUNCTION ",\"function\":\"f\",\"baseline\":{\"offset\":600}}", "baseline");
	refused("{\"metric\":\"agent_silent\"," HEAD ",\"filter\":\"{service='a'}\"}", "filter");
	refused(SYSTEM ",\"webhooks\":[{\"url\":\"ftp://host/\"}]}", "webhooks");
	refused(SYSTEM ",\"webhooks\":[{\"url\":\"http:///x\"}]}", "webhooks");
	refused(SYSTEM ",\"webhooks\":[{\"url\":\"file:///etc/passwd\"}]}", "webhooks");
	refused(SYSTEM ",\"webhooks\":[{\"url\":\"http://h/\",\"token\":\"x\"}]}", "webhooks");
	refused(SYSTEM ",\"webhooks\":[{},{},{},{},{},{},{},{},{}]}", "webhooks");
}

static void test_hysteresis_lies_on_the_quiet_side(void **state)
{
	ap_alert_rule_unref(
		parse("{\"metric\":\"disk_free_share\",\"name\":\"n\",\"operator\":\"lt\","
		      "\"threshold\":0.1,\"recover\":0.15}"));
	refused("{\"metric\":\"disk_free_share\",\"name\":\"n\",\"operator\":\"lt\","
		"\"threshold\":0.1,\"recover\":0.05}",
		"recover");
	refused("{\"metric\":\"disk_free_share\",\"name\":\"n\",\"operator\":\"eq\","
		"\"threshold\":0.1,\"recover\":0.05}",
		"recover");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_every_metric_reads_back),
		cmocka_unit_test(test_what_is_wrong_is_named),
		cmocka_unit_test(test_hysteresis_lies_on_the_quiet_side),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

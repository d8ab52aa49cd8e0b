/* SPDX-License-Identifier: Apache-2.0 */
#include "../../test.h"
#include "aggregator/query/filter.h"
#include "filter_cases.h"

static struct ap_str get(void *ctx, struct ap_str label)
{
	const char *const *pairs = ctx;

	for (; pairs[0]; pairs += 2)
		if (ap_str_is(label, pairs[0]))
			return ap_str_of(pairs[1]);
	return AP_STR("");
}

static int matches(const char *selector)
{
	static const char *labels[] = {"service",    "redis",	 "host", "web-12",
				       "my/label-x", "q\"uo'te", NULL};
	_cleanup_(ap_cleanup_filter) struct ap_filter *f = NULL;
	struct ap_error err = {0};

	if (ap_filter_parse(ap_str_of(selector), &f, NULL, &err) < 0)
		fail_msg("%s: %s", selector, err.msg);
	return ap_filter_match(f, get, labels);
}

static void selects(void **state)
{
	static const struct {
		const char *selector;
		int expected;
	} cases[] = {
		{"", 1},
		{"{}", 1},
		{" { } ", 1},
		{"{service=\"redis\"}", 1},
		{"{service=\"redi\"}", 0},
		{"{ service = 'redis' , host != `web-1` , }", 1},
		{"{service=~\"re.*\"}", 1},
		{"{service=~\"edi\"}", 0},
		{"{service!~\"edi\"}", 1},
		{"{service!=\"redis\"}", 0},
		{"{pod=\"\"}", 1},
		{"{pod!=\"\"}", 0},
		{"{pod=~\".+\"}", 0},
		{"{service=\"redis\",host=\"x\"}", 0},
		{"{my/label-x=\"q\\\"uo'te\"}", 1},
		{"{my/label-x='q\"uo\\'te'}", 1},
		{"{my/label-x=`q\"uo'te`}", 1},
		{"{service=\"\\x72edis\"}", 1},
		{"{host=~`web-\\d+`}", 1},
		{"{host=~\"web-\\\\d+\"}", 1},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++)
		if (matches(cases[i].selector) != cases[i].expected)
			fail_msg("%s should give %d", cases[i].selector, cases[i].expected);
}

static void errors_say_where(void **state)
{
	static const struct {
		const char *selector;
		size_t pos;
		const char *says;
	} cases[] = {
		{"service", 0, "begins with {"},
		{"{service", 8, "= != =~ !~"},
		{"{service=redis}", 9, "quoted value"},
		{"{service=\"redis}", 9, "never closed"},
		{"{service=\"a\" host=\"b\"}", 13, "comma or }"},
		{"{service=\"a\"} x", 14, "nothing may follow"},
		{"{=\"a\"}", 1, "label's name"},
		{"{1a=\"a\"}", 1, "label's name"},
		{"{a=\"\\d\"}", 4, "unknown escape"},
		{"{a=\"\\xg1\"}", 4, "two hexadecimal"},
		{"{a=\"\\xff\"}", 3, "UTF-8"},
		{"{a=\"\\x00\"}", 3, "NUL"},
		{"{a=~\"(\"}", 4, "byte 1"},
		{"{a=~\"x(?=y)\"}", 4, "look-around"},
		{"{a=\"b\"", 6, "comma or }"},
		{"{a==\"b\"}", 3, "quoted value"},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		struct ap_filter *f = NULL;
		struct ap_error err = {0};
		size_t pos = 999;

		assert_int_equal(ap_filter_parse(ap_str_of(cases[i].selector), &f, &pos, &err),
				 -EINVAL);
		assert_null(f);
		if (pos != cases[i].pos || !strstr(err.msg, cases[i].says))
			fail_msg("%s: byte %zu, %s", cases[i].selector, pos, err.msg);
	}
}

static void what_the_sides_read_differently_is_refused(void **state)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(filter_refused); i++) {
		_cleanup_buf_ struct ap_buf text = {0};
		struct ap_filter *f = NULL;

		ap_buf_printf(&text, "{a=~`%s`}", filter_refused[i]);
		if (ap_filter_parse(ap_buf_view(&text), &f, NULL, NULL) != -EINVAL)
			fail_msg("%s is taken", filter_refused[i]);
	}
}

static void bounds(void **state)
{
	_cleanup_buf_ struct ap_buf many = {0}, longest = {0};
	struct ap_filter *f = NULL;

	ap_buf_puts(&many, "{");
	for (int i = 0; i < 65; i++)
		ap_buf_puts(&many, "a=\"b\",");
	ap_buf_puts(&many, "}");
	assert_int_equal(ap_filter_parse(ap_buf_view(&many), &f, NULL, NULL), -E2BIG);
	ap_buf_printf(&longest, "{a=~\"%01030d\"}", 1);
	assert_int_equal(ap_filter_parse(ap_buf_view(&longest), &f, NULL, NULL), -E2BIG);
}

static void costly_expressions_end(void **state)
{
	static const char *labels[] = {"a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", NULL};
	_cleanup_(ap_cleanup_filter) struct ap_filter *f = NULL;

	assert_int_equal(
		ap_filter_parse(AP_STR("{a=~\"(a|aa|aaa)*(a|aa|aaa)*b\"}"), &f, NULL, NULL), 0);
	assert_int_equal(ap_filter_match(f, get, labels), -E2BIG);
}

static void sql_holds_no_foreign_text(void **state)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *f = NULL;
	_cleanup_buf_ struct ap_buf sql = {0};

	assert_int_equal(ap_filter_parse(AP_STR("{service=\"') OR 1=1 --\",x!=\"\\\\'\\n\"}"), &f,
					 NULL, NULL),
			 0);
	ap_filter_sql(f, &sql);
	assert_true(ap_str_is(ap_buf_view(&sql),
			      " AND (service = '\\') OR 1=1 --')"
			      " AND (label_values[indexOf(label_keys, 'x')] != '\\\\\\'\\x0A')"));
}

static void hosts_only(void **state)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *f = NULL;
	_cleanup_buf_ struct ap_buf sql = {0};

	assert_int_equal(ap_filter_parse(AP_STR("{service=\"x\",host=\"h\"}"), &f, NULL, NULL), 0);
	assert_int_equal(ap_filter_match_hosts(f, AP_STR("h"), AP_STR("")), 1);
	assert_int_equal(ap_filter_match_hosts(f, AP_STR("g"), AP_STR("")), 0);
	ap_filter_sql_hosts(f, &sql);
	assert_true(ap_str_is(ap_buf_view(&sql), " AND (host = 'h')"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selects),
		cmocka_unit_test(errors_say_where),
		cmocka_unit_test(what_the_sides_read_differently_is_refused),
		cmocka_unit_test(bounds),
		cmocka_unit_test(costly_expressions_end),
		cmocka_unit_test(sql_holds_no_foreign_text),
		cmocka_unit_test(hosts_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

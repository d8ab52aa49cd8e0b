/* SPDX-License-Identifier: Apache-2.0 */
#include "../../test.h"
#include "aggregator/store/exception.h"
#include "aggregator/store/server_answer.h"

static int check(long status, const char *header, const char *text, struct ap_error *err)
{
	_cleanup_server_answer_ struct ap_server_answer a = {.status = status};

	*err = (struct ap_error){0};
	ap_server_answer_header(&a, AP_STR("HTTP/1.1 000 Whatever\r\n"));
	ap_server_answer_header(&a, ap_str_of(header));
	ap_server_answer_text(&a, ap_str_of(text));
	return ap_server_answer_check(&a, "a query failed", err);
}

static void both_forms_of_exceptions_are_understood(void **state)
{
	struct ap_error err;

	assert_int_equal(check(500, "Date: today",
			       "Code: 241, e.displayText() = DB::Exception: Memory limit: no, "
			       "e.what() = DB::Exception\n",
			       &err),
			 -ENOMEM);
	assert_string_equal(err.msg, "a query failed: Memory limit: no");
	assert_int_equal(check(404, "x-clickhouse-exception-code: 60\r\n",
			       "Code: 60. DB::Exception: Unknown table expression identifier 'x'. "
			       "(UNKNOWN_TABLE) (version 26.7.3.1 (official build))\nmore",
			       &err),
			 -ENOENT);
	assert_non_null(strstr(err.msg, "Unknown table"));
	assert_null(strstr(err.msg, "more"));
}

static void what_a_cluster_says_names_the_server(void **state)
{
	struct ap_error err;

	assert_int_equal(
		check(500, "",
		      "Code: 279, e.displayText() = DB::NetException: All connection tries failed. "
		      "Log: \n\nCode: 32, e.displayText() = DB::Exception: Attempt to read after "
		      "eof, e.what() = DB::Exception\nCode: 210, e.displayText() = "
		      "DB::NetException: Connection refused (shard-2:9000), e.what() = "
		      "DB::NetException\n\n, e.what() = DB::NetException\n",
		      &err),
		-ENOTCONN);
	assert_non_null(strstr(err.msg, "Connection refused (shard-2:9000)"));
	assert_null(strstr(err.msg, "e.what()"));
	/* Without a name it is as the server says it. */
	assert_int_equal(
		check(500, "", "Code: 279. DB::NetException: All connection tries failed", &err),
		-ENOTCONN);
	assert_non_null(strstr(err.msg, "All connection tries failed"));
	assert_int_equal(check(500, "",
			       "Code: 279. DB::NetException: All connection tries failed. Log: \n\n"
			       "Code: 60. DB::Exception: There is no table `ap`.`samples_local` on "
			       "server: (shard-2:9000)",
			       &err),
			 -ENOENT);
	assert_int_equal(
		check(500, "", "Code: 369, e.displayText() = DB::Exception: Could not find", &err),
		-ENOTCONN);
	assert_non_null(strstr(err.msg, "a shard of the cluster"));
}

static void the_header_alone_is_enough(void **state)
{
	struct ap_error err;

	assert_int_equal(check(200, "X-ClickHouse-Exception-Code: 159", "", &err), -ETIMEDOUT);
	assert_int_equal(check(200, "X-ClickHouse-Exception-Code: lots", "", &err), 0);
	assert_int_equal(check(200, "no header", "", &err), 0);
	/* An exception after the head had gone out. */
	assert_int_equal(check(200, "Date: today", "\001\002Code: 394. DB::Exception: Gone", &err),
			 -ECANCELED);
}

static void the_user_is_told_what_to_do(void **state)
{
	struct ap_error err;

	assert_int_equal(check(401, "", "Code: 193. DB::Exception: Wrong password", &err), -EACCES);
	assert_non_null(strstr(err.msg, "--clickhouse-password-file"));
	assert_int_equal(check(404, "", "Code: 81. DB::Exception: No such database", &err),
			 -ENOENT);
	assert_non_null(strstr(err.msg, "--clickhouse-database"));
	assert_int_equal(check(503, "", "<html>", &err), -ENOTCONN);
	assert_int_equal(check(404, "", "not found\033[2J", &err), -EPROTO);
	assert_non_null(strstr(err.msg, "--clickhouse-url"));
	assert_null(strchr(err.msg, '\033'));
}

static void the_summary_tells_rows(void **state)
{
	static const struct {
		const char *json;
		bool has;
		uint64_t rows;
	} cases[] = {
		{"{\"read_rows\":\"7\",\"written_rows\":\"3\"}", true, 3},
		{"{\"written_rows\":\"18446744073709551615\"}", true, UINT64_MAX},
		{"{\"written_rows\":\"18446744073709551616\"}", false, 0},
		{"{\"written_rows\":\"-1\"}", false, 0},
		{"{\"written_rows\":3}", false, 0},
		{"{\"written_rows\":", false, 0},
		{"[]", false, 0},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(cases); i++) {
		_cleanup_server_answer_ struct ap_server_answer a = {.status = 200};
		char line[128];

		snprintf(line, sizeof(line), "X-ClickHouse-Summary: %s\r\n", cases[i].json);
		ap_server_answer_header(&a, ap_str_of(line));
		assert_int_equal(a.has_written, cases[i].has);
		if (a.has_written)
			assert_true(a.written == cases[i].rows);
	}
}

static void an_exception_needs_a_number(void **state)
{
	struct ap_str line;
	uint32_t number = 0;

	assert_false(ap_exception_find(AP_STR("Code: x. DB::Exception: no"), &number, &line));
	assert_false(ap_exception_find(AP_STR("Code: "), &number, &line));
	assert_false(ap_exception_find((struct ap_str){NULL, 0}, &number, &line));
	assert_true(ap_exception_find(AP_STR("Code: x Code: 7"), &number, &line));
	assert_int_equal(number, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_of_exceptions_are_understood),
		cmocka_unit_test(what_a_cluster_says_names_the_server),
		cmocka_unit_test(the_header_alone_is_enough),
		cmocka_unit_test(the_user_is_told_what_to_do),
		cmocka_unit_test(the_summary_tells_rows),
		cmocka_unit_test(an_exception_needs_a_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

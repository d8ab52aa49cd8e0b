/* SPDX-License-Identifier: Apache-2.0 */
/* The same selectors over the same values, in C and by the real engine: they must agree. */
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "../engine.h"
#include "aggregator/query/filter.h"
#include "filter_cases.h"

static struct ap_store *store;
static char *folder;

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

static struct ap_str get(void *ctx, struct ap_str label)
{
	return *(const struct ap_str *)ctx;
}

/* Compares one matcher over all values; `label` is a column, or a user's label. */
static void compare(const char *label, const char *op, struct ap_str value)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *f = NULL;
	_cleanup_buf_ struct ap_buf text = {0}, sql = {0};
	struct ap_error err = {0};
	uint64_t expected = 0, got = 0;

	ap_buf_printf(&text, "{%s%s\"", label, op);
	for (size_t i = 0; i < value.n; i++)
		ap_buf_printf(&text, "\\x%02x", (unsigned char)value.p[i]);
	ap_buf_puts(&text, "\"}");
	if (ap_filter_parse(ap_buf_view(&text), &f, NULL, &err) < 0)
		fail_msg("%.*s: %s", AP_STR_ARG(value), err.msg);
	ap_buf_puts(
		&sql,
		"SELECT sum(bitShiftLeft(toUInt64(1), i)) FROM (SELECT v.1 AS i, v.2 AS service,"
		" ['k', 'user'] AS label_keys, ['z', v.2] AS label_values FROM (SELECT "
		"arrayJoin([");
	for (size_t i = 0; i < AP_ARRAY_SIZE(filter_values); i++) {
		struct ap_str v = ap_str_of(filter_values[i]);
		int r = ap_filter_match(f, get, &v);

		assert_true(r >= 0);
		expected |= (uint64_t)r << i;
		ap_buf_printf(&sql, "%s(%zu, ", i ? ", " : "", i);
		ap_sql_quote(&sql, v);
		ap_buf_puts(&sql, ")");
	}
	ap_buf_puts(&sql, "]) AS v)) WHERE 1");
	ap_filter_sql(f, &sql);
	ap_buf_byte(&sql, 0);
	if (ap_store_query_uint(store, (const char *)sql.p, &got, &err) < 0)
		fail_msg("%s %s %.*s: %s", label, op, AP_STR_ARG(value), err.msg);
	for (size_t i = 0; i < AP_ARRAY_SIZE(filter_values); i++)
		if (((expected ^ got) >> i) & 1)
			fail_msg("%s%s%.*s on \"%s\": C says %d", label, op, AP_STR_ARG(value),
				 filter_values[i], (int)((expected >> i) & 1));
}

static void c_and_sql_agree(void **state)
{
	assert_true(AP_ARRAY_SIZE(filter_values) < 64);
	for (size_t i = 0; i < AP_ARRAY_SIZE(filter_regexes); i++) {
		compare("service", "=~", ap_str_of(filter_regexes[i]));
		compare("user", "!~", ap_str_of(filter_regexes[i]));
	}
	for (size_t i = 0; i < AP_ARRAY_SIZE(filter_values); i++) {
		compare("service", "=", ap_str_of(filter_values[i]));
		compare("user", "!=", ap_str_of(filter_values[i]));
	}
}

static void absent_labels_are_empty(void **state)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *f = NULL;
	_cleanup_buf_ struct ap_buf sql = {0};
	struct ap_error err = {0};
	uint64_t n = 0;

	assert_int_equal(
		ap_filter_parse(AP_STR("{none=\"\",none=~\"\",other!=\"x\"}"), &f, NULL, &err), 0);
	ap_buf_puts(&sql, "SELECT count() FROM (SELECT ['k'] AS label_keys, ['v'] AS label_values "
			  "UNION ALL SELECT emptyArrayString(), emptyArrayString()) WHERE 1");
	ap_filter_sql(f, &sql);
	ap_buf_byte(&sql, 0);
	assert_int_equal(ap_store_query_uint(store, (const char *)sql.p, &n, &err), 0);
	assert_int_equal(n, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(c_and_sql_agree),
		cmocka_unit_test(absent_labels_are_empty),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}

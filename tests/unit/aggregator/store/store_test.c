/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers against the real engine. */
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "../engine.h"
#include "aggregator/store/folder.h"
#include "aggregator/store/schema.h"
#include "aggregator/store/server_http.h"
#include "base/clock.h"

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

static const struct ap_native_spec specs[] = {
	{"u8", AP_NATIVE_UINT8},	  {"u16", AP_NATIVE_UINT16},
	{"u32", AP_NATIVE_UINT32},	  {"u64", AP_NATIVE_UINT64},
	{"i64", AP_NATIVE_INT64},	  {"day", AP_NATIVE_DATE},
	{"time", AP_NATIVE_DATETIME},	  {"text", AP_NATIVE_STRING},
	{"word", AP_NATIVE_LC_STRING},	  {"ids", AP_NATIVE_ARRAY_UINT64},
	{"keys", AP_NATIVE_ARRAY_STRING}, {"words", AP_NATIVE_ARRAY_LC_STRING},
};
enum { COLUMNS = AP_ARRAY_SIZE(specs), ROWS = 70000 };

/* Rows that begin with white space and double newlines: what a text interface would eat. */
static struct ap_str text_of(uint64_t i)
{
	static const char *const texts[] = {" \n\n\t", "", "\n\n", "plain", "'\\'"};

	return ap_str_of(texts[i % AP_ARRAY_SIZE(texts)]);
}

static void fill_row(struct ap_native_block *b, uint64_t i)
{
	uint64_t ids[3] = {i, UINT64_MAX - i, 0x0a0a0a0a0a0a0a0aull};
	struct ap_str words[2] = {text_of(i), text_of(i + 1)};

	ap_native_put_uint(b, 0, 0x0a);
	ap_native_put_uint(b, 1, 0x0a0a);
	for (uint32_t c = 2; c <= 6; c++)
		ap_native_put_uint(b, c, c == 5 ? i % 60000 : i);
	ap_native_put_str(b, 7, text_of(i));
	ap_native_put_str(b, 8, text_of(i));
	ap_native_put_uints(b, 9, ids, i % 4);
	ap_native_put_strs(b, 10, words, i % 3);
	ap_native_put_strs(b, 11, words, i % 3);
}

static int check_rows(void *ctx, const struct ap_native_view *v)
{
	uint64_t *next = ctx;

	for (size_t row = 0; row < v->rows; row++, ++*next) {
		uint64_t i = *next;
		size_t from, to;

		assert_int_equal(ap_native_uint(&v->columns[1], row), 0x0a0a);
		for (uint32_t c = 2; c <= 6; c++)
			assert_int_equal(ap_native_uint(&v->columns[c], row),
					 c == 5 ? i % 60000 : i);
		assert_true(ap_str_eq(ap_native_str(&v->columns[7], row), text_of(i)));
		assert_true(ap_str_eq(ap_native_str(&v->columns[8], row), text_of(i)));
		ap_native_array(&v->columns[9], row, &from, &to);
		assert_int_equal(to - from, i % 4);
		if (i % 4 == 3)
			assert_true(ap_native_uint(v->columns[9].items, to - 1) ==
				    0x0a0a0a0a0a0a0a0aull);
		ap_native_array(&v->columns[11], row, &from, &to);
		assert_int_equal(to - from, i % 3);
		for (size_t k = from; k < to; k++)
			assert_true(ap_str_eq(ap_native_str(v->columns[11].items, k),
					      text_of(i + k - from)));
	}
	return 0;
}

static void create_all_types(const char *table)
{
	_cleanup_buf_ struct ap_buf sql = {0};
	struct ap_error err = {0};

	for (uint32_t i = 0; i < COLUMNS; i++)
		ap_buf_printf(&sql, "%s%s %s", i ? ", " : "", specs[i].name,
			      ap_native_type_name(specs[i].type));
	assert_int_equal(ap_store_exec(store, &err,
				       "CREATE TABLE %s (%.*s) ENGINE = MergeTree ORDER BY "
				       "u32 SETTINGS index_granularity = 8192%s",
				       table, (int)sql.n, (const char *)sql.p,
				       store->caps & AP_STORE_CAP_DEDUPLICATION
					       ? ", non_replicated_deduplication_window = 100"
					       : ""),
			 0);
}

static uint64_t parts_of(const char *table)
{
	struct ap_error err = {0};
	char sql[128];
	uint64_t n;

	snprintf(sql, sizeof(sql), "SELECT count() FROM system.parts WHERE table = '%s' AND active",
		 table);
	assert_int_equal(ap_store_query_uint(store, sql, &n, &err), 0);
	return n;
}

static void engine_round_trip(void **state)
{
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *b =
		ap_native_block_new(specs, COLUMNS);
	struct ap_error err = {0};
	uint64_t next = 0, n = 0;

	create_all_types("types");
	for (uint64_t i = 0; i < ROWS; i++)
		fill_row(b, i);
	assert_int_equal(ap_store_insert(store, "types", b, "one", &err), 0);
	/* The same token again stores nothing. */
	if (store->caps & AP_STORE_CAP_DEDUPLICATION)
		assert_int_equal(ap_store_insert(store, "types", b, "one", &err), 0);
	assert_int_equal(ap_store_query_uint(store, "SELECT count() FROM types", &n, &err), 0);
	assert_int_equal(n, ROWS);
	assert_int_equal(ap_store_query(store, AP_STR("SELECT * FROM types ORDER BY u32"), NULL,
					check_rows, &next, &err),
			 0);
	assert_int_equal(next, ROWS);
	assert_int_equal(parts_of("types"), 1);
}

static void insert_parts(const char *table, uint32_t parts)
{
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *b =
		ap_native_block_new(specs, COLUMNS);
	struct ap_error err = {0};

	fill_row(b, 1);
	for (uint32_t i = 0; i < parts; i++)
		assert_int_equal(ap_store_insert(store, table, b, AP_STORE_ANEW, &err), 0);
}

static void what_the_engine_remembers_can_be_stored_anew(void **state)
{
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *b =
		ap_native_block_new(specs, COLUMNS);
	struct ap_error err = {0};
	uint64_t n;

	create_all_types("anew");
	fill_row(b, 1);
	assert_int_equal(ap_store_insert(store, "anew", b, "one", &err), 0);
	insert_parts("anew", 3);
	assert_int_equal(ap_store_query_uint(store, "SELECT count() FROM anew", &n, &err), 0);
	assert_int_equal(n, 4);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			ap_store_insert_select(store,
					       AP_STR("INSERT INTO anew SELECT * FROM types WHERE "
						      "u32 = 7 ORDER BY u32"),
					       AP_STORE_ANEW, &err),
			0);
	assert_int_equal(ap_store_query_uint(store, "SELECT count() FROM anew", &n, &err), 0);
	assert_int_equal(n, 6);
}

/* Merges end the wait for them, else the test's time does. */
static void await_fewer_parts(const char *table, uint64_t parts)
{
	while (parts_of(table) >= parts)
		usleep(10000);
}

static void merges_wait_for_a_writer_that_is_behind(void **state)
{
	if (!store->driver->behind)
		skip();
	create_all_types("merged");
	insert_parts("merged", 1);
	ap_store_behind(store, true);
	insert_parts("merged", 40);
	assert_int_equal(parts_of("merged"), 41);
	ap_store_behind(store, false);
	await_fewer_parts("merged", 41);
	/* But not until nothing can be inserted any more. */
	ap_store_behind(store, true);
	insert_parts("merged", 101);
	ap_store_behind(store, true);
	await_fewer_parts("merged", 101);
	ap_store_behind(store, false);
}

static int ignore(void *ctx, const struct ap_native_view *v)
{
	return 0;
}

static void limits_are_kept(void **state)
{
	const struct ap_str endless =
		AP_STR("SELECT sleepEachRow(0.01) + number FROM numbers(100000)");
	const struct ap_str many = AP_STR("SELECT number FROM numbers(10000000)");
	const struct ap_str heavy = AP_STR(
		"SELECT toUInt64(length(groupArray(toString(number)))) FROM numbers(5000000)");
	struct ap_store_limits l = {.timeout_ns = 200 * AP_NSEC_PER_MSEC};
	atomic_bool cancelled = true;
	struct ap_error err = {0};
	uint64_t n = 0;

	assert_int_equal(ap_store_query(store, endless, &l, ignore, NULL, &err), -ETIMEDOUT);
	l = (struct ap_store_limits){.max_rows = 1000};
	assert_int_equal(ap_store_query(store, many, &l, ignore, NULL, &err), -E2BIG);
	l = (struct ap_store_limits){.max_memory = 20 << 20};
	assert_int_equal(ap_store_query(store, heavy, &l, ignore, NULL, &err), -ENOMEM);
	l = (struct ap_store_limits){.cancel = &cancelled};
	assert_int_equal(ap_store_query(store, many, &l, ignore, NULL, &err), -ECANCELED);
	assert_int_equal(
		ap_store_query(store, AP_STR("SELECT nonsense FROM"), NULL, ignore, NULL, &err),
		-EINVAL);
	assert_non_null(strstr(err.msg, "Syntax error"));
	/* The channels are as good as new. */
	for (int i = 0; i < 4; i++) {
		assert_int_equal(ap_store_query_uint(store, "SELECT toUInt64(42)", &n, &err), 0);
		assert_int_equal(n, 42);
	}
}

struct slow {
	atomic_bool cancel;
	int result;
};

/* Gives its one row at its very end, hours away. */
static void *run_for_hours(void *arg)
{
	struct slow *slow = arg;
	struct ap_store_limits l = {.timeout_ns = 3600 * AP_NSEC_PER_SEC, .cancel = &slow->cancel};

	slow->result = ap_store_query(
		store, AP_STR("SELECT sum(sipHash64(number)) FROM numbers(100000000000000)"), &l,
		ignore, NULL, NULL);
	return NULL;
}

static void wait_running(uint64_t wanted)
{
	uint64_t until = ap_clock_mono_ns() + 30 * AP_NSEC_PER_SEC, n = !wanted;
	struct ap_error err = {0};

	while (n != wanted) {
		assert_true(ap_clock_mono_ns() < until);
		assert_int_equal(
			ap_store_query_uint(store,
					    "SELECT count() FROM system.processes WHERE query "
					    "LIKE '%sipHash64%' AND query NOT LIKE '%processes%'",
					    &n, &err),
			0);
	}
}

static void a_cancelled_statement_ends_in_the_engine(void **state)
{
	struct slow slow = {0};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run_for_hours, &slow), 0);
	wait_running(1);
	atomic_store(&slow.cancel, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(slow.result, -ECANCELED);
	wait_running(0);
}

/* More than there are channels: whoever waits for one is heard as well. */
static void a_statement_that_waits_can_be_cancelled(void **state)
{
	struct slow slow[3] = {0};
	pthread_t threads[3];

	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_for_hours, &slow[i]), 0);
	for (int i = 2; i >= 0; i--) {
		atomic_store(&slow[i].cancel, true);
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(slow[i].result, -ECANCELED);
	}
	wait_running(0);
}

static void quoting_survives_any_bytes(void **state)
{
	static const char *const nasty[] = {
		"",  "'",     "\\",	      "\\'", "a'); DROP TABLE meta; --", "\n\t\x01\x7f",
		"é", "\\x41", "%s{x:String}", "`\""};
	struct ap_error err = {0};

	for (size_t i = 0; i < AP_ARRAY_SIZE(nasty); i++) {
		_cleanup_buf_ struct ap_buf sql = {0};
		uint64_t same = 0;

		ap_buf_puts(&sql, "SELECT toUInt64(hex(");
		ap_sql_quote(&sql, ap_str_of(nasty[i]));
		ap_buf_puts(&sql, ") = '");
		for (const char *p = nasty[i]; *p; p++)
			ap_buf_printf(&sql, "%02X", (unsigned char)*p);
		ap_buf_puts(&sql, "')");
		ap_buf_byte(&sql, 0);
		assert_int_equal(ap_store_query_uint(store, (const char *)sql.p, &same, &err), 0);
		assert_int_equal(same, 1);
	}
}

/* A statement at the server by its parameters alone. */
static int ask_server(struct ap_str params, struct ap_str sql, struct ap_error *err)
{
	struct ap_server_address a = {.url = engine_server.url,
				      .user = (char *)CLICKHOUSE_USER,
				      .password = (char *)CLICKHOUSE_PASSWORD};
	struct ap_server_channel *c = ap_server_channel_new(&a);
	_cleanup_server_answer_ struct ap_server_answer answer = {0};
	struct ap_server_request q = {.params = params, .body = sql, .deadline = UINT64_MAX};
	int r = ap_server_channel_ask(c, &q, &answer, err);

	ap_server_channel_free(c);
	return r == 0 ? ap_server_answer_check(&answer, "refused", err) : r;
}

static void *run_as_an_insert(void *arg)
{
	ask_server(ap_str_of(arg),
		   AP_STR("SELECT sum(sleepEachRow(0.001)) FROM numbers(1000000) SETTINGS "
			  "max_block_size = 10"),
		   NULL);
	return NULL;
}

/* What an earlier run gave up: until it has ended, or cannot begin any more, nobody can say whether its rows are
 * there. */
static void an_insert_that_was_given_up_leaves_its_rows_unknown(void **state)
{
	uint64_t session, n = 0, deadline = ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC;
	struct ap_error err = {0};
	char params[128], late[160];
	pthread_t thread;
	int r;

	if (!engine_is_server())
		skip();
	assert_int_equal(ap_folder_session(folder, &session, &err), 0);
	assert_int_not_equal(session, 0);
	snprintf(params, sizeof(params), "query_id=given-up&session_id=aperture-%llu-%llu",
		 (unsigned long long)(store->segment_base >> AP_SEGMENT_NUMBER_BITS),
		 (unsigned long long)session);
	snprintf(late, sizeof(late), "%s&session_check=1", params);
	ap_store_close(store);
	/* As if that run had not come to its end. */
	assert_int_equal(ap_folder_set_session(folder, session, &err), 0);
	store = engine_open(folder);
	assert_int_equal(pthread_create(&thread, NULL, run_as_an_insert, params), 0);
	while (n == 0)
		assert_int_equal(ap_store_query_uint(store,
						     "SELECT count() FROM system.processes WHERE "
						     "query_id = 'given-up'",
						     &n, &err),
				 0);
	assert_int_equal(ap_store_segment_rows(store, "samples", 1, &n, &err), -EBUSY);
	assert_int_equal(ap_store_exec(store, &err, "KILL QUERY WHERE query_id = 'given-up' ASYNC"),
			 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	/* Another one might have been received and not have begun. */
	assert_int_equal(ask_server(ap_str_of(late), AP_STR("SELECT 1"), &err), 0);
	assert_int_equal(ap_store_segment_rows(store, "samples", 1, &n, &err), -EBUSY);
	while ((r = ap_store_segment_rows(store, "samples", 1, &n, &err)) == -EBUSY &&
	       ap_clock_mono_ns() < deadline)
		usleep(20000);
	assert_int_equal(r, 0);
	assert_int_equal(n, 0);
	assert_int_equal(ask_server(ap_str_of(late), AP_STR("SELECT 1"), &err), -ESRCH);
}

static void second_opener_is_told_the_folder(void **state)
{
	struct ap_store_options o = {.path = folder};
	struct ap_store *s = NULL;
	struct ap_error err = {0};

	assert_int_equal(ap_store_open(&o, &s, &err), -EBUSY);
	assert_non_null(strstr(err.msg, folder));
	assert_null(s);
}

static void bad_options_are_explained(void **state)
{
	struct ap_store_options o = {.path = "/proc/nowhere"};
	struct ap_store *s = NULL;
	struct ap_error err = {0};

	assert_true(ap_store_open(&o, &s, &err) < 0);
	assert_non_null(strstr(err.msg, "/proc/nowhere"));
	o = (struct ap_store_options){.path = "/tmp", .library = "/nonexistent/libchdb.so"};
	assert_int_equal(ap_store_open(&o, &s, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/libchdb.so"));
	o = (struct ap_store_options){.driver = "paper"};
	assert_int_equal(ap_store_open(&o, &s, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "paper"));
}

static void newer_schema_is_refused(void **state)
{
	struct ap_error err = {0};

	assert_int_equal(ap_schema_apply(store, &err), 0);
	assert_int_equal(ap_store_exec(store, &err, "INSERT INTO meta VALUES (999, now())"), 0);
	assert_int_equal(ap_schema_apply(store, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "999"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engine_round_trip),
		cmocka_unit_test(what_the_engine_remembers_can_be_stored_anew),
		cmocka_unit_test(merges_wait_for_a_writer_that_is_behind),
		cmocka_unit_test(limits_are_kept),
		cmocka_unit_test(a_cancelled_statement_ends_in_the_engine),
		cmocka_unit_test(a_statement_that_waits_can_be_cancelled),
		cmocka_unit_test(quoting_survives_any_bytes),
		cmocka_unit_test(an_insert_that_was_given_up_leaves_its_rows_unknown),
		cmocka_unit_test(second_opener_is_told_the_folder),
		cmocka_unit_test(bad_options_are_explained),
		cmocka_unit_test(newer_schema_is_refused),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The engine with readings and a clock of the test's own, on a real file. */
#include "aggregator/alert/engine.h"

#include <jansson.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "../../test.h"
#include "aggregator/alert/db.h"
#include "aggregator/alert/source.h"
#include "base/clock.h"
#include "base/io.h"

#define T0 1764000000000ll

static char folder[64], path[96];

struct fixture {
	struct ap_alert_engine *e;
	struct ap_alert_reading reading;
	int fails;
	int64_t now;
};
static struct fixture f;

static int read_metric(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
		       struct ap_alert_reading *ret, struct ap_error *err)
{
	if (f.fails)
		return ap_error_set(err, f.fails, "the store is busy");
	*ret = f.reading;
	return 0;
}

static struct ap_notifier *notifier; /* NULL: nobody is told */

static int covered(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
		   struct ap_filter *const *filters);

static void start(void)
{
	struct ap_alert_engine_options o = {.path = path,
					    .read = read_metric,
					    .covered = covered,
					    .notifier = notifier,
					    .retention_s = 604800};
	struct ap_error err = {0};

	if (ap_alert_engine_new(&o, &f.e, &err) < 0)
		fail_msg("%s", err.msg);
}

static void stop(void)
{
	ap_alert_engine_free(AP_TAKE_PTR(f.e));
}

static int set_up(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/ap-alert-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/state.db", folder);
	f = (struct fixture){.now = T0, .reading = {.sufficient = true}};
	start();
	return 0;
}

static int tear_down(void **state)
{
	char command[96];

	stop();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static struct ap_alert_rule *rule_of(const char *name, const char *more)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_alert_rule *r = NULL;
	struct ap_error err = {0};

	ap_buf_printf(&b,
		      "{\"name\":\"%s\",\"metric\":\"clickhouse_pending_rows\",\"operator\":\"gt\","
		      "\"threshold\":10,\"interval_s\":5%s}",
		      name, more);
	if (ap_alert_rule_parse_text(ap_buf_view(&b), &r, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	return r;
}

static uint64_t add(const char *name, const char *more)
{
	struct ap_error err = {0};
	uint64_t id = 0;

	if (ap_alert_engine_add(f.e, rule_of(name, more), f.now, &id, &err) < 0)
		fail_msg("%s", err.msg);
	return id;
}

static json_t *load(struct ap_buf *b)
{
	json_t *v;

	assert_int_equal(ap_buf_error(b), 0);
	v = json_loadb((const char *)b->p, b->n, 0, NULL);
	assert_non_null(v);
	ap_buf_free(b);
	return v;
}

/* The rule's status as REST gives it; json_decref() it. */
static json_t *status_of(uint64_t id)
{
	struct ap_buf b = {0};
	json_t *rule, *status;

	assert_int_equal(ap_alert_engine_rule_json(f.e, id, f.now, &b), 0);
	rule = load(&b);
	status = json_incref(json_object_get(rule, "status"));
	json_decref(rule);
	return status;
}

static void state_is(uint64_t id, const char *expected)
{
	json_t *status = status_of(id);

	assert_string_equal(json_string_value(json_object_get(status, "state")), expected);
	json_decref(status);
}

static void tick(double value)
{
	f.now += 5000;
	f.reading.value = value;
	ap_alert_engine_tick(f.e, f.now);
}

static json_t *history(uint64_t rule, uint64_t before, uint32_t limit)
{
	struct ap_buf b = {0};

	ap_buf_byte(&b, '{');
	ap_alert_engine_history_json(f.e, rule, before, limit, &b);
	ap_buf_byte(&b, '}');
	return load(&b);
}

static void test_rules_ship_enabled(void **state)
{
	struct ap_alert_counts c;

	ap_alert_engine_get_counts(f.e, &c);
	assert_int_equal(c.rules, 6);
	assert_int_equal(c.enabled, 6);
	/* They are the user's: what was deleted does not come back. */
	assert_int_equal(ap_alert_engine_delete(f.e, 1, f.now, NULL), 0);
	stop();
	start();
	ap_alert_engine_get_counts(f.e, &c);
	assert_int_equal(c.rules, 5);
}

static void test_a_rule_fires_and_is_remembered(void **state)
{
	uint64_t id = add("mine", ",\"for_s\":10");
	json_t *h, *first;
	uint64_t newest;

	tick(11);
	state_is(id, "pending");
	tick(11);
	stop();
	start();
	state_is(id, "pending");
	tick(11);
	state_is(id, "firing");
	stop();
	start();
	state_is(id, "firing");
	tick(9);
	state_is(id, "resolved");
	stop();
	start();
	h = history(id, 0, 10);
	assert_int_equal(json_integer_value(json_object_get(h, "total")), 3);
	first = json_array_get(json_object_get(h, "events"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "from")), "firing");
	assert_string_equal(json_string_value(json_object_get(first, "to")), "resolved");
	assert_int_equal(json_integer_value(json_object_get(first, "at")), f.now);
	newest = (uint64_t)json_integer_value(json_object_get(first, "id"));
	json_decref(h);
	h = history(id, newest, 1);
	assert_int_equal(json_array_size(json_object_get(h, "events")), 1);
	assert_int_equal(json_integer_value(json_object_get(h, "total")), 2);
	json_decref(h);
}

static void test_a_reading_that_fails_changes_nothing(void **state)
{
	uint64_t id = add("mine", "");
	json_t *status;

	tick(11);
	state_is(id, "firing");
	f.fails = -EBUSY;
	tick(0);
	status = status_of(id);
	assert_string_equal(json_string_value(json_object_get(status, "state")), "firing");
	assert_string_equal(json_string_value(json_object_get(status, "error")),
			    "the store is busy");
	json_decref(status);
	f.fails = 0;
	tick(0);
	state_is(id, "resolved");
}

static void test_names_are_unique_and_ids_are_not_used_again(void **state)
{
	struct ap_error err = {0};
	uint64_t id = add("mine", ""), other;

	assert_int_equal(ap_alert_engine_add(f.e, rule_of("mine", ""), f.now, &other, &err),
			 -EEXIST);
	assert_non_null(strstr(err.msg, "mine"));
	assert_int_equal(ap_alert_engine_delete(f.e, id, f.now, &err), 0);
	assert_int_equal(ap_alert_engine_delete(f.e, id, f.now, &err), -ENOENT);
	assert_true(add("mine", "") > id);
}

static void test_a_change_begins_anew(void **state)
{
	struct ap_error err = {0};
	uint64_t id = add("mine", "");

	tick(11);
	state_is(id, "firing");
	assert_int_equal(
		ap_alert_engine_change(f.e, id, rule_of("mine", ",\"for_s\":60"), f.now, &err), 0);
	state_is(id, "ok");
	tick(11);
	state_is(id, "pending");
	assert_int_equal(ap_alert_engine_toggle(f.e, id, f.now, &err), 0);
	tick(11);
	state_is(id, "ok");
	assert_int_equal(ap_alert_engine_evaluate(f.e, id, f.now), -ENOENT);
	assert_int_equal(ap_alert_engine_toggle(f.e, id, f.now, &err), 0);
	assert_int_equal(ap_alert_engine_evaluate(f.e, id, f.now), 0);
	state_is(id, "pending");
}

static bool is_silenced(uint64_t id)
{
	json_t *status = status_of(id);
	bool is = json_is_true(json_object_get(status, "silenced"));

	json_decref(status);
	return is;
}

static void test_silences_expire(void **state)
{
	struct ap_error err = {0};
	uint64_t id = add("mine", ""), other = add("other", ""), silence;

	assert_int_equal(ap_alert_engine_silence(f.e, 99, f.now, 60, AP_STR(""), AP_STR("x"),
						 &silence, &err),
			 -ENOENT);
	assert_int_equal(ap_alert_engine_silence(f.e, id, f.now, 60, AP_STR(""), AP_STR("x"),
						 &silence, &err),
			 0);
	assert_true(is_silenced(id));
	assert_false(is_silenced(other));
	stop();
	start();
	assert_true(is_silenced(id));
	tick(11);
	state_is(id, "firing"); /* evaluated all the same */
	f.now += 60000;
	assert_false(is_silenced(id));
	assert_int_equal(
		ap_alert_engine_silence(f.e, 0, f.now, 60, AP_STR(""), AP_STR(""), &silence, &err),
		0);
	assert_true(is_silenced(id) && is_silenced(other));
	assert_int_equal(ap_alert_engine_unsilence(f.e, silence, f.now, &err), 0);
	assert_false(is_silenced(id));
	assert_int_equal(ap_alert_engine_unsilence(f.e, silence, f.now, &err), -ENOENT);
}

/* The test's agent is web-1. */
static int covered(void *ctx, const struct ap_alert_rule *rule, int64_t at_ms,
		   struct ap_filter *const *filters)
{
	return ap_alert_host_covered(filters, NULL, AP_STR("web-1"), AP_STR("a"));
}

static size_t waiting(void)
{
	struct ap_notifier_stats s;

	ap_notifier_get_stats(notifier, &s);
	return s.waiting;
}

static int count_row(void *ctx, const struct ap_outbox_message *m)
{
	(*(size_t *)ctx)++;
	assert_non_null(strstr(m->body, "\"status\":\"firing\""));
	return 0;
}

/* Messages on file. */
static size_t kept(void)
{
	struct ap_database *db;
	struct ap_error err = {0};
	size_t n = 0;

	assert_int_equal(ap_database_open(path, &db, &err), 0);
	assert_int_equal(ap_outbox_load(db, count_row, &n, &err), 0);
	ap_database_close(db);
	return n;
}

/* Nobody listens on port 9 of this machine. */
#define HOOK ",\"webhooks\":[{\"url\":\"http://127.0.0.1:9/\"}]"

static void start_notifier(void)
{
	const struct ap_notifier_options o = {.path = path, .first_wait_ms = 3600000};
	struct ap_error err = {0};

	if (ap_notifier_start(&o, &notifier, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_what_waits_outlives_the_program(void **state)
{
	stop();
	start_notifier();
	start();
	f.now = ap_clock_unix_ns() / 1000000;
	add("mine", HOOK);
	tick(11);
	assert_int_equal(waiting(), 1);
	assert_int_equal(kept(), 1);
	/* The end of the program in that moment would leave the file as it is now: the next start has it. */
	stop();
	ap_notifier_stop(AP_TAKE_PTR(notifier));
	assert_int_equal(kept(), 1);
	start_notifier();
	start();
	assert_int_equal(waiting(), 1);
	tick(11); /* it was announced: nobody is told a second time */
	assert_int_equal(kept(), 1);
	stop();
	ap_notifier_stop(AP_TAKE_PTR(notifier));
	start();
}

static void test_old_messages_are_no_news(void **state)
{
	stop();
	start_notifier();
	start();
	f.now = ap_clock_unix_ns() / 1000000 - 2 * AP_NOTIFY_AGE_MS;
	add("mine", HOOK);
	tick(11);
	stop();
	ap_notifier_stop(AP_TAKE_PTR(notifier));
	start_notifier();
	assert_int_equal(waiting(), 0);
	assert_int_equal(kept(), 0);
	ap_notifier_stop(AP_TAKE_PTR(notifier));
	start();
}

static void test_a_silence_of_a_host_holds_while_it_is_the_only_one(void **state)
{
	struct ap_error err = {0};
	uint64_t id, silence;

	stop();
	start_notifier();
	start();
	f.now = ap_clock_unix_ns() / 1000000;
	id = add("mine", HOOK);
	assert_int_equal(ap_alert_engine_silence(f.e, 0, f.now, 600, AP_STR("{host=\"web-1\"}"),
						 AP_STR(""), &silence, &err),
			 0);
	tick(11);
	state_is(id, "firing");
	assert_true(is_silenced(id));
	assert_int_equal(kept(), 0);
	assert_int_equal(ap_alert_engine_unsilence(f.e, silence, f.now, &err), 0);
	assert_int_equal(ap_alert_engine_silence(f.e, 0, f.now, 600, AP_STR("{host=\"web-2\"}"),
						 AP_STR(""), &silence, &err),
			 0);
	tick(11);
	assert_false(is_silenced(id));
	assert_int_equal(kept(), 1);
	stop();
	ap_notifier_stop(AP_TAKE_PTR(notifier));
	start();
}

static void test_why_a_reading_is_insufficient(void **state)
{
	uint64_t id = add("rule", "");
	json_t *s;

	f.reading = (struct ap_alert_reading){.why = "12 samples in the window, 500 are asked for"};
	tick(0);
	state_is(id, "insufficient");
	s = status_of(id);
	assert_string_equal(json_string_value(json_object_get(s, "error")), f.reading.why);
	json_decref(s);
	f.reading = (struct ap_alert_reading){.sufficient = true, .value = 1};
	tick(0);
	s = status_of(id);
	assert_true(json_is_null(json_object_get(s, "error")));
	json_decref(s);
}

static void test_the_history_is_bounded(void **state)
{
	char name[16];
	json_t *h;

	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "rule %d", i);
		add(name, "");
	}
	for (int i = 0; i <= AP_ALERT_HISTORY_MAX / 200; i++)
		tick(i % 2 ? 0 : 11);
	stop();
	start();
	h = history(0, 0, 1);
	assert_int_equal(json_integer_value(json_object_get(h, "total")), AP_ALERT_HISTORY_MAX);
	json_decref(h);
}

static void test_what_cannot_be_written_is_said_and_written_later(void **state)
{
	uint64_t id = add("mine", "");
	struct ap_database *other;
	struct ap_error err = {0};
	char text[200];
	json_t *h;

	/* Somebody else holds the file for writing. */
	assert_int_equal(ap_database_open(path, &other, &err), 0);
	assert_int_equal(ap_database_begin(other, &err), 0);
	tick(11);
	assert_true(ap_alert_engine_error(f.e, text, sizeof(text)));
	assert_non_null(strstr(text, path));
	state_is(id, "firing");
	h = history(id, 0, 10);
	assert_int_equal(json_integer_value(json_object_get(h, "total")), 1);
	json_decref(h);
	/* A rule is not taken in that would be forgotten. */
	assert_int_equal(ap_alert_engine_delete(f.e, id, f.now, &err), -EIO);
	state_is(id, "firing");
	ap_database_rollback(other);
	ap_database_close(other);
	tick(11);
	assert_false(ap_alert_engine_error(f.e, text, sizeof(text)));
	stop();
	start();
	state_is(id, "firing");
}

static void run_sql(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void refused(int code, const char *text)
{
	struct ap_alert_engine_options o = {.path = path, .read = read_metric};
	_cleanup_buf_ struct ap_buf before = {0}, after = {0};
	struct ap_error err = {0};

	assert_int_equal(ap_read_file(-100, path, 1 << 24, &before), 0);
	assert_int_equal(ap_alert_engine_new(&o, &f.e, &err), code);
	assert_non_null(strstr(err.msg, text));
	assert_int_equal(ap_read_file(-100, path, 1 << 24, &after), 0);
	assert_true(ap_str_eq(ap_buf_view(&before), ap_buf_view(&after)));
}

static void test_a_later_version_is_left_alone(void **state)
{
	stop();
	run_sql("PRAGMA user_version=99");
	refused(-EEXIST, "later version");
	run_sql("PRAGMA user_version=-1");
	refused(-EBADMSG, "some other program's");
	run_sql("PRAGMA user_version=2");
	start();
}

static void test_an_earlier_version_is_brought_up_to_date(void **state)
{
	json_t *answer, *v;
	struct ap_buf b = {0};

	stop();
	assert_int_equal(unlink(path), 0);
	run_sql(ap_database_steps[0]);
	run_sql("PRAGMA user_version=1");
	run_sql("INSERT INTO silences(rule, from_ms, until_ms, comment) "
		"VALUES(0, 0, 9000000000000, 'old')");
	start();
	ap_buf_byte(&b, '{');
	ap_alert_engine_list_json(f.e, f.now, &b);
	ap_buf_byte(&b, '}');
	answer = load(&b);
	v = json_object_get(answer, "silences");
	assert_int_equal(json_array_size(v), 1);
	v = json_array_get(v, 0);
	assert_string_equal(json_string_value(json_object_get(v, "comment")), "old");
	assert_string_equal(json_string_value(json_object_get(v, "filter")), "");
	json_decref(answer);
}

static void test_another_file_is_left_alone(void **state)
{
	stop();
	assert_int_equal(ap_write_file_atomic(path, "no database, but long enough to be one\n", 39,
					      0644, false),
			 0);
	refused(-EBADMSG, path);
	unlink(path);
	start();
}

static void test_a_dry_run_stores_nothing(void **state)
{
	struct ap_alert_rule *rule = rule_of("dry", ",\"for_s\":600");
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_error err = {0};
	json_t *v;

	f.reading.value = 11;
	ap_buf_byte(&b, '{');
	assert_int_equal(ap_alert_engine_dry_run(f.e, rule, f.now, 60000000000ull, &b, &err), 0);
	ap_buf_byte(&b, '}');
	v = load(&b);
	assert_int_equal(json_array_size(json_object_get(v, "points")), 288);
	assert_int_equal(json_array_size(json_object_get(v, "events")), 2); /* pending, firing */
	assert_int_equal(json_integer_value(json_object_get(v, "fired")), 1);
	assert_int_equal(json_integer_value(json_object_get(v, "firing_s")), 286 * 300);
	assert_true(json_is_null(json_object_get(v, "truncated")));
	json_decref(v);
	v = history(0, 0, 10);
	assert_int_equal(json_integer_value(json_object_get(v, "total")), 0);
	json_decref(v);
	f.fails = -ENOTSUP;
	assert_int_equal(ap_alert_engine_dry_run(f.e, rule, f.now, 60000000000ull, &b, &err),
			 -ENOTSUP);
	ap_alert_rule_unref(rule);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rules_ship_enabled),
		TEST(test_a_rule_fires_and_is_remembered),
		TEST(test_a_reading_that_fails_changes_nothing),
		TEST(test_names_are_unique_and_ids_are_not_used_again),
		TEST(test_a_change_begins_anew),
		TEST(test_silences_expire),
		TEST(test_what_waits_outlives_the_program),
		TEST(test_old_messages_are_no_news),
		TEST(test_a_silence_of_a_host_holds_while_it_is_the_only_one),
		TEST(test_why_a_reading_is_insufficient),
		TEST(test_the_history_is_bounded),
		TEST(test_what_cannot_be_written_is_said_and_written_later),
		TEST(test_a_later_version_is_left_alone),
		TEST(test_an_earlier_version_is_brought_up_to_date),
		TEST(test_another_file_is_left_alone),
		TEST(test_a_dry_run_stores_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

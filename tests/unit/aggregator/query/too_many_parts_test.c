/* SPDX-License-Identifier: Apache-2.0 */
/* Merges have fallen so far behind that the engine refuses inserts: the writer says so, waits and tries again, and
 * nothing is lost or doubled. */
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "fixture.h"

enum { PARTS_MAX = 3, BATCHES = 6, COUNT = 7 };

static void push_one(struct fixture *f, int i)
{
	struct ap_profile *p = ap_profile_new();

	sample(p, T0 + i, "service=web", stack(p, "main;f", "/app", 0), COUNT);
	push(f, p, "h1", T0 + i, T0 + i + 1);
}

static void exec(struct fixture *f, const char *sql)
{
	struct ap_error err = {0};

	if (ap_store_exec(f->store, &err, "%s", sql) < 0)
		fail_msg("%s", err.msg);
}

static int flush(struct ap_writer *w, uint64_t seconds)
{
	return ap_writer_flush(w, ap_clock_mono_ns() + seconds * AP_NSEC_PER_SEC);
}

static struct ap_writer_stats stats(struct ap_writer *w)
{
	struct ap_writer_stats s;

	ap_writer_get_stats(w, &s);
	return s;
}

static void refused_rows_wait_and_are_stored_once(void **state)
{
	struct ap_query q = query(T0, T0 + BATCHES);
	struct ap_writer_stats s;
	struct ap_writer *w;
	struct fixture f;

	fixture_begin(&f);
	exec(&f, "SYSTEM STOP MERGES samples");
	exec(&f, "ALTER TABLE samples MODIFY SETTING parts_to_throw_insert = 3");
	w = fixture_writer(&f, 3600 * AP_NSEC_PER_SEC);
	for (int i = 0; i < PARTS_MAX; i++) {
		push_one(&f, i);
		assert_int_equal(flush(w, 60), 0);
	}
	push_one(&f, PARTS_MAX);
	while (stats(w).flushes_failed < 2)
		assert_int_equal(flush(w, 1), -ETIMEDOUT);
	s = stats(w);
	assert_int_equal(s.flushes_ok, PARTS_MAX);
	if (!strstr(s.last_error, "Too many parts"))
		fail_msg("%s", s.last_error);
	for (int i = PARTS_MAX + 1; i < BATCHES; i++)
		push_one(&f, i);
	assert_int_equal(total(&f, &q), BATCHES * COUNT); /* of the buffer, meanwhile */
	exec(&f, "SYSTEM START MERGES samples");
	exec(&f, "OPTIMIZE TABLE samples FINAL");
	assert_int_equal(flush(w, 60), 0);
	assert_string_equal(stats(w).last_error, "");
	ap_writer_stop(w);
	assert_int_equal(total(&f, &q), BATCHES * COUNT);
	q.source = AP_QUERY_STORE;
	assert_int_equal(total(&f, &q), BATCHES * COUNT);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refused_rows_wait_and_are_stored_once),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

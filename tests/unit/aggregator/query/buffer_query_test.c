/* SPDX-License-Identifier: Apache-2.0 */
/* Answers from the buffer alone: the same as with a store, and without the engine. */
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "aggregator/query/internal.h"
#include "checks.h"
#include "locks_checks.h"
#include "syscall_checks.h"

static void all_answers(void **state)
{
	struct fixture f = {0};

	fixture_open(&f);
	for (int k = 0; k < 10; k++)
		push_second(&f, k);
	check_all(&f);
	fixture_close(&f);
}

static void all_answers_about_system_calls(void **state)
{
	struct fixture f = {0};

	fixture_open(&f);
	for (int k = 0; k < 10; k++)
		push_calls(&f, k);
	check_calls(&f);
	fixture_close(&f);
}

static void waits_for_locks(void **state)
{
	struct ap_locks_options o = {0};
	struct fixture f = {0};
	struct ap_coverage c;
	struct ap_locks *none;

	fixture_open(&f);
	none = ask_locks(&f, "", o, &c);
	assert_int_equal(none->n + none->n_pairs + none->total.count, 0);
	ap_locks_free(none);
	for (int k = 0; k < 3; k++)
		push_waits(&f, k);
	check_locks(&f);
	fixture_close(&f);
}

static void an_empty_buffer(void **state)
{
	_cleanup_(ap_cleanup_services) struct ap_services *services = NULL;
	_cleanup_(ap_cleanup_series) struct ap_series *series = NULL;
	struct ap_query q = query(T0, T0 + 3600);
	struct ap_error err = {0};
	struct fixture f = {0};
	struct ap_coverage c;

	fixture_open(&f);
	assert_int_equal(total(&f, &q), 0);
	assert_int_equal(ap_query_services(f.queries, &q, &services, &c, &err), 0);
	assert_int_equal(services->n, 0);
	assert_true(c.complete_share < 0);
	assert_int_equal(c.hosts_reporting, 0);
	assert_int_equal(ap_query_series(f.queries, &q, AP_STR(""), 0, 0, &series, &c, &err), 0);
	assert_int_equal(series->n_rows, 1);
	assert_int_equal(series->step_ms, 15000);
	for (uint32_t i = 0; i < series->n_steps; i++)
		assert_true(series->rows[0].values[i] == AP_SERIES_NONE);
	fixture_close(&f);
}

/* A host that reports but has nothing of the kind: zero, and a gap where it is silent. */
static void zero_is_not_a_gap(void **state)
{
	_cleanup_(ap_cleanup_series) struct ap_series *s = NULL;
	struct ap_query q = query(T0, T0 + 30);
	struct ap_error err = {0};
	struct fixture f = {0};
	struct ap_coverage c;

	fixture_open(&f);
	push(&f, ap_profile_new(), "h1", T0 + 10, T0 + 20);
	assert_int_equal(ap_query_series(f.queries, &q, AP_STR(""), 10000, 0, &s, &c, &err), 0);
	assert_true(s->rows[0].values[(T0 + 0 - s->from_ms / 1000) / 10] == AP_SERIES_NONE);
	assert_int_equal(s->rows[0].values[(T0 + 10 - s->from_ms / 1000) / 10], 0);
	assert_int_equal(c.hosts_reporting, 1);
	fixture_close(&f);
}

static void bad_questions(void **state)
{
	struct ap_query a = query(T0, T0 + 3600), b = query(T0, T0 + 3600);
	struct ap_coverage c[2];
	struct ap_series *s = NULL;
	struct ap_tree *t = NULL;
	struct ap_error err = {0};
	struct fixture f = {0};

	fixture_open(&f);
	assert_int_equal(ap_query_series(f.queries, &a, AP_STR(""), 1500, 0, &s, c, &err), -EINVAL);
	a = query(0, T0);
	assert_int_equal(ap_query_series(f.queries, &a, AP_STR(""), 1000, 0, &s, c, &err), -EINVAL);
	a.type = ap_profile_type_find(AP_STR("cpu:nanoseconds"));
	assert_int_equal(ap_query_diff(f.queries, &a, &b, 0, &t, NULL, c, &err), -EINVAL);
	fixture_close(&f);
}

static void one_too_many_is_told_so(void **state)
{
	struct ap_query_engine_options o = {.max_concurrent = 1};
	struct ap_query q = query(T0, T0 + 10);
	struct ap_question running, refused;
	struct ap_query_engine *e;
	struct ap_error err = {0};

	assert_int_equal(ap_query_engine_new(&o, &e), 0);
	assert_int_equal(ap_question_begin(&running, e, &q, &err), 0);
	assert_int_equal(ap_question_begin(&refused, e, &q, &err), -EBUSY);
	ap_question_end(&refused);
	ap_question_end(&running);
	assert_int_equal(ap_question_begin(&running, e, &q, &err), 0);
	ap_question_end(&running);
	ap_query_engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_answers),
		cmocka_unit_test(all_answers_about_system_calls),
		cmocka_unit_test(waits_for_locks),
		cmocka_unit_test(an_empty_buffer),
		cmocka_unit_test(zero_is_not_a_gap),
		cmocka_unit_test(bad_questions),
		cmocka_unit_test(one_too_many_is_told_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

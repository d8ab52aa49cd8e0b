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

static void forget(void *ctx, const struct ap_journal_at *at)
{
}

/* The buffer has no room for the batch, and the journal has it. */
static void rows_on_disk_alone_are_told_of(void **state)
{
	struct ap_buffer_config config = {.capacity_bytes = 1, .release = forget};
	struct ap_profile *p = ap_profile_new();
	const struct ap_journal_at at = {.number = 1};
	struct ap_batch_list list = {0};
	struct ap_query asked = query(T0 - 100, T0 + 11), after = query(T0 + 11, T0 + 100);
	struct ap_batch_meta m = {.start_ns = NS(T0), .end_ns = NS(T0 + 10)};
	struct fixture f = {0};
	struct ap_coverage c;
	struct ap_tree *t;

	assert_int_equal(ap_buffer_new(&config, &f.buffer), 0);
	assert_int_equal(ap_query_engine_new(&(struct ap_query_engine_options){.buffer = f.buffer},
					     &f.queries),
			 0);
	sample(p, T0, "service=a", stack(p, "main;work", "/bin/a", 0), 5);
	sample(p, T0 + 10, "service=b", stack(p, "main;work", "/bin/a", 0), 7);
	assert_int_equal(ap_buffer_announce(f.buffer, &p, &m, &list), 0);
	ap_buffer_commit(f.buffer, &list, &at);
	assert_int_equal(ap_query_flamegraph(f.queries, &asked, &t, &c, NULL), 0);
	assert_int_equal(t->total[0][0], 0);
	assert_int_equal(c.pending, 2);
	ap_tree_free(t);
	assert_int_equal(ap_query_flamegraph(f.queries, &after, &t, &c, NULL), 0);
	assert_int_equal(c.pending, 0);
	ap_tree_free(t);
	fixture_close(&f);
}

static struct ap_query_engine *engine_with(uint32_t concurrent, uint32_t waiting, uint64_t wait_ns)
{
	struct ap_query_engine_options o = {
		.max_concurrent = concurrent, .max_waiting = waiting, .max_wait_ns = wait_ns};
	struct ap_query_engine *e;

	assert_int_equal(ap_query_engine_new(&o, &e), 0);
	return e;
}

static void one_too_many_is_told_so(void **state)
{
	struct ap_query_engine *e = engine_with(1, 1, AP_NSEC_PER_MSEC);
	struct ap_query q = query(T0, T0 + 10);
	struct ap_question running, refused;
	struct ap_query_stats stats;
	struct ap_error err = {0};

	assert_int_equal(ap_question_begin(&running, e, AP_QUERY_TOP, &q, NULL), 0);
	assert_int_equal(ap_question_begin(&refused, e, AP_QUERY_TOP, &q, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "try again"));
	ap_question_end(&refused);
	ap_question_end(&running);
	assert_int_equal(ap_question_begin(&running, e, AP_QUERY_DIFF, &q, NULL), 0);
	ap_query_engine_get_stats(e, &stats);
	assert_int_equal(stats.running, 1);
	ap_question_end(&running);
	ap_query_engine_get_stats(e, &stats);
	assert_int_equal(stats.running, 0);
	assert_int_equal(stats.total[AP_QUERY_TOP][AP_QUERY_OK], 1);
	assert_int_equal(stats.total[AP_QUERY_TOP][AP_QUERY_BUSY], 1);
	assert_int_equal(stats.total[AP_QUERY_DIFF][AP_QUERY_OK], 1);
	ap_query_engine_free(e);
}

struct waiter {
	struct ap_query_engine *e;
	atomic_bool cancel;
	int result;
};

static void *wait_for_permit(void *arg)
{
	struct waiter *w = arg;
	struct ap_query q = query(T0, T0 + 10);
	struct ap_question question;

	q.cancel = &w->cancel;
	w->result = ap_question_begin(&question, w->e, AP_QUERY_TOP, &q, NULL);
	ap_question_end(&question);
	return NULL;
}

static void wait_until_waiting(struct ap_query_engine *e)
{
	struct ap_query_stats stats = {0};

	while (stats.waiting == 0)
		ap_query_engine_get_stats(e, &stats);
}

static void the_queue_is_short_and_can_be_left(void **state)
{
	struct ap_query_engine *e = engine_with(1, 1, 3600 * AP_NSEC_PER_SEC);
	struct ap_query q = query(T0, T0 + 10);
	struct ap_question running, refused;
	struct waiter leaves = {.e = e}, stays = {.e = e};
	struct ap_query_stats stats;
	pthread_t thread;

	assert_int_equal(ap_question_begin(&running, e, AP_QUERY_TOP, &q, NULL), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_permit, &leaves), 0);
	wait_until_waiting(e);
	/* At once, though those who wait may do so for an hour. */
	assert_int_equal(ap_question_begin(&refused, e, AP_QUERY_TOP, &q, NULL), -EBUSY);
	ap_question_end(&refused);
	atomic_store(&leaves.cancel, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(leaves.result, -ECANCELED);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_permit, &stays), 0);
	wait_until_waiting(e);
	ap_question_end(&running);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(stays.result, 0);
	ap_query_engine_get_stats(e, &stats);
	assert_int_equal(stats.total[AP_QUERY_TOP][AP_QUERY_CANCELLED], 1);
	assert_int_equal(stats.total[AP_QUERY_TOP][AP_QUERY_OK], 2);
	assert_int_equal(stats.running, 0);
	assert_int_equal(stats.waiting, 0);
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
		cmocka_unit_test(rows_on_disk_alone_are_told_of),
		cmocka_unit_test(one_too_many_is_told_so),
		cmocka_unit_test(the_queue_is_short_and_can_be_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

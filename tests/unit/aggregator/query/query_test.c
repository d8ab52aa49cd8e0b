/* SPDX-License-Identifier: Apache-2.0 */
/* Batches go through buffer, writer and store on the real engine; answers must be exact wherever a
 * sample is at the moment. */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "checks.h"

static struct fixture f;

static int setup(void **state)
{
	fixture_begin(&f);
	return 0;
}

static int teardown(void **state)
{
	fixture_end(&f);
	return 0;
}

static void the_same_answers_from_buffer_both_and_store(void **state)
{
	struct ap_query q = query(T0, T0 + 10);

	for (int k = 0; k < 5; k++)
		push_second(&f, k);
	q.source = AP_QUERY_STORE;
	assert_int_equal(total(&f, &q), 0);
	fixture_flush(&f);
	for (int k = 5; k < 10; k++)
		push_second(&f, k);
	assert_int_equal(total(&f, &q), 15 + 15);
	check_all(&f); /* half here, half there */
	fixture_flush(&f);
	check_all(&f); /* all stored */
	assert_int_equal(total(&f, &q), 85);
	fixture_close(&f);
	fixture_open(&f);
	check_all(&f); /* after a restart, with nothing in memory */
}

static void a_full_dictionary_is_started_anew(void **state)
{
	struct ap_query_engine_options o = {
		.store = f.store, .buffer = f.buffer, .max_dictionary = 1};
	struct ap_query_engine *large = f.queries;

	assert_int_equal(ap_query_engine_new(&o, &f.queries), 0);
	for (int i = 0; i < 3; i++)
		check_flamegraph(&f);
	ap_query_engine_free(f.queries);
	f.queries = large;
}

static int take_history(void *ctx, const struct ap_agent_history *h)
{
	uint64_t *samples = ctx;

	*samples += h->samples;
	assert_int_equal(h->ledger.count[AP_LEDGER_SAMPLE_IDLE], 10000);
	assert_true(ap_str_starts(h->host, AP_STR("h")));
	assert_int_equal(h->first_seen_ms, (int64_t)T0 * 1000);
	assert_int_equal(h->last_seen_ms, (int64_t)(T0 + 10) * 1000);
	return 0;
}

static void the_ledger_survives_a_restart(void **state)
{
	struct ap_error err = {0};
	uint64_t samples = 0;

	assert_int_equal(ap_query_agents(f.queries, 0, take_history, &samples, &err), 0);
	assert_int_equal(samples, 85);
}

struct load {
	atomic_bool stop;
	atomic_uint_least64_t pushed;
	int64_t second;
};

static void *push_all_the_time(void *arg)
{
	struct load *l = arg;

	for (int i = 0; i < 300 && !atomic_load(&l->stop); i++) {
		struct ap_profile *p = ap_profile_new();

		sample(p, l->second, "service=load", stack(p, "main;spin", "/bin/load", 0), 1);
		push(&f, p, "h1", l->second, l->second + 1);
		atomic_fetch_add(&l->pushed, 1);
	}
	return NULL;
}

static void each_sample_counts_once_while_flushes_run(void **state)
{
	struct load load = {.second = T0 + 5000};
	struct ap_query q = query(load.second, load.second + 1);
	struct ap_writer *w = fixture_writer(&f, AP_NSEC_PER_MSEC);
	struct ap_writer_stats stats;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, push_all_the_time, &load), 0);
	for (uint64_t seen = 0; seen < 300;) {
		uint64_t before = atomic_load(&load.pushed);

		seen = total(&f, &q);
		assert_true(seen >= before);
		assert_true(seen <= atomic_load(&load.pushed) + 1);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(ap_writer_flush(w, ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC), 0);
	ap_writer_get_stats(w, &stats);
	assert_int_equal(stats.flushes_failed, 0);
	assert_int_equal(stats.periods_stored, 300);
	assert_int_equal(stats.periods_in, 300);
	ap_writer_stop(w);
	assert_int_equal(total(&f, &q), 300);
	q.source = AP_QUERY_STORE;
	assert_int_equal(total(&f, &q), 300);
}

static void a_batch_over_midnight_is_stored_by_day(void **state)
{
	const int64_t midnight = T0 / 86400 * 86400 + 3 * 86400;
	struct ap_profile *p = ap_profile_new();
	struct ap_query q = query(midnight - 10, midnight + 10);
	uint32_t st = stack(p, "main;tick", "/bin/clock", 0);
	struct ap_error err = {0};
	uint64_t n = 0;

	for (int64_t s = midnight - 5; s < midnight + 5; s++)
		sample(p, s, "service=clock", st, 1);
	push(&f, p, "h1", midnight - 5, midnight + 5);
	assert_int_equal(total(&f, &q), 10);
	fixture_flush(&f);
	assert_int_equal(total(&f, &q), 10);
	assert_int_equal(
		ap_store_query_uint(f.store,
				    "SELECT max(n) FROM (SELECT uniqExact(toDate(time)) AS n "
				    "FROM samples GROUP BY segment)",
				    &n, &err),
		0);
	assert_int_equal(n, 1);
	/* Each day has the names it needs. */
	q.from_ms = midnight * 1000;
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(total(&f, &q), 5);
	assert_int_equal(select_total(&f, "{service=\"clock\"}", midnight - 10, midnight), 5);
}

static void stacks_of_any_day_of_the_range_have_their_names(void **state)
{
	const int64_t day = T0 / 86400 * 86400 + 10 * 86400;
	static const char *const paths[] = {"main;both;first", "main;both;second", "main;last"};
	struct ap_query q = query(day, day + 3 * 86400);
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	struct ap_coverage c;
	struct ap_error err = {0};

	for (int i = 0; i < 3; i++) {
		struct ap_profile *p = ap_profile_new();

		/* The first on its day alone, the others on all that follow too. */
		for (int k = i ? 1 : 0; k <= i; k++)
			sample(p, day + i * 86400, "service=days",
			       stack(p, paths[k], "/bin/days", 0), 1);
		push(&f, p, "h1", day + i * 86400, day + i * 86400 + 1);
	}
	fixture_flush(&f);
	fixture_close(&f);
	fixture_open(&f); /* with no names in memory */
	assert_int_equal(ap_query_flamegraph(f.queries, &q, &t, &c, &err), 0);
	assert_null(c.truncated);
	assert_int_equal(t->self[0][find_node(t, "first")], 1);
	assert_int_equal(t->self[0][find_node(t, "second")], 2);
	assert_int_equal(t->self[0][find_node(t, "last")], 1);
}

static void folding_keeps_totals(void **state)
{
	struct ap_query q = query(T0 + 7000, T0 + 7001);
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	struct ap_profile *p = ap_profile_new();
	struct ap_coverage c;
	struct ap_error err = {0};

	for (uint64_t i = 1; i <= 100; i++) {
		char path[64];

		snprintf(path, sizeof(path), "main;f%u", (unsigned int)i);
		sample(p, T0 + 7000, "service=wide", stack(p, path, "/bin/wide", 0), i);
	}
	push(&f, p, "h1", T0 + 7000, T0 + 7001);
	fixture_flush(&f);
	q.max_nodes = 10;
	assert_int_equal(ap_query_flamegraph(f.queries, &q, &t, &c, &err), 0);
	assert_true(t->n <= 10);
	assert_int_equal(t->total[0][0], 5050);
	assert_int_equal(t->folded_total[0] > 0, 1);
}

static void a_repeated_block_is_stored_once(void **state)
{
	struct ap_query q = query(T0 + 8000, T0 + 8001);
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	struct ap_profile *p;
	uint64_t segment;

	if (!(f.store->caps & AP_STORE_CAP_DEDUPLICATION))
		skip();
	/* An attempt that this process knows nothing of. */
	p = ap_profile_new();
	sample(p, T0 + 8000, "service=again", stack(p, "main;again", "/bin/again", 0), 5);
	push(&f, p, "h1", T0 + 8000, T0 + 8001);
	fixture_flush(&f);
	assert_int_equal(ap_buffer_recent(f.buffer, &segment, &list, NULL), 0);
	for (int i = 0; i < 2; i++) {
		struct ap_buffer_config config = {.last_segment = segment - 1};
		struct ap_batch *last = list.p[list.n - 1];
		struct ap_buffer *real = f.buffer, *again;
		struct ap_batch_meta meta = *last->meta;
		struct ap_profile *copy = ap_profile_new();

		sample(copy, T0 + 8000, "service=again", stack(copy, "main;again", "/bin/again", 0),
		       5);
		assert_int_equal(ap_buffer_new(&config, &again), 0);
		assert_int_equal(ap_buffer_add(again, &copy, &meta), 0);
		f.buffer = again;
		fixture_flush(&f);
		f.buffer = real;
		ap_buffer_free(again);
	}
	q.source = AP_QUERY_STORE;
	assert_int_equal(total(&f, &q), 5);
}

/* A driver that loses the answer of one insert into each table, in the order of inserts. */
static const char *const losing[] = {"frames", "stacks", "samples", "ledger"};
static struct {
	struct ap_store_driver driver;
	const struct ap_store_driver *real;
	size_t lost; /* of them, so far */
} deaf;

static int insert_without_answer(struct ap_store *s, const char *table,
				 const struct ap_native_block *block, const char *token,
				 struct ap_error *err)
{
	int r = deaf.real->insert(s, table, block, token, err);

	if (r < 0 || deaf.lost == AP_ARRAY_SIZE(losing) || strcmp(table, losing[deaf.lost]) != 0)
		return r;
	deaf.lost++;
	return ap_error_set(err, -ETIMEDOUT, "the answer got lost");
}

static uint64_t count_rows(const char *from)
{
	struct ap_error err = {0};
	char sql[256];
	uint64_t n = 0;

	snprintf(sql, sizeof(sql), "SELECT count() FROM %s", from);
	assert_int_equal(ap_store_query_uint(f.store, sql, &n, &err), 0);
	return n;
}

static void an_insert_whose_answer_is_lost_is_not_repeated(void **state)
{
	struct ap_query q = query(T0 + 8500, T0 + 8501);
	struct ap_profile *p = ap_profile_new();
	struct ap_writer_stats stats;
	uint64_t ledger = count_rows("ledger");
	struct ap_writer *w;

	deaf.driver = *f.store->driver;
	deaf.driver.insert = insert_without_answer;
	deaf.real = f.store->driver;
	f.store->driver = &deaf.driver;
	sample(p, T0 + 8500, "service=deaf", stack(p, "main;deaf", "/bin/deaf", 0), 7);
	push(&f, p, "h1", T0 + 8500, T0 + 8501);
	w = fixture_writer(&f, AP_NSEC_PER_MSEC);
	assert_int_equal(ap_writer_flush(w, ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC), 0);
	ap_writer_get_stats(w, &stats);
	ap_writer_stop(w);
	f.store->driver = deaf.real;
	assert_int_equal(stats.flushes_failed, AP_ARRAY_SIZE(losing));
	assert_int_equal(deaf.lost, AP_ARRAY_SIZE(losing));
	assert_int_equal(count_rows("samples WHERE service = 'deaf'"), 1);
	assert_true(count_rows("ledger") > ledger);
	assert_int_equal(count_rows("(SELECT agent, epoch, sequence, kind, id, count() AS n "
				    "FROM ledger GROUP BY agent, epoch, sequence, kind, id) "
				    "WHERE n > 1"),
			 0);
	q.source = AP_QUERY_STORE;
	assert_int_equal(total(&f, &q), 7);
}

/* What another aggregator has stored counts as well, whatever its numbers are. */
static void rows_of_other_writers_count(void **state)
{
	const uint64_t others[] = {f.store->segment_base + (1ull << AP_SEGMENT_NUMBER_BITS) + 1,
				   f.store->segment_base ? 1 : 5ull << AP_SEGMENT_NUMBER_BITS};
	struct ap_query q = query(T0 + 9000, T0 + 9001);
	uint64_t last = 0, again = 0;
	struct ap_error err = {0};

	assert_int_equal(ap_store_last_segment(f.store, &last, &err), 0);
	for (size_t i = 0; i < AP_ARRAY_SIZE(others); i++)
		assert_int_equal(ap_store_exec(f.store, &err,
					       "INSERT INTO samples (time, event, service, stack, "
					       "count, value, segment) VALUES (%d, %d, 'other', 1, "
					       "10, 10, %llu)",
					       T0 + 9000, AP_EVENT_CPU,
					       (unsigned long long)others[i]),
				 0);
	assert_int_equal(total(&f, &q), 20);
	assert_int_equal(ap_store_last_segment(f.store, &again, &err), 0);
	assert_int_equal(last, again);
}

static void questions_are_bounded(void **state)
{
	struct ap_query q = query(T0, T0 + 10);
	atomic_bool cancelled = true;
	struct ap_tree *t = NULL;
	struct ap_coverage c;
	struct ap_error err = {0};

	q.cancel = &cancelled;
	assert_int_equal(ap_query_flamegraph(f.queries, &q, &t, &c, &err), -ECANCELED);
	assert_null(t);
}

static void sql(const char *text)
{
	struct ap_error err = {0};

	if (ap_store_exec(f.store, &err, "%s", text) < 0)
		fail_msg("%s", err.msg);
}

struct asked {
	atomic_bool cancel;
	int result;
};

static void *ask(void *arg)
{
	struct asked *a = arg;
	struct ap_query q = query(T0, T0 + 10);
	struct ap_tree *t = NULL;
	struct ap_coverage c;

	q.cancel = &a->cancel;
	a->result = ap_query_flamegraph(f.queries, &q, &t, &c, NULL);
	ap_tree_free(t);
	return NULL;
}

static void wait_running(uint64_t wanted)
{
	uint64_t until = ap_clock_mono_ns() + 30 * AP_NSEC_PER_SEC, n = !wanted;
	struct ap_error err = {0};

	while (n != wanted) {
		assert_true(ap_clock_mono_ns() < until);
		assert_int_equal(ap_store_query_uint(f.store,
						     "SELECT count() FROM system.processes WHERE "
						     "query LIKE '%FROM samples%' AND query NOT "
						     "LIKE '%processes%'",
						     &n, &err),
				 0);
	}
}

/* Over rows without end, which the engine makes as it is asked for them. */
static void a_cancelled_question_ends_in_the_store(void **state)
{
	struct ap_query_stats stats;
	struct asked a = {0};
	pthread_t thread;

	sql("RENAME TABLE samples TO samples_kept");
	sql("CREATE VIEW samples AS SELECT toDateTime(1763900001) AS time, toUInt8(1) AS event, 'x' AS "
	    "service, '' AS host, '' AS agent, toUInt64(number % 10) AS stack, toUInt64(1) AS count, "
	    "toUInt64(1) AS value, toUInt64(0) AS segment FROM system.numbers");
	assert_int_equal(pthread_create(&thread, NULL, ask, &a), 0);
	wait_running(1);
	atomic_store(&a.cancel, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(a.result, -ECANCELED);
	wait_running(0);
	ap_query_engine_get_stats(f.queries, &stats);
	assert_int_equal(stats.total[AP_QUERY_FLAMEGRAPH][AP_QUERY_CANCELLED], 2);
	assert_int_equal(stats.running, 0);
	sql("DROP TABLE samples");
	sql("RENAME TABLE samples_kept TO samples");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_answers_from_buffer_both_and_store),
		cmocka_unit_test(a_full_dictionary_is_started_anew),
		cmocka_unit_test(the_ledger_survives_a_restart),
		cmocka_unit_test(each_sample_counts_once_while_flushes_run),
		cmocka_unit_test(a_batch_over_midnight_is_stored_by_day),
		cmocka_unit_test(stacks_of_any_day_of_the_range_have_their_names),
		cmocka_unit_test(folding_keeps_totals),
		cmocka_unit_test(a_repeated_block_is_stored_once),
		cmocka_unit_test(an_insert_whose_answer_is_lost_is_not_repeated),
		cmocka_unit_test(rows_of_other_writers_count),
		cmocka_unit_test(questions_are_bounded),
		cmocka_unit_test(a_cancelled_question_ends_in_the_store),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}

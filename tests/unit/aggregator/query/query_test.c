/* SPDX-License-Identifier: Apache-2.0 */
/* Batches go through buffer, writer and store on the real engine; answers must be exact wherever a
 * sample is at the moment. */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "fixture.h"

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

/* Second k: redis 2 in main;work, 1 in main;idle on h1; web k in main;serve on h22, cut short. */
static void push_second(int k)
{
	struct ap_profile *a = ap_profile_new(), *b = ap_profile_new();

	sample(a, T0 + k, "service=redis,comm=io,pid=7,team=db",
	       stack(a, "main;work", "/bin/redis", 0), 2);
	sample(a, T0 + k, "service=redis,comm=bg,pid=7,team=db",
	       stack(a, "main;idle", "/bin/redis", 0), 1);
	push(&f, a, "h1", T0 + k, T0 + k + 1);
	sample(b, T0 + k, "service=web,comm=w",
	       stack(b, "main;serve", "/bin/web", AP_REASON_READ_FAULT), (uint64_t)k + 1);
	push(&f, b, "h22", T0 + k, T0 + k + 1);
}

static uint32_t find_node(const struct ap_tree *t, const char *name)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (ap_str_is(t->strings[t->name[i]], name))
			return i;
	fail_msg("no node %s", name);
	return 0;
}

static uint64_t select_total(const char *selector, int64_t from, int64_t to)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	struct ap_query q = query(from, to);

	assert_int_equal(ap_filter_parse(ap_str_of(selector), &filter, NULL, NULL), 0);
	q.filter = filter;
	return total(&f, &q);
}

static void check_flamegraph(void)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	struct ap_query q = query(T0, T0 + 10);
	struct ap_coverage c;
	struct ap_error err = {0};

	assert_int_equal(ap_query_flamegraph(f.queries, &q, &t, &c, &err), 0);
	assert_int_equal(t->total[0][0], 30 + 55);
	assert_int_equal(t->self[0][find_node(t, "work")], 20);
	assert_int_equal(t->self[0][find_node(t, "idle")], 10);
	assert_int_equal(t->self[0][find_node(t, "serve")], 55);
	assert_int_equal(c.hosts_reporting, 2);
	assert_int_equal(c.samples, 85);
	assert_int_equal(c.reasons[AP_REASON_OK], 30);
	assert_int_equal(c.reasons[AP_REASON_READ_FAULT], 55);
	assert_int_equal(c.lost, 20 * 3);
	assert_null(c.truncated);
	assert_true(c.complete_share > 0.35 && c.complete_share < 0.36);
	q.type = ap_profile_type_find(AP_STR("cpu:nanoseconds"));
	ap_tree_free(AP_TAKE_PTR(t));
	assert_int_equal(ap_query_flamegraph(f.queries, &q, &t, &c, &err), 0);
	assert_int_equal(t->total[0][0], 850000000);
}

static void check_selections(void)
{
	assert_int_equal(select_total("{service=\"redis\"}", T0, T0 + 10), 30);
	assert_int_equal(select_total("{comm=~\"i.\"}", T0, T0 + 10), 20);
	assert_int_equal(select_total("{team=\"db\",pid=\"7\"}", T0, T0 + 10), 30);
	assert_int_equal(select_total("{team!=\"db\"}", T0, T0 + 10), 55);
	assert_int_equal(select_total("{host=\"h1\"}", T0, T0 + 10), 30);
	assert_int_equal(
		select_total("{agent=\"00000000-0000-4000-8000-000000000003\"}", T0, T0 + 10), 55);
	assert_int_equal(select_total("{service=\"none\"}", T0, T0 + 10), 0);
	/* Half-open by seconds. */
	assert_int_equal(select_total("{service=\"redis\"}", T0 + 1, T0 + 2), 3);
	assert_int_equal(select_total("{service=\"redis\"}", T0 - 100, T0), 0);
}

static void check_series(void)
{
	_cleanup_(ap_cleanup_series) struct ap_series *s = NULL;
	struct ap_query q = query(T0 - 4, T0 + 12);
	struct ap_coverage c;
	struct ap_error err = {0};

	if (ap_query_series(f.queries, &q, AP_STR("service"), 2000, 1, &s, &c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s->n_steps, 8);
	assert_int_equal(s->n_rows, 1);
	assert_true(ap_str_is(s->rows[0].value, "web"));
	assert_int_equal(s->rows[0].total, 55);
	assert_true(s->rows[0].values[0] == AP_SERIES_NONE);
	assert_true(s->rows[0].values[1] == AP_SERIES_NONE);
	assert_int_equal(s->rows[0].values[2], 1 + 2);
	assert_int_equal(s->rows[0].values[6], 9 + 10);
	assert_true(s->rows[0].values[7] == AP_SERIES_NONE);
	assert_int_equal(s->n_other, 1);
	assert_int_equal(s->other.total, 30);
	assert_int_equal(s->other.values[3], 6);
	assert_int_equal(c.samples, 85);
	assert_int_equal(c.reasons[AP_REASON_READ_FAULT], 55);
}

static void check_labels(void)
{
	_cleanup_(ap_cleanup_label_values) struct ap_label_values *names = NULL, *v = NULL;
	struct ap_query q = query(T0, T0 + 10);
	struct ap_coverage c;
	struct ap_error err = {0};
	uint32_t events = 0;

	assert_int_equal(ap_query_label_names(f.queries, &q, &names, &c, &err), 0);
	assert_int_equal(names->n, 6); /* service host agent pid comm, team */
	assert_true(ap_str_is(names->rows[0].value, "service"));
	assert_true(ap_str_is(names->rows[5].value, "team"));
	assert_int_equal(names->rows[5].samples, 30);
	assert_int_equal(ap_query_label_values(f.queries, &q, AP_STR("comm"), 2, &v, &c, &err), 0);
	assert_int_equal(v->n, 2);
	assert_true(ap_str_is(v->rows[0].value, "w"));
	assert_int_equal(v->rows[0].samples, 55);
	assert_string_equal(c.truncated, "values");
	assert_int_equal(c.cut, 1);
	assert_int_equal(ap_query_label_values(f.queries, &q, AP_STR("a b"), 2, &v, &c, &err),
			 -EINVAL);
	assert_int_equal(ap_query_events(f.queries, &q, &events, &err), 0);
	assert_int_equal(events, 1u << AP_EVENT_CPU);
}

static void check_services(void)
{
	_cleanup_(ap_cleanup_services) struct ap_services *s = NULL;
	struct ap_query q = query(T0 + 5, T0 + 10);
	struct ap_coverage c;
	struct ap_error err = {0};

	if (ap_query_services(f.queries, &q, &s, &c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(s->n, 2);
	assert_int_equal(s->total, 40 + 15);
	assert_true(ap_str_is(s->rows[0].service, "web"));
	assert_int_equal(s->rows[0].value, 40);
	assert_int_equal(s->rows[0].complete, 0);
	assert_int_equal(s->rows[0].hosts, 1);
	assert_true(s->rows[0].has_previous);
	assert_false(s->rows[0].has_previous_day);
	assert_int_equal(s->rows[0].previous_value, 15);
	assert_true(s->rows[0].has_riser);
	assert_true(ap_str_is(s->rows[0].riser.function, "serve"));
	assert_true(ap_str_is(s->rows[0].riser.module, "web"));
	assert_int_equal(s->rows[0].riser.value - s->rows[0].riser.previous_value, 25);
	assert_true(ap_str_is(s->rows[1].service, "redis"));
	assert_int_equal(s->rows[1].complete, 15);
	assert_false(s->rows[1].has_riser);
	assert_int_equal(s->previous_to_ms - s->previous_from_ms, 5000);
}

static void check_tables(void)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL, *change = NULL;
	struct ap_query q = query(T0, T0 + 10), a = query(T0, T0 + 5), b = query(T0 + 5, T0 + 10);
	struct ap_coverage c[2];
	struct ap_error err = {0};
	uint64_t sum = 0;

	assert_int_equal(ap_query_top(f.queries, &q, AP_TOP_SELF, 1, &top, c, &err), 0);
	assert_true(ap_str_is(top->rows[0].name, "serve"));
	assert_int_equal(top->rows[0].self[0], 55);
	assert_string_equal(c[0].truncated, "functions");
	assert_int_equal(ap_query_diff(f.queries, &a, &b, 5, &t, &change, c, &err), 0);
	assert_int_equal(t->total[0][0], 15 + 15);
	assert_int_equal(t->total[1][0], 15 + 40);
	assert_true(ap_str_is(change->rows[0].name, "serve"));
	assert_int_equal(ap_query_profile(f.queries, &q, 2, &p, c, &err), 0);
	assert_int_equal(p->samples.n, 2);
	AP_VEC_FOREACH(&p->samples, row) {
		sum += row->count;
		assert_true(ap_profile_label_value(p, row->labels, AP_STR("service")).n > 0);
		assert_int_equal(ap_profile_get_stack(p, row->stack).n, 2);
	}
	assert_int_equal(sum, 55 + 20);
	assert_string_equal(c[0].truncated, "rows");
	assert_int_equal(c[0].cut, 1);
}

static void check_all(void)
{
	check_flamegraph();
	check_selections();
	check_series();
	check_labels();
	check_services();
	check_tables();
}

static void the_same_answers_from_buffer_both_and_store(void **state)
{
	struct ap_query q = query(T0, T0 + 10);

	for (int k = 0; k < 5; k++)
		push_second(k);
	q.source = AP_QUERY_STORE;
	assert_int_equal(total(&f, &q), 0);
	fixture_flush(&f);
	for (int k = 5; k < 10; k++)
		push_second(k);
	assert_int_equal(total(&f, &q), 15 + 15);
	check_all(); /* half here, half there */
	fixture_flush(&f);
	check_all(); /* all stored */
	assert_int_equal(total(&f, &q), 85);
	fixture_close(&f);
	fixture_open(&f);
	check_all(); /* after a restart, with nothing in memory */
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
				    "FROM aperture.samples GROUP BY segment)",
				    &n, &err),
		0);
	assert_int_equal(n, 1);
	/* Each day has the names it needs. */
	q.from_ms = midnight * 1000;
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(total(&f, &q), 5);
	assert_int_equal(select_total("{service=\"clock\"}", midnight - 10, midnight), 5);
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
	struct ap_profile *p = ap_profile_new();
	uint64_t segment;

	/* An attempt whose outcome the writer never learnt. */
	sample(p, T0 + 8000, "service=again", stack(p, "main;again", "/bin/again", 0), 5);
	push(&f, p, "h1", T0 + 8000, T0 + 8001);
	fixture_flush(&f);
	assert_int_equal(ap_buffer_recent(f.buffer, &segment, &list), 0);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_answers_from_buffer_both_and_store),
		cmocka_unit_test(the_ledger_survives_a_restart),
		cmocka_unit_test(each_sample_counts_once_while_flushes_run),
		cmocka_unit_test(a_batch_over_midnight_is_stored_by_day),
		cmocka_unit_test(folding_keeps_totals),
		cmocka_unit_test(a_repeated_block_is_stored_once),
		cmocka_unit_test(questions_are_bounded),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Ten seconds of two services on two hosts, and every answer about them. */
#ifndef AP_TESTS_CHECKS_H
#define AP_TESTS_CHECKS_H

#include "fixture.h"

/* Second k: redis 2 in main;work, 1 in main;idle on h1; web k in main;serve on h22, cut short. */
static inline void push_second(struct fixture *f, int k)
{
	struct ap_profile *a = ap_profile_new(), *b = ap_profile_new();

	sample(a, T0 + k, "service=redis,comm=io,pid=7,team=db",
	       stack(a, "main;work", "/bin/redis", 0), 2);
	sample(a, T0 + k, "service=redis,comm=bg,pid=7,team=db",
	       stack(a, "main;idle", "/bin/redis", 0), 1);
	push(f, a, "h1", T0 + k, T0 + k + 1);
	sample(b, T0 + k, "service=web,comm=w",
	       stack(b, "main;serve", "/bin/web", AP_REASON_READ_FAULT), (uint64_t)k + 1);
	push(f, b, "h22", T0 + k, T0 + k + 1);
}

static inline uint32_t find_node(const struct ap_tree *t, const char *name)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (ap_str_is(t->strings[t->name[i]], name))
			return i;
	fail_msg("no node %s", name);
	return 0;
}

static inline uint64_t select_total(struct fixture *f, const char *selector, int64_t from,
				    int64_t to)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	struct ap_query q = query(from, to);

	assert_int_equal(ap_filter_parse(ap_str_of(selector), &filter, NULL, NULL), 0);
	q.filter = filter;
	return total(f, &q);
}

static inline void check_flamegraph(struct fixture *f)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	struct ap_query q = query(T0, T0 + 10);
	struct ap_coverage c;
	struct ap_error err = {0};

	assert_int_equal(ap_query_flamegraph(f->queries, &q, &t, &c, &err), 0);
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
	assert_int_equal(ap_query_flamegraph(f->queries, &q, &t, &c, &err), 0);
	assert_int_equal(t->total[0][0], 850000000);
}

static inline void check_selections(struct fixture *f)
{
	assert_int_equal(select_total(f, "{service=\"redis\"}", T0, T0 + 10), 30);
	assert_int_equal(select_total(f, "{comm=~\"i.\"}", T0, T0 + 10), 20);
	assert_int_equal(select_total(f, "{team=\"db\",pid=\"7\"}", T0, T0 + 10), 30);
	assert_int_equal(select_total(f, "{team!=\"db\"}", T0, T0 + 10), 55);
	assert_int_equal(select_total(f, "{host=\"h1\"}", T0, T0 + 10), 30);
	assert_int_equal(
		select_total(f, "{agent=\"00000000-0000-4000-8000-000000000003\"}", T0, T0 + 10),
		55);
	assert_int_equal(select_total(f, "{service=\"none\"}", T0, T0 + 10), 0);
	/* Half-open by seconds. */
	assert_int_equal(select_total(f, "{service=\"redis\"}", T0 + 1, T0 + 2), 3);
	assert_int_equal(select_total(f, "{service=\"redis\"}", T0 - 100, T0), 0);
}

static inline void check_series(struct fixture *f)
{
	_cleanup_(ap_cleanup_series) struct ap_series *s = NULL;
	struct ap_query q = query(T0 - 4, T0 + 12);
	struct ap_coverage c;
	struct ap_error err = {0};

	if (ap_query_series(f->queries, &q, AP_STR("service"), 2000, 1, &s, &c, &err) < 0)
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

/* By a label without a column of its own, whose value may be none, and by no label. */
static inline void check_series_labels(struct fixture *f)
{
	_cleanup_(ap_cleanup_series) struct ap_series *team = NULL, *all = NULL;
	struct ap_query q = query(T0 - 4, T0 + 12);
	struct ap_coverage c;
	struct ap_error err = {0};

	if (ap_query_series(f->queries, &q, AP_STR("team"), 2000, 0, &team, &c, &err) < 0 ||
	    ap_query_series(f->queries, &q, AP_STR(""), 2000, 0, &all, &c, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(team->n_rows, 2);
	assert_int_equal(team->n_other, 0);
	assert_int_equal(team->rows[0].value.n, 0);
	assert_int_equal(team->rows[0].values[2], 1 + 2);
	assert_true(ap_str_is(team->rows[1].value, "db"));
	assert_int_equal(team->rows[1].total, 30);
	assert_int_equal(team->rows[1].values[3], 6);
	assert_int_equal(all->n_rows, 1);
	assert_int_equal(all->rows[0].total, 85);
	assert_int_equal(all->rows[0].values[3], team->rows[0].values[3] + 6);
}

static inline void check_labels(struct fixture *f)
{
	_cleanup_(ap_cleanup_label_values) struct ap_label_values *names = NULL, *v = NULL;
	struct ap_query q = query(T0, T0 + 10);
	struct ap_coverage c;
	struct ap_error err = {0};
	uint32_t events = 0;

	assert_int_equal(ap_query_label_names(f->queries, &q, &names, &c, &err), 0);
	assert_int_equal(names->n, 6); /* service host agent pid comm, team */
	assert_true(ap_str_is(names->rows[0].value, "service"));
	assert_true(ap_str_is(names->rows[5].value, "team"));
	assert_int_equal(names->rows[5].samples, 30);
	assert_int_equal(ap_query_label_values(f->queries, &q, AP_STR("comm"), 2, &v, &c, &err), 0);
	assert_int_equal(v->n, 2);
	assert_true(ap_str_is(v->rows[0].value, "w"));
	assert_int_equal(v->rows[0].samples, 55);
	assert_string_equal(c.truncated, "values");
	assert_int_equal(c.cut, 1);
	assert_int_equal(ap_query_label_values(f->queries, &q, AP_STR("a b"), 2, &v, &c, &err),
			 -EINVAL);
	assert_int_equal(ap_query_events(f->queries, &q, &events, &err), 0);
	assert_int_equal(events, 1u << AP_EVENT_CPU);
}

static inline void check_services(struct fixture *f)
{
	_cleanup_(ap_cleanup_services) struct ap_services *s = NULL;
	struct ap_query q = query(T0 + 5, T0 + 10);
	struct ap_coverage c;
	struct ap_error err = {0};

	if (ap_query_services(f->queries, &q, &s, &c, &err) < 0)
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

static inline void check_tables(struct fixture *f)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL, *change = NULL;
	struct ap_query q = query(T0, T0 + 10), a = query(T0, T0 + 5), b = query(T0 + 5, T0 + 10);
	struct ap_coverage c[2];
	struct ap_error err = {0};
	uint64_t sum = 0;

	assert_int_equal(ap_query_top(f->queries, &q, AP_TOP_SELF, 1, &top, c, &err), 0);
	assert_true(ap_str_is(top->rows[0].name, "serve"));
	assert_int_equal(top->rows[0].self[0], 55);
	assert_string_equal(c[0].truncated, "functions");
	assert_int_equal(ap_query_diff(f->queries, &a, &b, 5, &t, &change, c, &err), 0);
	assert_int_equal(t->total[0][0], 15 + 15);
	assert_int_equal(t->total[1][0], 15 + 40);
	assert_true(ap_str_is(change->rows[0].name, "serve"));
	assert_int_equal(ap_query_profile(f->queries, &q, 2, &p, c, &err), 0);
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

static inline void check_all(struct fixture *f)
{
	check_flamegraph(f);
	check_selections(f);
	check_series(f);
	check_series_labels(f);
	check_labels(f);
	check_services(f);
	check_tables(f);
}

#endif

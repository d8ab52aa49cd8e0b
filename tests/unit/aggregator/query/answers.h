/* SPDX-License-Identifier: Apache-2.0 */
/* All answers about a range as text, to be compared. */
#ifndef AP_TESTS_ANSWERS_H
#define AP_TESTS_ANSWERS_H

#include "aggregator/store/rollup.h"
#include "fixture.h"

static inline void must_answer(int r, const struct ap_error *err)
{
	if (r < 0)
		fail_msg("%s", err->msg);
}

static inline void put_coverage(const struct ap_coverage *c, struct ap_buf *out)
{
	ap_buf_printf(out, "hosts %u samples %llu lost %llu share %.4f cut %llu range %lld %lld",
		      c->hosts_reporting, (unsigned long long)c->samples,
		      (unsigned long long)c->lost, c->complete_share, (unsigned long long)c->cut,
		      (long long)c->from_ms, (long long)c->to_ms);
	for (int i = 0; i < AP_REASONS_MAX; i++)
		if (c->reasons[i])
			ap_buf_printf(out, " %d=%llu", i, (unsigned long long)c->reasons[i]);
	ap_buf_byte(out, '\n');
}

static inline void put_tree(struct ap_query_engine *e, const struct ap_query *q, struct ap_buf *out)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	struct ap_coverage c;
	struct ap_error err = {0};

	must_answer(ap_query_flamegraph(e, q, &t, &c, &err), &err);
	for (uint32_t i = 0; i < t->n; i++)
		ap_buf_printf(out, "%*s%.*s %llu %llu\n", (int)t->depth[i], "",
			      AP_STR_ARG(t->strings[t->name[i]]),
			      (unsigned long long)t->total[0][i],
			      (unsigned long long)t->self[0][i]);
	put_coverage(&c, out);
}

static inline void put_diff(struct ap_query_engine *e, const struct ap_query *q, struct ap_buf *out)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL;
	struct ap_query before = *q;
	struct ap_coverage c[2];
	struct ap_error err = {0};

	before.from_ms -= 86400000;
	before.to_ms -= 86400000;
	must_answer(ap_query_diff(e, &before, q, 0, &t, &top, c, &err), &err);
	for (uint32_t i = 0; i < top->n; i++)
		ap_buf_printf(out, "%.*s %llu %llu\n", AP_STR_ARG(top->rows[i].name),
			      (unsigned long long)top->rows[i].self[0],
			      (unsigned long long)top->rows[i].self[1]);
	put_coverage(&c[0], out);
}

static inline void put_series(struct ap_query_engine *e, const struct ap_query *q,
			      const char *label, int64_t step_ms, struct ap_buf *out)
{
	_cleanup_(ap_cleanup_series) struct ap_series *s = NULL;
	struct ap_coverage c;
	struct ap_error err = {0};

	must_answer(ap_query_series(e, q, ap_str_of(label), step_ms, 2, &s, &c, &err), &err);
	for (uint32_t i = 0; i < s->n_rows; i++) {
		ap_buf_printf(out, "%.*s:", AP_STR_ARG(s->rows[i].value));
		for (uint32_t k = 0; k < s->n_steps; k++)
			ap_buf_printf(out, " %lld", (long long)s->rows[i].values[k]);
		ap_buf_byte(out, '\n');
	}
	ap_buf_printf(out, "other %u %llu\n", s->n_other, (unsigned long long)s->other.total);
	put_coverage(&c, out);
}

static inline void put_labels(struct ap_query_engine *e, const struct ap_query *q,
			      struct ap_buf *out)
{
	static const char *const labels[] = {"", "service", "pid", "kind"};
	struct ap_error err = {0};
	uint32_t events;

	for (size_t i = 0; i < AP_ARRAY_SIZE(labels); i++) {
		_cleanup_(ap_cleanup_label_values) struct ap_label_values *v = NULL;
		struct ap_coverage c;

		must_answer(labels[i][0] ? ap_query_label_values(e, q, ap_str_of(labels[i]), 0, &v,
								 &c, &err)
					 : ap_query_label_names(e, q, &v, &c, &err),
			    &err);
		for (uint32_t k = 0; k < v->n; k++)
			ap_buf_printf(out, "%s %.*s=%llu\n", labels[i],
				      AP_STR_ARG(v->rows[k].value),
				      (unsigned long long)v->rows[k].samples);
		put_coverage(&c, out);
	}
	must_answer(ap_query_events(e, q, &events, &err), &err);
	ap_buf_printf(out, "events %x\n", events);
}

static inline void put_services(struct ap_query_engine *e, const struct ap_query *q,
				struct ap_buf *out)
{
	_cleanup_(ap_cleanup_services) struct ap_services *s = NULL;
	struct ap_coverage c;
	struct ap_error err = {0};

	must_answer(ap_query_services(e, q, &s, &c, &err), &err);
	for (uint32_t i = 0; i < s->n; i++)
		ap_buf_printf(out, "%.*s %llu %llu %u %llu %llu %.*s\n",
			      AP_STR_ARG(s->rows[i].service), (unsigned long long)s->rows[i].value,
			      (unsigned long long)s->rows[i].complete, s->rows[i].hosts,
			      (unsigned long long)s->rows[i].previous_value,
			      (unsigned long long)s->rows[i].previous_day_value,
			      (int)s->rows[i].riser.function.n, s->rows[i].riser.function.p ?: "");
	put_coverage(&c, out);
}

static inline void put_syscalls(struct ap_query_engine *e, const struct ap_query *q, const char *by,
				struct ap_buf *out)
{
	_cleanup_(ap_cleanup_syscall_table) struct ap_syscall_table *t = NULL;
	struct ap_syscall_query s = {.by = ap_str_of(by), .steps = true};
	struct ap_coverage c;
	struct ap_error err = {0};

	must_answer(ap_query_syscalls(e, q, &s, &t, &c, &err), &err);
	for (uint32_t i = 0; i < t->n; i++)
		ap_buf_printf(out, "%.*s %.*s %llu %llu %llu %llu %.0f\n",
			      AP_STR_ARG(t->rows[i].syscall), AP_STR_ARG(t->rows[i].value),
			      (unsigned long long)t->rows[i].stat.count,
			      (unsigned long long)t->rows[i].stat.sum_ns,
			      (unsigned long long)t->rows[i].stat.max_ns,
			      (unsigned long long)t->rows[i].errors,
			      ap_syscall_quantile(&t->rows[i].stat, 0.9));
	for (uint32_t i = 0; i < t->n_steps; i++)
		ap_buf_printf(out, "%llu/%d ", (unsigned long long)t->steps[i].count,
			      t->steps[i].reported);
	ap_buf_printf(out, "covered %llu\n", (unsigned long long)t->covered_s);
	put_coverage(&c, out);
}

static inline void put_locks(struct ap_query_engine *e, const struct ap_query *q,
			     struct ap_buf *out)
{
	const struct ap_locks_options o = {0};
	struct ap_locks *l = NULL;
	struct ap_coverage c;
	struct ap_error err = {0};

	must_answer(ap_query_locks(e, q, &o, &l, &c, &err), &err);
	for (uint32_t i = 0; i < l->n; i++)
		ap_buf_printf(out, "%.*s %.*s %llu\n", AP_STR_ARG(l->rows[i].service),
			      AP_STR_ARG(l->rows[i].lock), (unsigned long long)l->rows[i].waits.ns);
	put_coverage(&c, out);
	ap_locks_free(l);
}

/* Those whose bit is in `which`. */
#define ALL_ANSWERS 0x3ffu

static inline void answers(struct ap_query_engine *e, const char *selector, int64_t from,
			   int64_t to, uint32_t which, struct ap_buf *out)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *filter = NULL;
	struct ap_query q = query(from, to);

	assert_int_equal(ap_filter_parse(ap_str_of(selector), &filter, NULL, NULL), 0);
	q.filter = filter;
	for (unsigned int i = 0; which >> i; i++) {
		if (!(which >> i & 1))
			continue;
		switch (i) {
		case 0:
			put_tree(e, &q, out);
			break;
		case 1:
			put_diff(e, &q, out);
			break;
		case 2:
			put_series(e, &q, "service", 3600000, out);
			break;
		case 3:
			put_series(e, &q, "", 86400000, out);
			break;
		case 4:
			put_series(e, &q, "pid", 7200000, out);
			break;
		case 5:
			put_series(e, &q, "team", 2700000, out);
			break;
		case 6:
			put_labels(e, &q, out);
			break;
		case 7:
			put_services(e, &q, out);
			break;
		case 8:
			put_syscalls(e, &q, q.from_ms % 7 ? "service" : "pid", out);
			break;
		default:
			put_locks(e, &q, out);
		}
	}
}

#endif

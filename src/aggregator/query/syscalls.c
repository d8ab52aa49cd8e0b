/* SPDX-License-Identifier: Apache-2.0 */
/* System calls. What is summed (counts, histograms) comes from the store's sums and the buffer's rows;
 * who is in a call now is no sum: of each process and call the last row holds. */
#include "aggregator/query/internal.h"
#include "base/clock.h"

enum { ROWS_MAX = 500000 };

/* A process and a call, as last heard of. */
struct flight {
	uint64_t order; /* ap_store_batch_order() */
	uint64_t in_flight, oldest_ns;
	uint32_t row;
};

struct collector {
	struct ap_question *q;
	const struct ap_syscall_query *s;
	struct ap_range range;	 /* as asked for: of the rows */
	struct ap_range aligned; /* to whole steps: of these */
	struct ap_syscall_table *t;
	AP_VEC(struct ap_syscall_row) rows; /* by name id - 1 */
	struct ap_intern *flight_keys;
	AP_VEC(struct flight) flights;	/* by key id - 1 */
	struct ap_syscall_stat *steps;	/* n_steps of them; NULL: not asked for */
	uint32_t step, n_steps;		/* seconds */
	struct ap_buf key;		/* scratch */
	struct ap_syscall_stat scratch; /* one row of an answer */
};

void ap_syscall_table_free(struct ap_syscall_table *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; t->rows && i < t->n_rows; i++)
		ap_syscall_stat_free(&t->rows[i].stat);
	free(t->rows);
	free(t->steps);
	ap_intern_free(t->names);
	free(t);
}

static void collector_free(struct collector *c)
{
	AP_VEC_FOREACH(&c->rows, r)
		ap_syscall_stat_free(&r->stat);
	ap_vec_free(&c->rows);
	ap_vec_free(&c->flights);
	ap_intern_free(c->flight_keys);
	for (uint32_t i = 0; c->steps && i < c->n_steps; i++)
		ap_syscall_stat_free(&c->steps[i]);
	free(c->steps);
	ap_buf_free(&c->key);
	ap_syscall_stat_free(&c->scratch);
}

/* Texts, each with its length before it, as one key. */
static struct ap_str make_key(struct collector *c, const struct ap_str *texts, uint32_t n)
{
	ap_buf_clear(&c->key);
	for (uint32_t i = 0; i < n; i++) {
		ap_buf_append(&c->key, &texts[i].n, sizeof(texts[i].n));
		ap_buf_str(&c->key, texts[i]);
	}
	return ap_buf_view(&c->key);
}

static struct ap_str key_text(struct ap_str key, uint32_t i)
{
	size_t n, at = 0;

	for (;; i--) {
		memcpy(&n, key.p + at, sizeof(n));
		at += sizeof(n);
		if (i == 0)
			return (struct ap_str){key.p + at, n};
		at += n;
	}
}

/* The row of (call, ABI, label's value), made where it is new. */
static int row_of(struct collector *c, const struct ap_str texts[3], uint32_t *ret)
{
	struct ap_str key = make_key(c, texts, 3);
	uint32_t id;
	bool fresh;

	if (ap_buf_error(&c->key) || ap_intern_add(c->t->names, key, &id, &fresh) < 0)
		return ap_question_no_memory(c->q);
	if (fresh && c->rows.n >= ROWS_MAX)
		return ap_error_set(c->q->err, -E2BIG,
				    "the answer has more than %d rows: narrow the filter, or group "
				    "by another label",
				    ROWS_MAX);
	if (fresh && ap_vec_push(&c->rows, (struct ap_syscall_row){0}) < 0)
		return ap_question_no_memory(c->q);
	*ret = id - 1;
	return 0;
}

/* Two array columns of an answer, as numbered counts. */
static int read_counts(const struct ap_native_view *v, uint32_t column, size_t row,
		       struct ap_syscall_counts *into)
{
	const struct ap_native_column *numbers = &v->columns[column],
				      *counts = &v->columns[column + 1];
	size_t from, to, from_counts, to_counts;
	int r = 0;

	ap_native_array(numbers, row, &from, &to);
	ap_native_array(counts, row, &from_counts, &to_counts);
	if (!numbers->items || !counts->items || to - from != to_counts - from_counts)
		return -EBADMSG;
	for (size_t i = 0; i < to - from && r == 0; i++)
		r = ap_syscall_counts_add(into, (uint32_t)ap_native_uint(numbers->items, from + i),
					  ap_native_uint(counts->items, from_counts + i));
	return r;
}

#define STAT_SQL                                            \
	"sum(count), sum(sum_ns), max(max_ns), "            \
	"tupleElement(sumMap(buckets, bucket_counts), 1), " \
	"tupleElement(sumMap(buckets, bucket_counts), 2), " \
	"tupleElement(sumMap(errors, error_counts), 1), "   \
	"tupleElement(sumMap(errors, error_counts), 2)"
enum { STAT_COLUMNS = 7 };

/* The columns of STAT_SQL from `column` on, added to `into`. */
static int read_stat(struct collector *c, const struct ap_native_view *v, uint32_t column,
		     size_t row, struct ap_syscall_stat *into)
{
	struct ap_syscall_stat *s = &c->scratch;
	int r;

	ap_syscall_stat_clear(s);
	s->count = ap_native_uint(&v->columns[column], row);
	s->sum_ns = ap_native_uint(&v->columns[column + 1], row);
	s->max_ns = ap_native_uint(&v->columns[column + 2], row);
	r = read_counts(v, column + 3, row, &s->buckets);
	if (r == 0)
		r = read_counts(v, column + 5, row, &s->errors);
	if (r == 0)
		r = ap_syscall_stat_add(into, s);
	return r == -ENOMEM ? ap_question_no_memory(c->q) : r;
}

static void where_sql(const struct collector *c, struct ap_buf *sql)
{
	if (c->s->syscall.n) {
		ap_buf_puts(sql, " AND syscall = ");
		ap_sql_quote(sql, c->s->syscall);
	}
	if (c->s->abi.n) {
		ap_buf_puts(sql, " AND abi = ");
		ap_sql_quote(sql, c->s->abi);
	}
}

static void label_sql(const struct collector *c, struct ap_buf *sql)
{
	if (c->s->by.n)
		ap_label_sql(c->s->by, sql);
	else
		ap_buf_puts(sql, "''");
}

static int take_sums(void *ctx, const struct ap_native_view *v)
{
	struct collector *c = ctx;
	int r = 0;

	if (v->n_columns != 3 + STAT_COLUMNS)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows && r == 0; row++) {
		const struct ap_str texts[3] = {ap_native_str(&v->columns[0], row),
						ap_native_str(&v->columns[1], row),
						ap_native_str(&v->columns[2], row)};
		uint32_t i;

		r = row_of(c, texts, &i);
		if (r == 0)
			r = read_stat(c, v, 3, row, &c->rows.p[i].stat);
	}
	return r;
}

static int take_steps(void *ctx, const struct ap_native_view *v)
{
	struct collector *c = ctx;
	int r = 0;

	if (v->n_columns != 1 + STAT_COLUMNS)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows && r == 0; row++) {
		uint64_t step = ap_native_uint(&v->columns[0], row);

		r = step < c->n_steps ? read_stat(c, v, 1, row, &c->steps[step]) : -EBADMSG;
	}
	return r;
}

/* Keeps the later one of what is known of (agent, process, call, ABI). */
static int add_flight(struct collector *c, const struct ap_str key_texts[4], struct ap_str value,
		      const struct flight *f)
{
	const struct ap_str texts[3] = {key_texts[2], key_texts[3], value};
	struct flight fresh = *f;
	uint32_t id;
	bool is_new;
	int r;

	if (ap_intern_add(c->flight_keys, make_key(c, key_texts, 4), &id, &is_new) < 0 ||
	    ap_buf_error(&c->key))
		return ap_question_no_memory(c->q);
	if (!is_new && c->flights.p[id - 1].order > f->order)
		return 0;
	r = row_of(c, texts, &fresh.row);
	if (r < 0)
		return r;
	if (is_new)
		return ap_vec_push(&c->flights, fresh) < 0 ? ap_question_no_memory(c->q) : 0;
	c->flights.p[id - 1] = fresh;
	return 0;
}

static int take_flights(void *ctx, const struct ap_native_view *v)
{
	struct collector *c = ctx;
	int r = 0;

	if (v->n_columns != 8)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows && r == 0; row++) {
		const struct ap_str key[4] = {
			ap_native_str(&v->columns[0], row), ap_native_str(&v->columns[1], row),
			ap_native_str(&v->columns[2], row), ap_native_str(&v->columns[3], row)};
		const struct flight f = {.order = ap_native_uint(&v->columns[5], row),
					 .in_flight = ap_native_uint(&v->columns[6], row),
					 .oldest_ns = ap_native_uint(&v->columns[7], row)};

		r = add_flight(c, key, ap_native_str(&v->columns[4], row), &f);
	}
	return r;
}

static int take_row(void *ctx, const struct ap_batch *b, const struct ap_syscall *row)
{
	struct collector *c = ctx;
	struct ap_str name = ap_profile_str(b->profile, row->name);
	struct ap_str abi = ap_profile_str(b->profile, row->abi);
	struct ap_str value = c->s->by.n ? ap_batch_label(b, row->labels, c->s->by) : AP_STR("");
	const struct ap_str texts[3] = {name, abi, value};
	const struct ap_str key[4] = {ap_str_of(b->meta->agent_id),
				      ap_batch_label(b, row->labels, AP_STR("pid")), name, abi};
	const struct flight f = {.order = ap_store_batch_order(b->meta),
				 .in_flight = row->in_flight,
				 .oldest_ns = row->oldest_ns};
	uint32_t second = ap_store_second(row->time_ns), i;
	int r = 0;

	if ((c->s->syscall.n && !ap_str_eq(name, c->s->syscall)) ||
	    (c->s->abi.n && !ap_str_eq(abi, c->s->abi)))
		return 0;
	if (c->steps &&
	    ap_profile_syscall_stat(b->profile, row,
				    &c->steps[(second - c->aligned.from) / c->step]) < 0)
		return ap_question_no_memory(c->q);
	if (second < c->range.from || second >= c->range.to)
		return 0;
	r = row_of(c, texts, &i);
	if (r == 0 && ap_profile_syscall_stat(b->profile, row, &c->rows.p[i].stat) < 0)
		r = ap_question_no_memory(c->q);
	return r == 0 ? add_flight(c, key, value, &f) : r;
}

static int ask_store(struct collector *c)
{
	_cleanup_buf_ struct ap_buf sums = {0}, steps = {0}, flights = {0}, where = {0};
	struct ap_select what = {.family = AP_ROLLUP_SYSCALLS, .group = AP_STR("syscall, abi, v")};
	int r;

	where_sql(c, &where);
	ap_buf_puts(&sums, "syscall, abi, ");
	label_sql(c, &sums);
	ap_buf_puts(&sums, " AS v, " STAT_SQL);
	if (ap_buf_error(&sums) || ap_buf_error(&where))
		return ap_question_no_memory(c->q);
	what.columns = ap_buf_view(&sums);
	what.where = ap_buf_view(&where);
	r = ap_range_select(c->q, &c->range, &what, take_sums, c);
	if (r < 0)
		return r;
	/* Those that were in a call when last heard of; what the buffer has of them is later. */
	ap_buf_puts(&flights, "SELECT agent, pid, syscall, abi, argMax(");
	label_sql(c, &flights);
	ap_buf_puts(&flights, ", batch), max(batch), toUInt64(argMax(in_flight, batch)) AS n, "
			      "argMax(oldest_ns, batch) FROM syscalls");
	ap_range_sql(c->q, &c->range, &flights);
	ap_buf_str(&flights, what.where);
	ap_buf_puts(&flights, " GROUP BY agent, pid, syscall, abi HAVING n > 0");
	r = ap_question_select(c->q, &flights, take_flights, c);
	if (r < 0 || !c->steps)
		return r;
	ap_buf_printf(&steps, "toUInt64(intDiv(toUInt32(time) - %u, %u)) AS step, " STAT_SQL,
		      c->aligned.from, c->step);
	what.columns = ap_buf_view(&steps);
	what.group = AP_STR("step");
	return ap_buf_error(&steps) ? ap_question_no_memory(c->q)
				    : ap_range_select(c->q, &c->aligned, &what, take_steps, c);
}

static int by_name(const struct ap_syscall_row *x, const struct ap_syscall_row *y)
{
	int r = ap_str_cmp(x->syscall, y->syscall);

	if (r == 0)
		r = ap_str_cmp(x->abi, y->abi);
	return r ? r : ap_str_cmp(x->value, y->value);
}

static double sort_value(const struct ap_syscall_row *r, enum ap_syscall_sort sort)
{
	switch (sort) {
	case AP_SYSCALL_SORT_COUNT:
		return (double)r->stat.count;
	case AP_SYSCALL_SORT_ERRORS:
		return (double)r->errors;
	case AP_SYSCALL_SORT_MAX:
		return (double)r->stat.max_ns;
	case AP_SYSCALL_SORT_P99:
		return ap_syscall_quantile(&r->stat, 0.99);
	case AP_SYSCALL_SORT_IN_FLIGHT:
		return (double)r->in_flight;
	default:
		return (double)r->stat.sum_ns;
	}
}

static int compare(const void *a, const void *b, void *ctx)
{
	const struct ap_syscall_row *x = a, *y = b;
	enum ap_syscall_sort sort = *(const enum ap_syscall_sort *)ctx;
	double v = sort_value(x, sort), w = sort_value(y, sort);

	if (v != w)
		return v < w ? 1 : -1;
	return by_name(x, y);
}

/* Puts the sums into the answer. */
static void finish_rows(struct collector *c)
{
	struct ap_syscall_table *t = c->t;
	enum ap_syscall_sort sort = c->s->sort;

	AP_VEC_FOREACH(&c->flights, f) {
		struct ap_syscall_row *r = &c->rows.p[f->row];

		r->in_flight += f->in_flight;
		r->oldest_ns = AP_MAX(r->oldest_ns, f->oldest_ns);
	}
	for (uint32_t i = 0; i < c->rows.n; i++) {
		struct ap_syscall_row *r = &c->rows.p[i];
		struct ap_str key = ap_intern_get(t->names, i + 1);

		r->syscall = key_text(key, 0);
		r->abi = key_text(key, 1);
		r->value = key_text(key, 2);
		r->errors = ap_syscall_counts_sum(&r->stat.errors);
		t->count += r->stat.count;
		t->errors += r->errors;
		t->sum_ns += r->stat.sum_ns;
	}
	t->n_rows = (uint32_t)c->rows.n;
	t->n = c->s->limit ? AP_MIN(t->n_rows, c->s->limit) : t->n_rows;
	t->rows = AP_TAKE_PTR(c->rows.p);
	c->rows.n = c->rows.cap = 0;
	if (t->n_rows)
		qsort_r(t->rows, t->n_rows, sizeof(*t->rows), compare, &sort);
}

static int finish_steps(struct collector *c, const uint8_t *reported)
{
	struct ap_syscall_table *t = c->t;

	t->n_steps = c->n_steps;
	t->steps = calloc(c->n_steps + 1, sizeof(*t->steps));
	if (!t->steps)
		return ap_question_no_memory(c->q);
	for (uint32_t i = 0; i < c->n_steps; i++) {
		const struct ap_syscall_stat *s = &c->steps[i];

		t->steps[i] = (struct ap_syscall_step){
			.count = s->count,
			.errors = ap_syscall_counts_sum(&s->errors),
			.sum_ns = s->sum_ns,
			.max_ns = s->max_ns,
			.p50_ns = ap_syscall_quantile(s, 0.5),
			.p90_ns = ap_syscall_quantile(s, 0.9),
			.p99_ns = ap_syscall_quantile(s, 0.99),
			.reported = reported[i],
		};
	}
	return 0;
}

/* The seconds of the range itself that lie in steps with a report. */
static uint64_t covered(const struct collector *c, const uint8_t *reported)
{
	uint64_t seconds = 0;

	for (uint32_t i = 0; i < c->n_steps; i++) {
		uint32_t from = AP_MAX(c->aligned.from + i * c->step, c->range.from);
		uint32_t to = AP_MIN(c->aligned.from + (i + 1) * c->step, c->range.to);

		seconds += reported[i] && to > from ? to - from : 0;
	}
	return seconds;
}

/* Lays the steps over the range. */
static int lay_steps(struct collector *c, const struct ap_query *q, struct ap_error *err)
{
	struct ap_syscall_table *t = c->t;

	t->step_ms = c->s->step_ms ? c->s->step_ms : ap_steps_round(q->to_ms - q->from_ms);
	if (t->step_ms < 1000 || t->step_ms % 1000 ||
	    (q->to_ms - q->from_ms) / t->step_ms >= AP_SERIES_STEPS_MAX)
		return ap_error_set(err, -EINVAL,
				    "a step is a whole number of seconds, and a range has at most "
				    "%d of them",
				    AP_SERIES_STEPS_MAX);
	c->step = ap_range_step(c->q, &c->range, (uint32_t)(t->step_ms / 1000));
	t->step_ms = c->step * 1000ll;
	t->from_ms = q->from_ms / t->step_ms * t->step_ms;
	t->to_ms = (q->to_ms + t->step_ms - 1) / t->step_ms * t->step_ms;
	c->n_steps = (uint32_t)((t->to_ms - t->from_ms) / t->step_ms);
	c->aligned = c->range;
	c->aligned.from = (uint32_t)(t->from_ms / 1000);
	c->aligned.to = (uint32_t)(t->to_ms / 1000);
	c->aligned.grain = c->step;
	ap_range_settle(c->q, &c->aligned);
	ap_range_settle(c->q, &c->range);
	if (c->s->steps)
		c->steps = calloc(c->n_steps, sizeof(*c->steps));
	return c->s->steps && !c->steps ? ap_error_set(err, -ENOMEM, "out of memory") : 0;
}

static int build(struct collector *c, struct ap_coverage *cov)
{
	_cleanup_free_ uint8_t *reported = calloc(c->n_steps + 1, 1);
	struct ap_steps steps = {c->step, c->n_steps, reported};
	int r = reported ? ap_coverage_calls(c->q, &c->range, cov) : ap_question_no_memory(c->q);

	if (r == 0 && c->q->use_store)
		r = ask_store(c);
	if (r == 0)
		r = ap_range_syscalls(c->q, c->steps ? &c->aligned : &c->range, take_row, c);
	if (r == 0)
		r = ap_steps_collect(c->q, &c->aligned, &steps);
	if (r < 0)
		return r;
	finish_rows(c);
	c->t->covered_s = covered(c, reported);
	if (c->t->n < c->t->n_rows) {
		cov->truncated = "rows";
		cov->cut = c->t->n_rows - c->t->n;
	}
	return c->steps ? finish_steps(c, reported) : 0;
}

int ap_query_syscalls(struct ap_query_engine *e, const struct ap_query *q,
		      const struct ap_syscall_query *s, struct ap_syscall_table **ret,
		      struct ap_coverage *ret_cov, struct ap_error *err)
{
	_cleanup_(ap_cleanup_syscall_table) struct ap_syscall_table *t = calloc(1, sizeof(*t));
	_cleanup_question_ struct ap_question question = {0};
	_cleanup_(collector_free) struct collector c = {
		.q = &question, .s = s, .t = t, .range = ap_range_of(q)};
	int r;

	c.range.events = 0;
	c.flight_keys = ap_intern_new();
	if (t)
		t->names = ap_intern_new();
	if (!t || !t->names || !c.flight_keys)
		return ap_error_set(err, -ENOMEM, "out of memory");
	if (s->by.n && !ap_label_name_ok(s->by))
		return ap_error_set(err, -EINVAL, "\"%.*s\" is not a label's name",
				    (int)AP_MIN(s->by.n, (size_t)100), s->by.p);
	if (s->by.n)
		ap_range_need(&c.range, s->by);
	r = ap_question_begin(&question, e, AP_QUERY_SYSCALLS, q, err);
	if (r == 0)
		r = lay_steps(&c, q, err);
	if (r == 0)
		r = build(&c, ret_cov);
	if (r == 0)
		*ret = AP_TAKE_PTR(t);
	return r;
}

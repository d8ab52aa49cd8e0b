/* SPDX-License-Identifier: Apache-2.0 */
/* Values over time, by a label: first each value's total, to see which are shown on their own, then
 * the steps of those and of all others together. */
#include "aggregator/query/internal.h"
#include "aggregator/store/schema.h"
#include "base/clock.h"

enum { TOP_DEFAULT = 10, TOP_MAX = 1000 };

void ap_series_free(struct ap_series *s)
{
	struct ap_arena arena;

	if (!s)
		return;
	arena = s->arena; /* `s` lies in it */
	ap_arena_free(&arena);
}

/* The question while it runs. Values are numbered in order of appearance. */
struct builder {
	struct ap_question *q;
	struct ap_range range; /* aligned to steps */
	struct ap_str label;
	struct ap_series *s;
	struct ap_coverage *coverage;
	uint32_t top;
	uint32_t step, n_steps;	 /* seconds */
	struct ap_intern *names; /* of values, with a leading byte: "" is a value too */
	AP_VEC(uint64_t) totals; /* by name id */
	uint32_t *rank;		 /* name id to 1 + its row, 0 = other */
	uint64_t **rows;	 /* by rank; [0] is other */
	uint8_t *reported;	 /* by step */
};

static int name_id(struct builder *b, struct ap_str value, uint32_t *ret)
{
	_cleanup_buf_ struct ap_buf key = {0};

	ap_buf_byte(&key, 'v');
	ap_buf_str(&key, value);
	if (ap_buf_error(&key) || ap_intern_add(b->names, ap_buf_view(&key), ret, NULL) < 0)
		return -ENOMEM;
	while (b->totals.n <= *ret)
		if (ap_vec_push(&b->totals, 0) < 0)
			return -ENOMEM;
	return 0;
}

static struct ap_str name_of(const struct builder *b, uint32_t id)
{
	struct ap_str s = ap_intern_get(b->names, id);

	return s.n ? (struct ap_str){s.p + 1, s.n - 1} : s;
}

static int add_total(struct builder *b, struct ap_str value, uint64_t n)
{
	uint32_t id;

	if (name_id(b, value, &id) < 0)
		return ap_question_no_memory(b->q);
	b->totals.p[id] += n;
	return 0;
}

static int take_totals(void *ctx, const struct ap_native_view *v)
{
	int r = 0;

	if (v->n_columns != 2)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows && r == 0; row++)
		r = add_total(ctx, ap_native_str(&v->columns[0], row),
			      ap_native_uint(&v->columns[1], row));
	return r;
}

static struct ap_str value_of(const struct builder *b, const struct ap_batch *batch,
			      const struct ap_sample *row)
{
	return b->label.n ? ap_batch_label(batch, row->labels, b->label) : AP_STR("");
}

static int total_row(void *ctx, size_t part, const struct ap_batch *batch,
		     const struct ap_sample *row)
{
	struct builder *b = ctx;

	return add_total(b, value_of(b, batch, row),
			 ap_range_number(&b->range, row->count, row->value));
}

static void label_sql(const struct builder *b, struct ap_buf *sql)
{
	if (b->label.n)
		ap_label_sql(b->label, sql);
	else
		ap_buf_puts(sql, "''");
}

static int collect_totals(struct builder *b)
{
	_cleanup_buf_ struct ap_buf columns = {0};
	struct ap_select what = {.group = AP_STR("v")};
	int r = 0;

	if (b->q->use_store) {
		label_sql(b, &columns);
		ap_buf_printf(&columns, " AS v, sum(%s)", ap_range_column(&b->range));
		what.columns = ap_buf_view(&columns);
		r = ap_buf_error(&columns)
			    ? ap_question_no_memory(b->q)
			    : ap_range_select(b->q, &b->range, &what, take_totals, b);
	}
	return r < 0 ? r : ap_range_rows(b->q, &b->range, total_row, b);
}

static int by_total(const void *a, const void *c, void *ctx)
{
	const struct builder *b = ctx;
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)c;

	if (b->totals.p[x] != b->totals.p[y])
		return b->totals.p[x] < b->totals.p[y] ? 1 : -1;
	return ap_str_cmp(name_of(b, x), name_of(b, y));
}

/* Ranks the values and lays out the answer. */
static int lay_out(struct builder *b, uint32_t top, struct ap_series *s)
{
	uint32_t n = ap_intern_count(b->names) - 1; /* id 0 is no value */
	_cleanup_free_ uint32_t *order = calloc(n + 1, sizeof(*order));

	b->rank = calloc(n + 1, sizeof(*b->rank));
	if (!order || !b->rank || (b->totals.n == 0 && ap_vec_push(&b->totals, 0) < 0))
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		order[i] = i + 1;
	qsort_r(order, n, sizeof(*order), by_total, b);
	s->n_rows = AP_MIN(n, top);
	s->n_other = n - s->n_rows;
	s->rows = ap_arena_zalloc(&s->arena, (s->n_rows + 1) * sizeof(*s->rows));
	b->rows = ap_arena_zalloc(&s->arena, (s->n_rows + 1) * sizeof(*b->rows));
	if (!s->rows || !b->rows)
		return -ENOMEM;
	for (uint32_t i = 0; i <= s->n_rows; i++) {
		b->rows[i] = ap_arena_zalloc(&s->arena, b->n_steps * sizeof(uint64_t));
		if (!b->rows[i])
			return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->n_rows; i++) {
		struct ap_str name = name_of(b, order[i]);

		b->rank[order[i]] = i + 1;
		s->rows[i].value = (struct ap_str){ap_arena_strdup(&s->arena, name), name.n};
		s->rows[i].values = b->rows[i + 1];
		if (!s->rows[i].value.p)
			return -ENOMEM;
	}
	if (s->n_other)
		s->other.values = b->rows[0];
	return 0;
}

static int add_value(struct builder *b, uint32_t second, uint32_t rank, uint64_t n)
{
	uint32_t step = (second - b->range.from) / b->step;

	if (step < b->n_steps) {
		b->rows[rank][step] += n;
		b->reported[step] = 1;
	}
	return 0;
}

struct taker {
	struct builder *b;
	uint32_t n_rows;
};

static int take_values(void *ctx, const struct ap_native_view *v)
{
	struct taker *t = ctx;

	if (v->n_columns != 3)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		uint64_t step = ap_native_uint(&v->columns[0], row);
		uint64_t rank = ap_native_uint(&v->columns[1], row);

		if (step >= t->b->n_steps || rank > t->n_rows)
			return -EBADMSG;
		add_value(t->b, t->b->range.from + (uint32_t)step * t->b->step, (uint32_t)rank,
			  ap_native_uint(&v->columns[2], row));
	}
	return 0;
}

static int value_row(void *ctx, size_t part, const struct ap_batch *batch,
		     const struct ap_sample *row)
{
	struct builder *b = ctx;
	uint32_t id;

	if (name_id(b, value_of(b, batch, row), &id) < 0)
		return ap_question_no_memory(b->q);
	return add_value(b, ap_store_second(row->time_ns), b->rank[id],
			 ap_range_number(&b->range, row->count, row->value));
}

static int collect_values(struct builder *b, const struct ap_series *s)
{
	_cleanup_buf_ struct ap_buf sql = {0};
	struct ap_select what = {.group = AP_STR("step, rank")};
	struct taker t = {b, s->n_rows};
	int r = 0;

	if (b->q->use_store && s->n_rows) {
		ap_buf_printf(&sql,
			      "toUInt64(intDiv(toUInt32(time) - %u, %u)) AS step, "
			      "CAST(transform(",
			      b->range.from, b->step);
		label_sql(b, &sql);
		ap_buf_puts(&sql, ", [");
		for (uint32_t i = 0; i < s->n_rows; i++) {
			ap_buf_puts(&sql, i ? ", " : "");
			ap_sql_quote(&sql, s->rows[i].value);
		}
		ap_buf_puts(&sql, "], [");
		for (uint32_t i = 0; i < s->n_rows; i++)
			ap_buf_printf(&sql, "%s%u", i ? ", " : "", i + 1);
		ap_buf_printf(&sql, "], 0) AS UInt64) AS rank, sum(%s)",
			      ap_range_column(&b->range));
		what.columns = ap_buf_view(&sql);
		r = ap_buf_error(&sql) ? ap_question_no_memory(b->q)
				       : ap_range_select(b->q, &b->range, &what, take_values, &t);
	}
	return r < 0 ? r : ap_range_rows(b->q, &b->range, value_row, b);
}

static void finish_row(const struct builder *b, struct ap_series_row *row, uint64_t *values)
{
	row->values = values;
	for (uint32_t i = 0; i < b->n_steps; i++) {
		row->total += values[i];
		if (!b->reported[i])
			values[i] = AP_SERIES_NONE;
	}
}

/* What the values are: totals, then steps. */
static int ask_values(struct ap_question *q, void *ctx)
{
	struct builder *b = ctx;
	int r = collect_totals(b);

	/* Without a label there is one series, be it of nothing but zeros. */
	if (r == 0 && !b->label.n)
		r = add_total(b, AP_STR(""), 0);
	if (r == 0 && lay_out(b, b->top, b->s) < 0)
		r = ap_question_no_memory(q);
	return r == 0 ? collect_values(b, b->s) : r;
}

/* What they rest on. */
static int ask_coverage(struct ap_question *q, void *ctx)
{
	struct builder *b = ctx;
	int r = ap_coverage_hosts(q, &b->range, b->coverage);

	if (r == 0)
		r = ap_coverage_reasons(q, &b->range, b->coverage);
	return r == 0 ? ap_steps_collect(q, &b->range,
					 &(struct ap_steps){b->step, b->n_steps, b->reported})
		      : r;
}

static int build(struct builder *b)
{
	struct ap_series *s = b->s;
	int r;

	b->names = ap_intern_new();
	b->reported = calloc(b->n_steps, 1);
	if (!b->names || !b->reported)
		return ap_question_no_memory(b->q);
	r = ap_question_both(b->q, ask_values, b, ask_coverage, b);
	for (uint32_t i = 0; r == 0 && i < s->n_rows; i++)
		finish_row(b, &s->rows[i], b->rows[i + 1]);
	if (r == 0 && s->n_other)
		finish_row(b, &s->other, b->rows[0]);
	return r;
}

static int check_step(const struct ap_query *q, int64_t *step_ms, struct ap_error *err)
{
	if (*step_ms == 0)
		*step_ms = ap_steps_round(q->to_ms - q->from_ms);
	if (*step_ms < 1000 || *step_ms % 1000)
		return ap_error_set(err, -EINVAL,
				    "a step is a whole number of seconds, at least 1 s");
	if ((q->to_ms - q->from_ms) / *step_ms >= AP_SERIES_STEPS_MAX)
		return ap_error_set(err, -EINVAL,
				    "the range has more than %d steps: take a longer step or a "
				    "shorter range",
				    AP_SERIES_STEPS_MAX);
	return 0;
}

int ap_series_ask(struct ap_query_engine *e, enum ap_query_kind kind, const struct ap_query *q,
		  struct ap_str label, int64_t step_ms, uint32_t top, struct ap_series **ret,
		  struct ap_coverage *ret_cov, struct ap_error *err)
{
	_cleanup_question_ struct ap_question question = {0};
	struct builder b = {.q = &question, .label = label, .range = ap_range_of(q)};
	struct ap_arena arena = AP_ARENA_INIT(512u << 20);
	struct ap_series *s;
	int r = check_step(q, &step_ms, err);

	if (r < 0)
		return r;
	s = ap_arena_zalloc(&arena, sizeof(*s));
	r = ap_question_begin(&question, e, kind, q, err);
	if (r == 0 && !s)
		r = ap_question_no_memory(&question);
	if (r == 0) {
		ap_range_need(&b.range, label);
		b.step = ap_range_step(&question, &b.range, (uint32_t)(step_ms / 1000));
		step_ms = b.step * 1000ll;
		s->arena = arena;
		s->step_ms = step_ms;
		s->from_ms = q->from_ms / step_ms * step_ms;
		s->to_ms = (q->to_ms + step_ms - 1) / step_ms * step_ms;
		s->n_steps = (uint32_t)((s->to_ms - s->from_ms) / step_ms);
		b.n_steps = s->n_steps;
		b.range.from = (uint32_t)(s->from_ms / 1000);
		b.range.to = (uint32_t)(s->to_ms / 1000);
		b.range.grain = b.step;
		ap_range_settle(&question, &b.range);
		b.s = s;
		b.top = AP_MIN(top ?: TOP_DEFAULT, (uint32_t)TOP_MAX);
		b.coverage = ret_cov;
		r = build(&b);
		arena = s->arena;
	}
	if (r == 0)
		*ret = s;
	else
		ap_arena_free(&arena);
	ap_intern_free(b.names);
	ap_vec_free(&b.totals);
	free(b.rank);
	free(b.reported);
	return r;
}

int ap_query_series(struct ap_query_engine *e, const struct ap_query *q, struct ap_str label,
		    int64_t step_ms, uint32_t top, struct ap_series **ret,
		    struct ap_coverage *ret_cov, struct ap_error *err)
{
	return ap_series_ask(e, AP_QUERY_SERIES, q, label, step_ms, top, ret, ret_cov, err);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Which labels there are, what values they have, which events have data. */
#include "aggregator/query/internal.h"
#include "aggregator/store/schema.h"

enum { VALUES_DEFAULT = 1000 };

void ap_label_values_free(struct ap_label_values *v)
{
	struct ap_arena arena;

	if (!v)
		return;
	arena = v->arena; /* `v` lies in it */
	ap_arena_free(&arena);
}

/* Samples by text. */
struct tally {
	struct ap_question *q;
	struct ap_intern *names; /* with a leading byte, since "" counts too */
	AP_VEC(uint64_t) counts; /* by name id */
	struct ap_str label;
};

static int count(struct tally *t, struct ap_str name, uint64_t n)
{
	_cleanup_buf_ struct ap_buf key = {0};
	uint32_t id;

	ap_buf_byte(&key, 'v');
	ap_buf_str(&key, name);
	if (ap_buf_error(&key) || ap_intern_add(t->names, ap_buf_view(&key), &id, NULL) < 0)
		return ap_question_no_memory(t->q);
	while (t->counts.n <= id)
		if (ap_vec_push(&t->counts, 0) < 0)
			return ap_question_no_memory(t->q);
	t->counts.p[id] += n;
	return 0;
}

static int take_counts(void *ctx, const struct ap_native_view *v)
{
	int r = 0;

	if (v->n_columns != 2)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows && r == 0; row++)
		r = count(ctx, ap_native_str(&v->columns[0], row),
			  ap_native_uint(&v->columns[1], row));
	return r;
}

static int begin(struct tally *t, struct ap_query_engine *e, const struct ap_query *q,
		 struct ap_range *range, struct ap_coverage *c, struct ap_error *err)
{
	int r = ap_question_begin(t->q, e, AP_QUERY_LABELS, q, err);

	if (r < 0)
		return r;
	/* Without a label, all of them are asked for: as exactly as what is kept tells them apart. */
	if (t->label.n)
		ap_range_need(range, t->label);
	else
		range->fine |= ap_range_has_raw(t->q, range);
	ap_range_settle(t->q, range);
	t->names = ap_intern_new();
	if (!t->names || ap_vec_push(&t->counts, 0) < 0)
		return ap_question_no_memory(t->q);
	r = ap_coverage_hosts(t->q, range, c);
	return r < 0 ? r : ap_coverage_reasons(t->q, range, c);
}

static void end(struct tally *t)
{
	ap_intern_free(t->names);
	ap_vec_free(&t->counts);
	ap_question_end(t->q);
}

static int by_samples(const void *a, const void *b)
{
	const struct ap_label_value *x = a, *y = b;

	if (x->samples != y->samples)
		return x->samples < y->samples ? 1 : -1;
	return ap_str_cmp(x->value, y->value);
}

static int own_columns_first(const void *a, const void *b)
{
	const struct ap_label_value *x = a, *y = b;
	int i = ap_schema_label_find(x->value), k = ap_schema_label_find(y->value);

	if (i >= 0 && k >= 0)
		return i - k;
	if (i >= 0 || k >= 0)
		return i >= 0 ? -1 : 1;
	return ap_str_cmp(x->value, y->value);
}

/* Copies the tally, sorted and cut at `limit`. */
static int give(struct tally *t, int (*order)(const void *, const void *), uint32_t limit,
		struct ap_label_values **ret, struct ap_coverage *c)
{
	struct ap_arena arena = AP_ARENA_INIT(t->q->e->o.max_memory);
	struct ap_label_values *v = ap_arena_zalloc(&arena, sizeof(*v));
	uint32_t n = 0;

	if (!v)
		return ap_question_no_memory(t->q);
	v->rows = ap_arena_alloc(&arena, t->counts.n * sizeof(*v->rows));
	for (uint32_t id = 1; v->rows && id < t->counts.n; id++) {
		struct ap_str s = ap_intern_get(t->names, id);

		if (t->counts.p[id] == 0)
			continue;
		s = (struct ap_str){s.p + 1, s.n - 1};
		v->rows[n].value = (struct ap_str){ap_arena_strdup(&arena, s), s.n};
		v->rows[n].samples = t->counts.p[id];
		if (!v->rows[n++].value.p)
			v->rows = NULL;
	}
	if (!v->rows) {
		ap_arena_free(&arena);
		return ap_question_no_memory(t->q);
	}
	qsort(v->rows, n, sizeof(*v->rows), order);
	v->n = limit ? AP_MIN(n, limit) : n;
	if (v->n < n) {
		c->truncated = "values";
		c->cut = n - v->n;
	}
	v->arena = arena;
	*ret = v;
	return 0;
}

static int name_row(void *ctx, size_t part, const struct ap_batch *b, const struct ap_sample *row)
{
	struct tally *t = ctx;
	struct ap_label_set l = ap_profile_get_labels(b->profile, row->labels);
	int r = 0;

	for (int i = 0; i < AP_LABEL_COLUMNS && r == 0; i++) {
		struct ap_str name = ap_str_of(ap_schema_labels[i]);

		if (ap_batch_label(b, row->labels, name).n)
			r = count(t, name, row->count);
	}
	for (uint32_t i = 0; i < l.n && r == 0; i++) {
		struct ap_str key = ap_profile_str(b->profile, l.labels[i].key);

		if (ap_schema_label_find(key) < 0 &&
		    ap_profile_str(b->profile, l.labels[i].value).n)
			r = count(t, key, row->count);
	}
	return r;
}

static int take_columns(void *ctx, const struct ap_native_view *v)
{
	int r = 0;

	if (v->n_columns != AP_LABEL_COLUMNS)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++)
		for (uint32_t i = 0; i < AP_LABEL_COLUMNS && r == 0; i++)
			r = count(ctx, ap_str_of(ap_schema_labels[i]),
				  ap_native_uint(&v->columns[i], row));
	return r;
}

static int stored_names(struct tally *t, const struct ap_range *range)
{
	const struct ap_select users = {.columns = AP_STR("arrayJoin(label_keys) AS k, sum(count)"),
					.group = AP_STR("k")};
	_cleanup_buf_ struct ap_buf columns = {0};
	struct ap_select own = {.group = AP_STR("event")};
	int r;

	for (int i = 0; i < AP_LABEL_COLUMNS; i++) {
		const char *label = ap_schema_labels[i];

		if (!range->fine && !ap_rollup_keeps_label(ap_str_of(label)))
			label = "''";
		ap_buf_printf(&columns, "%ssumIf(count, %s != '')", i ? ", " : "", label);
	}
	own.columns = ap_buf_view(&columns);
	r = ap_buf_error(&columns) ? ap_question_no_memory(t->q)
				   : ap_range_select(t->q, range, &own, take_columns, t);
	return r < 0 ? r : ap_range_select(t->q, range, &users, take_counts, t);
}

int ap_query_label_names(struct ap_query_engine *e, const struct ap_query *q,
			 struct ap_label_values **ret, struct ap_coverage *ret_cov,
			 struct ap_error *err)
{
	struct ap_question question = {0};
	struct ap_range range = ap_range_of(q);
	struct tally t = {.q = &question};
	int r = begin(&t, e, q, &range, ret_cov, err);

	if (r == 0 && question.use_store)
		r = stored_names(&t, &range);
	if (r == 0)
		r = ap_range_rows(&question, &range, name_row, &t);
	if (r == 0)
		r = give(&t, own_columns_first, 0, ret, ret_cov);
	end(&t);
	return r;
}

static int value_row(void *ctx, size_t part, const struct ap_batch *b, const struct ap_sample *row)
{
	struct tally *t = ctx;

	return count(t, ap_batch_label(b, row->labels, t->label), row->count);
}

int ap_query_label_values(struct ap_query_engine *e, const struct ap_query *q, struct ap_str label,
			  uint32_t limit, struct ap_label_values **ret, struct ap_coverage *ret_cov,
			  struct ap_error *err)
{
	struct ap_question question = {0};
	struct ap_range range = ap_range_of(q);
	struct tally t = {.q = &question, .label = label};
	_cleanup_buf_ struct ap_buf columns = {0};
	struct ap_select what = {.group = AP_STR("v")};
	int r;

	if (!ap_label_name_ok(label))
		return ap_error_set(err, -EINVAL, "\"%.*s\" is not a label's name",
				    (int)AP_MIN(label.n, (size_t)100), label.p);
	r = begin(&t, e, q, &range, ret_cov, err);
	if (r == 0 && question.use_store) {
		ap_label_sql(label, &columns);
		ap_buf_puts(&columns, " AS v, sum(count)");
		what.columns = ap_buf_view(&columns);
		r = ap_buf_error(&columns)
			    ? ap_question_no_memory(&question)
			    : ap_range_select(&question, &range, &what, take_counts, &t);
	}
	if (r == 0)
		r = ap_range_rows(&question, &range, value_row, &t);
	if (r == 0)
		r = give(&t, by_samples, limit ?: VALUES_DEFAULT, ret, ret_cov);
	end(&t);
	return r;
}

static int take_events(void *ctx, const struct ap_native_view *v)
{
	uint32_t *events = ctx;

	for (size_t row = 0; v->n_columns && row < v->rows; row++)
		*events |= 1u << (ap_native_uint(&v->columns[0], row) & 31);
	return 0;
}

static int event_row(void *ctx, size_t part, const struct ap_batch *b, const struct ap_sample *row)
{
	*(uint32_t *)ctx |= 1u << (row->event & 31);
	return 0;
}

int ap_query_events(struct ap_query_engine *e, const struct ap_query *q, uint32_t *ret_events,
		    struct ap_error *err)
{
	_cleanup_question_ struct ap_question question = {0};
	struct ap_range range = ap_range_of(q);
	const struct ap_select what = {.columns = AP_STR("event"), .group = AP_STR("event")};
	uint32_t events = 0;
	int r = ap_question_begin(&question, e, AP_QUERY_LABELS, q, err);

	range.events = 0;
	if (r == 0)
		ap_range_settle(&question, &range);
	if (r == 0 && question.use_store)
		r = ap_range_select(&question, &range, &what, take_events, &events);
	if (r == 0)
		r = ap_range_rows(&question, &range, event_row, &events);
	if (r == 0)
		*ret_events = events;
	return r;
}

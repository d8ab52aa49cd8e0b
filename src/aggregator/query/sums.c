/* SPDX-License-Identifier: Apache-2.0 */
/* Sums by stack: the one thing that flame graphs, tables, comparisons and exports are made of. The
 * store sums its rows, the buffer's rows are added here; resolve.c sees to the names. */
#include "aggregator/query/internal.h"
#include "base/clock.h"

void ap_sums_free(struct ap_sums *s)
{
	ap_vec_free(&s->v);
	ap_idmap_free(&s->index);
	ap_intern_free(s->groups);
	*s = (struct ap_sums){0};
}

struct collector {
	struct ap_question *q;
	struct ap_sums *sums;
	const char *const *labels;
	uint32_t n_labels;
	struct ap_buf key;
};

static int group_of(struct collector *c, const struct ap_str *values, uint32_t *ret)
{
	*ret = 0;
	if (c->n_labels == 0)
		return 0;
	ap_buf_clear(&c->key);
	for (uint32_t i = 0; i < c->n_labels; i++) {
		uint32_t n = (uint32_t)values[i].n;

		ap_buf_append(&c->key, &n, sizeof(n));
		ap_buf_str(&c->key, values[i]);
	}
	if (ap_buf_error(&c->key))
		return -ENOMEM;
	return ap_intern_add(c->sums->groups, ap_buf_view(&c->key), ret, NULL);
}

struct ap_str ap_sums_label(const struct ap_sums *s, uint32_t group, uint32_t i)
{
	struct ap_str key = s->groups ? ap_intern_get(s->groups, group) : AP_STR("");
	size_t at = 0;
	uint32_t n = 0;

	do {
		at += n;
		if (!ap_range_ok(at, sizeof(n), key.n))
			return AP_STR("");
		memcpy(&n, key.p + at, sizeof(n));
		at += sizeof(n);
	} while (i-- > 0);
	return ap_range_ok(at, n, key.n) ? (struct ap_str){key.p + at, n} : AP_STR("");
}

static int put(struct collector *c, const struct ap_stack_sum *sum)
{
	struct ap_sums *s = c->sums;
	int r = s->v.n * sizeof(*s->v.p) < c->q->e->o.max_memory ? ap_vec_push(&s->v, *sum)
								 : -ENOMEM;

	return r < 0 ? ap_question_no_memory(c->q) : 0;
}

static int add(struct collector *c, const struct ap_stack_sum *sum)
{
	struct ap_sums *s = c->sums;
	uint64_t key = sum->id ^ ((uint64_t)sum->group * 0xd6e8feb86659fd93ull);
	int r = ap_idmap_add(&s->index, key, (uint32_t)s->v.n);

	if (r > 0)
		return put(c, sum);
	if (r == 0) {
		struct ap_stack_sum *there = &s->v.p[*ap_idmap_find(&s->index, key)];

		there->count += sum->count;
		there->value += sum->value;
	}
	return r < 0 ? ap_question_no_memory(c->q) : 0;
}

static int take_sums(void *ctx, const struct ap_native_view *v)
{
	struct collector *c = ctx;
	struct ap_str values[AP_SUMS_LABELS_MAX];
	uint32_t n = c->n_labels;

	if (v->n_columns != n + 3)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		struct ap_stack_sum sum = {
			.id = ap_native_uint(&v->columns[n], row),
			.count = ap_native_uint(&v->columns[n + 1], row),
			.value = ap_native_uint(&v->columns[n + 2], row),
		};
		int r;

		for (uint32_t i = 0; i < n; i++)
			values[i] = ap_native_str(&v->columns[i], row);
		r = group_of(c, values, &sum.group);
		/* The store has summed up; to look each one up again would cost more than all else here. */
		if (r == 0)
			r = n ? add(c, &sum) : put(c, &sum);
		if (r < 0)
			return r;
	}
	return 0;
}

static int take_row(void *ctx, size_t part, const struct ap_batch *b, const struct ap_sample *row)
{
	struct collector *c = ctx;
	const struct ap_identity *id = ap_question_identity(c->q, part);
	struct ap_stack_sum sum = {.count = row->count, .value = row->value};
	struct ap_str values[AP_SUMS_LABELS_MAX];
	int r;

	if (!id)
		return ap_question_no_memory(c->q);
	for (uint32_t i = 0; i < c->n_labels; i++)
		values[i] = c->labels[i] ? ap_batch_label(b, row->labels, ap_str_of(c->labels[i]))
					 : AP_STR("");
	sum.id = id->stacks[row->stack];
	r = group_of(c, values, &sum.group);
	return r < 0 ? r : add(c, &sum);
}

static void label_sql(const char *label, struct ap_buf *sql)
{
	if (label)
		ap_label_sql(ap_str_of(label), sql);
	else
		ap_buf_puts(sql, "''");
}

int ap_sums_collect(struct ap_question *q, const struct ap_range *r, const char *const *labels,
		    uint32_t n_labels, struct ap_sums *ret)
{
	struct collector c = {.q = q, .sums = ret, .labels = labels, .n_labels = n_labels};
	_cleanup_buf_ struct ap_buf columns = {0}, by = {0};
	struct ap_select what = {0};
	int m = 0;

	*ret = (struct ap_sums){0};
	if (n_labels) {
		ret->groups = ap_intern_new();
		if (!ret->groups)
			return ap_question_no_memory(q);
	}
	for (uint32_t i = 0; i < n_labels; i++) {
		label_sql(labels[i], &by);
		ap_buf_puts(&by, ", ");
	}
	ap_buf_puts(&by, "stack");
	if (q->use_store) {
		what.group = ap_buf_view(&by);
		ap_buf_printf(&columns, "%.*s, sum(count), sum(value)", AP_STR_ARG(what.group));
		what.columns = ap_buf_view(&columns);
		m = ap_buf_error(&columns) ? ap_question_no_memory(q)
					   : ap_range_select(q, r, &what, take_sums, &c);
	}
	if (m == 0)
		m = ap_range_rows(q, r, take_row, &c);
	ap_buf_free(&c.key);
	return m;
}

struct ap_sample *ap_sums_rows(const struct ap_sums *s, const struct ap_range *r)
{
	struct ap_sample *rows = calloc(s->v.n + 1, sizeof(*rows));

	for (size_t i = 0; rows && i < s->v.n; i++)
		rows[i] = (struct ap_sample){
			.time_ns = (int64_t)r->from * (int64_t)AP_NSEC_PER_SEC,
			.count = s->v.p[i].count,
			.value = s->v.p[i].value,
			.stack = s->v.p[i].stack,
			.event = (uint32_t)__builtin_ctz(r->events | 1u << 31),
		};
	return rows;
}

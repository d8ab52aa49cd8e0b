/* SPDX-License-Identifier: Apache-2.0 */
/* Sums by stack: the one thing that flame graphs, tables, comparisons and exports are made of. The
 * store sums its rows, the buffer's rows are added here, and names come from the dictionary. */
#include "aggregator/query/internal.h"
#include "base/clock.h"

enum {
	LABELS_MAX = 3,
	IDS_IN_SQL = 8000, /* fits the engine's default bound on a statement's text */
};

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

static int add(struct collector *c, const struct ap_stack_sum *sum)
{
	struct ap_sums *s = c->sums;
	uint64_t key = sum->id ^ ((uint64_t)sum->group * 0xd6e8feb86659fd93ull);
	int r = ap_idmap_add(&s->index, key, (uint32_t)s->v.n);

	if (r > 0)
		r = ap_vec_push(&s->v, *sum);
	else if (r == 0) {
		struct ap_stack_sum *there = &s->v.p[*ap_idmap_find(&s->index, key)];

		there->count += sum->count;
		there->value += sum->value;
	}
	return r < 0 ? ap_question_no_memory(c->q) : 0;
}

static int take_sums(void *ctx, const struct ap_native_view *v)
{
	struct collector *c = ctx;
	struct ap_str values[LABELS_MAX];
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
		if (r == 0)
			r = add(c, &sum);
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
	struct ap_str values[LABELS_MAX];
	int r;

	if (!id)
		return ap_question_no_memory(c->q);
	for (uint32_t i = 0; i < c->n_labels; i++)
		values[i] = ap_batch_label(b, row->labels, ap_str_of(c->labels[i]));
	sum.id = id->stacks[row->stack];
	r = group_of(c, values, &sum.group);
	return r < 0 ? r : add(c, &sum);
}

int ap_sums_collect(struct ap_question *q, const struct ap_range *r, const char *const *labels,
		    uint32_t n_labels, struct ap_sums *ret)
{
	struct collector c = {.q = q, .sums = ret, .labels = labels, .n_labels = n_labels};
	_cleanup_buf_ struct ap_buf sql = {0}, by = {0};
	int m = 0;

	*ret = (struct ap_sums){0};
	if (n_labels) {
		ret->groups = ap_intern_new();
		if (!ret->groups)
			return ap_question_no_memory(q);
	}
	for (uint32_t i = 0; i < n_labels; i++) {
		ap_label_sql(ap_str_of(labels[i]), &by);
		ap_buf_puts(&by, ", ");
	}
	ap_buf_puts(&by, "stack");
	if (q->use_store) {
		ap_buf_printf(&sql, "SELECT %.*s, sum(count), sum(value) FROM aperture.samples",
			      (int)by.n, (const char *)by.p);
		ap_range_sql(q, r, &sql);
		ap_buf_printf(&sql, " GROUP BY %.*s", (int)by.n, (const char *)by.p);
		m = ap_question_select(q, &sql, take_sums, &c);
	}
	if (m == 0)
		m = ap_range_rows(q, r, take_row, &c);
	ap_buf_free(&c.key);
	return m;
}

struct found_stack {
	uint64_t id;
	size_t from; /* in the resolver's path */
	uint32_t n;
	uint16_t reason;
};

/* Ids that the dictionary lacks, and the stacks that the store gave for them. */
struct resolver {
	struct ap_question *q;
	const struct ap_range *r;
	AP_VEC(uint64_t) stacks, frames; /* wanted */
	struct ap_idmap wanted_stacks, wanted_frames;
	AP_VEC(struct found_stack) found;
	AP_VEC(uint64_t) path; /* of the found, one after another */
};

static void resolver_free(struct resolver *s)
{
	ap_vec_free(&s->stacks);
	ap_vec_free(&s->frames);
	ap_idmap_free(&s->wanted_stacks);
	ap_idmap_free(&s->wanted_frames);
	ap_vec_free(&s->found);
	ap_vec_free(&s->path);
}

/* Buffered stacks go into the dictionary as they are; the others are wanted from the store. */
static int add_buffered(struct resolver *s)
{
	struct ap_question *q = s->q;
	struct ap_dictionary *d = q->dictionary;
	int r = 0;

	if (q->parts.n == 0)
		return 0;
	pthread_rwlock_wrlock(&d->lock);
	for (size_t i = 0; i < q->parts.n && r == 0; i++) {
		const struct ap_profile *p = q->parts.p[i]->profile;
		const struct ap_identity *id = q->identities[i];

		if (!id || (i && id == q->identities[i - 1]))
			continue;
		for (uint32_t k = 0; k < ap_intern_count(p->stacks) && r == 0; k++)
			r = ap_dictionary_add_stack(d, p, id, k);
	}
	pthread_rwlock_unlock(&d->lock);
	return r;
}

static int want_stacks(struct resolver *s, const struct ap_sums *sums)
{
	struct ap_dictionary *d = s->q->dictionary;
	int r = 0;

	pthread_rwlock_rdlock(&d->lock);
	for (size_t i = 0; i < sums->v.n && r >= 0; i++) {
		uint64_t id = sums->v.p[i].id;

		if (ap_idmap_find(&d->stacks, id))
			continue;
		r = ap_idmap_add(&s->wanted_stacks, id, 0);
		if (r > 0)
			r = ap_vec_push(&s->stacks, id);
	}
	pthread_rwlock_unlock(&d->lock);
	return r < 0 ? r : 0;
}

static int take_stacks(void *ctx, const struct ap_native_view *v)
{
	struct resolver *s = ctx;

	if (v->n_columns != 3)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows; row++) {
		uint64_t id = ap_native_uint(&v->columns[0], row);
		uint32_t *wanted = ap_idmap_find(&s->wanted_stacks, id);
		struct found_stack st;
		size_t from, to;

		if (!wanted || *wanted) /* asked for all, or stored twice */
			continue;
		*wanted = 1;
		ap_native_array(&v->columns[1], row, &from, &to);
		st = (struct found_stack){id, s->path.n, (uint32_t)(to - from),
					  (uint16_t)ap_native_uint(&v->columns[2], row)};
		if (ap_vec_push(&s->found, st) < 0 || ap_vec_reserve(&s->path, to - from) < 0)
			return ap_question_no_memory(s->q);
		for (size_t i = from; i < to; i++)
			s->path.p[s->path.n++] = ap_native_uint(v->columns[1].items, i);
	}
	return 0;
}

static int want_frames(struct resolver *s)
{
	struct ap_dictionary *d = s->q->dictionary;
	int r = 0;

	pthread_rwlock_rdlock(&d->lock);
	for (size_t i = 0; i < s->path.n && r >= 0; i++) {
		uint64_t id = s->path.p[i];

		if (ap_idmap_find(&d->frames, id))
			continue;
		r = ap_idmap_add(&s->wanted_frames, id, 0);
		if (r > 0)
			r = ap_vec_push(&s->frames, id);
	}
	pthread_rwlock_unlock(&d->lock);
	return r < 0 ? r : 0;
}

static int take_frames(void *ctx, const struct ap_native_view *v)
{
	struct resolver *s = ctx;
	struct ap_dictionary *d = s->q->dictionary;
	int r;

	pthread_rwlock_wrlock(&d->lock);
	r = ap_dictionary_add_frames(d, v);
	pthread_rwlock_unlock(&d->lock);
	return r;
}

/* SELECT … of rows by id, of the days that the range touches. Few ids are named; where there are
 * many, all rows of those days are read, which is one pass instead of many. */
static int select_ids(struct resolver *s, const char *columns, const char *order,
		      const uint64_t *ids, size_t n, ap_store_block_fn fn)
{
	_cleanup_buf_ struct ap_buf sql = {0};

	if (n == 0)
		return 0;
	ap_buf_printf(&sql, "SELECT %s WHERE day >= toDate(%u) AND day <= toDate(%u)", columns,
		      s->r->from / 86400, s->r->to / 86400);
	if (n <= IDS_IN_SQL) {
		ap_buf_puts(&sql, " AND id IN (");
		for (size_t i = 0; i < n; i++)
			ap_buf_printf(&sql, "%s%llu", i ? "," : "", (unsigned long long)ids[i]);
		ap_buf_puts(&sql, ")");
	}
	ap_buf_puts(&sql, order);
	return ap_question_select(s->q, &sql, fn, s);
}

static int add_found(struct resolver *s)
{
	struct ap_dictionary *d = s->q->dictionary;
	int r = 0;

	if (s->found.n == 0)
		return 0;
	pthread_rwlock_wrlock(&d->lock);
	AP_VEC_FOREACH(&s->found, st)
		if (r == 0)
			r = ap_dictionary_add_ids(d, st->id, s->path.p + st->from, st->n,
						  st->reason);
	pthread_rwlock_unlock(&d->lock);
	return r;
}

static int load(struct resolver *s)
{
	int r;

	r = select_ids(s, "id, frames, reason FROM aperture.stacks", "", s->stacks.p, s->stacks.n,
		       take_stacks);
	if (r == 0)
		r = want_frames(s);
	/* A frame stored twice may have been without a symbol at first: the named one goes first. */
	if (r == 0)
		r = select_ids(
			s,
			"id, function, system_name, file, start_line, line, module, build_id, "
			"offset, inline_index, kind FROM aperture.frames",
			" ORDER BY empty(function)", s->frames.p, s->frames.n, take_frames);
	return r == 0 ? add_found(s) : r;
}

int ap_sums_resolve(struct ap_question *q, const struct ap_range *r, struct ap_sums *sums,
		    uint64_t *ret_missing)
{
	struct resolver s = {.q = q, .r = r};
	struct ap_dictionary *d = q->dictionary;
	int m;

	*ret_missing = 0;
	m = add_buffered(&s);
	if (m == 0)
		m = want_stacks(&s, sums);
	if (m == 0 && q->use_store)
		m = load(&s);
	resolver_free(&s);
	if (m == -ENOMEM)
		return ap_question_no_memory(q);
	if (m < 0)
		return m;
	pthread_rwlock_rdlock(&d->lock);
	for (size_t i = 0; i < sums->v.n; i++) {
		const uint32_t *stack = ap_idmap_find(&d->stacks, sums->v.p[i].id);

		sums->v.p[i].stack = stack ? *stack : 0;
		*ret_missing += stack == NULL;
	}
	pthread_rwlock_unlock(&d->lock);
	return 0;
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
			.event = (uint32_t)r->event,
		};
	return rows;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Modules whose frames have no symbols, by what they hide. */
#include "aggregator/query/internal.h"

void ap_modules_free(struct ap_modules *m)
{
	struct ap_arena arena;

	if (!m)
		return;
	arena = m->arena; /* `m` lies in it */
	ap_arena_free(&arena);
}

struct ranking {
	const struct ap_profile *p;
	AP_VEC(struct ap_module) rows; /* their text is the dictionary's */
	struct ap_intern *keys;	       /* build-id, else '/' and the path; id - 1 is the row */
	uint32_t *row_of;	       /* by mapping: row + 1; 0 = not asked yet */
	bool *seen;		       /* by frame */
	AP_VEC(size_t) last;	       /* by row: 1 + the stack that was added to it last */
	uint64_t total;
};

static void ranking_free(struct ranking *r)
{
	ap_vec_free(&r->rows);
	ap_vec_free(&r->last);
	ap_intern_free(r->keys);
	free(r->row_of);
	free(r->seen);
}

static int add_module(struct ranking *r, const struct ap_frame *f, uint32_t *ret_row)
{
	const struct ap_mapping *m = ap_profile_get_mapping(r->p, f->mapping);
	struct ap_module row = {.path = ap_profile_str(r->p, m->path),
				.build_id = ap_profile_str(r->p, m->build_id),
				.kind = f->kind};
	_cleanup_buf_ struct ap_buf key = {0};
	uint32_t id;
	bool is_new;
	int e;

	if (row.build_id.n) {
		ap_buf_str(&key, row.build_id);
	} else {
		ap_buf_byte(&key, '/'); /* no build-id begins so */
		ap_buf_str(&key, row.path);
	}
	if (ap_buf_error(&key))
		return -ENOMEM;
	e = ap_intern_add(r->keys, ap_buf_view(&key), &id, &is_new);
	if (e == 0 && is_new)
		e = ap_vec_push(&r->rows, row);
	if (e == 0 && is_new)
		e = ap_vec_push(&r->last, 0);
	if (e == 0)
		*ret_row = r->row_of[f->mapping] = id;
	return e;
}

/* A stack's value, `number` the stack's own; under the dictionary's lock. */
static int add_stack(struct ranking *r, size_t number, uint32_t stack, uint64_t value)
{
	struct ap_stack st = ap_profile_get_stack(r->p, stack);

	r->total += value;
	for (uint32_t i = 0; i < st.n; i++) {
		const struct ap_frame *f = ap_profile_get_frame(r->p, st.frames[i]);
		uint32_t row = r->row_of[f->mapping];
		struct ap_module *m;

		if (f->function || st.frames[i] == 0)
			continue;
		if (!row && add_module(r, f, &row) < 0)
			return -ENOMEM;
		m = &r->rows.p[row - 1];
		if (r->last.p[row - 1] != number + 1)
			m->total += value;
		r->last.p[row - 1] = number + 1;
		if (i == st.n - 1)
			m->self += value;
		m->frames += !r->seen[st.frames[i]];
		r->seen[st.frames[i]] = true;
	}
	return 0;
}

static int by_total(const void *a, const void *b)
{
	const struct ap_module *x = a, *y = b;

	if (x->total != y->total)
		return x->total < y->total ? 1 : -1;
	if (x->self != y->self)
		return x->self < y->self ? 1 : -1;
	return ap_str_cmp(x->path, y->path);
}

/* Copies the first `limit` rows out of the dictionary. */
static int give(const struct ranking *r, uint32_t limit, struct ap_modules **ret)
{
	struct ap_arena arena = AP_ARENA_INIT(64u << 20);
	struct ap_modules *m = ap_arena_zalloc(&arena, sizeof(*m));
	uint32_t n = (uint32_t)r->rows.n;

	if (limit && n > limit)
		n = limit;
	if (m)
		m->rows = ap_arena_zalloc(&arena, (n + 1) * sizeof(*m->rows));
	if (!m || !m->rows) {
		ap_arena_free(&arena);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		struct ap_module *row = &m->rows[i];

		*row = r->rows.p[i];
		row->path.p = ap_arena_strdup(&arena, row->path);
		row->build_id.p = ap_arena_strdup(&arena, row->build_id);
		if (!row->path.p || !row->build_id.p) {
			ap_arena_free(&arena);
			return -ENOMEM;
		}
	}
	m->n = n;
	m->n_modules = (uint32_t)r->rows.n;
	m->total = r->total;
	m->arena = arena;
	*ret = m;
	return 0;
}

static int rank(struct ap_question *q, const struct ap_range *range, const struct ap_sums *sums,
		uint32_t limit, struct ap_modules **ret)
{
	struct ap_dictionary *d = q->dictionary;
	struct ranking r = {.p = d->p, .keys = ap_intern_new()};
	int e = -ENOMEM;

	pthread_rwlock_rdlock(&d->lock);
	r.row_of = calloc(ap_intern_count(d->p->mappings), sizeof(*r.row_of));
	r.seen = calloc(ap_intern_count(d->p->frames), sizeof(*r.seen));
	if (r.keys && r.row_of && r.seen)
		e = 0;
	for (size_t i = 0; i < sums->v.n && e == 0; i++) {
		const struct ap_stack_sum *s = &sums->v.p[i];

		e = add_stack(&r, i, s->stack, ap_range_number(range, s->count, s->value));
	}
	if (e == 0 && r.rows.n)
		qsort(r.rows.p, r.rows.n, sizeof(*r.rows.p), by_total);
	if (e == 0)
		e = give(&r, limit, ret);
	pthread_rwlock_unlock(&d->lock);
	ranking_free(&r);
	return e < 0 ? ap_question_no_memory(q) : 0;
}

int ap_query_modules(struct ap_query_engine *e, const struct ap_query *of, uint32_t limit,
		     struct ap_modules **ret, struct ap_coverage *ret_cov, struct ap_error *err)
{
	_cleanup_question_ struct ap_question q = {0};
	_cleanup_sums_ struct ap_sums sums = {0};
	struct ap_range range = ap_range_of(of);
	uint64_t missing;
	int r = ap_question_begin(&q, e, AP_QUERY_MODULES, of, err);

	if (r == 0) {
		ap_range_settle(&q, &range);
		r = ap_coverage_hosts(&q, &range, ret_cov);
	}
	if (r == 0)
		r = ap_sums_collect(&q, &range, NULL, 0, &sums);
	if (r == 0)
		r = ap_sums_resolve(&q, &range, &sums, &missing);
	if (r < 0)
		return r;
	ap_coverage_sums(&q, &sums, ret_cov);
	r = rank(&q, &range, &sums, limit, ret);
	if (r == 0 && missing) {
		ret_cov->truncated = "stacks";
		ret_cov->cut = missing;
	} else if (r == 0 && (*ret)->n < (*ret)->n_modules) {
		ret_cov->truncated = "modules";
		ret_cov->cut = (*ret)->n_modules - (*ret)->n;
	}
	return r;
}

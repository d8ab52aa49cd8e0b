/* SPDX-License-Identifier: Apache-2.0 */
/* From content ids to names: what the dictionary lacks of the stacks of a question is added to it,
 * from the buffer as it is there, the rest from the store. */
#include "aggregator/query/internal.h"

enum { IDS_IN_SQL = 8000 }; /* fits the engine's default bound on a statement's text */

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
	AP_VEC(uint64_t) stacks; /* of those that were wanted, the ones not found yet */
	struct ap_idmap wanted_stacks;
	AP_VEC(struct found_stack) found;
	AP_VEC(uint32_t) path; /* of the found, one after another, as numbers in `met` */
	AP_VEC(uint64_t) met;  /* frames, each once: most are in many stacks */
	struct ap_idmap number_of;
	AP_VEC(uint64_t) frames; /* of those, the wanted ones */
};

typedef int (*add_fn)(struct ap_dictionary *d, const struct ap_profile *from,
		      const struct ap_identity *id, uint32_t stack);

static void resolver_free(struct resolver *s)
{
	ap_vec_free(&s->stacks);
	ap_idmap_free(&s->wanted_stacks);
	ap_vec_free(&s->found);
	ap_vec_free(&s->path);
	ap_vec_free(&s->met);
	ap_idmap_free(&s->number_of);
	ap_vec_free(&s->frames);
}

static int take_modules(void *ctx, const struct ap_native_view *v)
{
	struct resolver *s = ctx;
	struct ap_dictionary *d = s->q->dictionary;
	int r;

	pthread_rwlock_wrlock(&d->lock);
	r = ap_renaming_add_modules(&d->renaming, v);
	pthread_rwlock_unlock(&d->lock);
	return r;
}

/* Which modules have been renamed: asked once, since a dictionary ends when more are. Also where
 * the question leaves the store out: the dictionary is not its alone. */
static int know_modules(struct resolver *s)
{
	struct ap_dictionary *d = s->q->dictionary;
	_cleanup_buf_ struct ap_buf sql = {0};
	bool known;
	int r;

	pthread_rwlock_rdlock(&d->lock);
	known = d->renaming.modules_known;
	pthread_rwlock_unlock(&d->lock);
	if (known || !s->q->e->o.store)
		return 0;
	ap_buf_puts(&sql, "SELECT DISTINCT build_id FROM symbols");
	r = ap_question_select(s->q, &sql, take_modules, s);
	pthread_rwlock_wrlock(&d->lock);
	d->renaming.modules_known |= r == 0;
	pthread_rwlock_unlock(&d->lock);
	return r;
}

static int take_answers(void *ctx, const struct ap_native_view *v)
{
	struct resolver *s = ctx;
	struct ap_dictionary *d = s->q->dictionary;
	int r;

	pthread_rwlock_wrlock(&d->lock);
	r = ap_renaming_add(&d->renaming, d->p, v);
	pthread_rwlock_unlock(&d->lock);
	return r;
}

/* What was learned later of the frames that are in the dictionary by now. */
static int rename_frames(struct resolver *s)
{
	struct ap_dictionary *d = s->q->dictionary;
	_cleanup_buf_ struct ap_buf sql = {0};
	bool wanted;
	size_t n;
	int r;

	pthread_rwlock_rdlock(&d->lock);
	wanted = ap_renaming_sql(&d->renaming, d->p, &sql, &n);
	pthread_rwlock_unlock(&d->lock);
	if (!wanted)
		return 0;
	r = ap_question_select(s->q, &sql, take_answers, s);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&d->lock);
	ap_renaming_settle(&d->renaming, n);
	pthread_rwlock_unlock(&d->lock);
	return 0;
}

/* Buffered stacks go into the dictionary as they are; the others are wanted from the store. */
static int add_buffered(struct resolver *s, add_fn add)
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
			r = add(d, p, id, k);
	}
	pthread_rwlock_unlock(&d->lock);
	return r;
}

/* Sets the stacks that are known; 0, the empty stack, stands for the others, which are wanted. */
static int find_stacks(struct resolver *s, struct ap_sums *sums)
{
	struct ap_dictionary *d = s->q->dictionary;
	int r = 0;

	pthread_rwlock_rdlock(&d->lock);
	for (size_t i = 0; i < sums->v.n && r >= 0; i++) {
		struct ap_stack_sum *sum = &sums->v.p[i];
		const uint32_t *stack = ap_idmap_find(&d->stacks, sum->id);

		sum->stack = stack ? *stack : 0;
		if (stack)
			continue;
		r = ap_idmap_add(&s->wanted_stacks, sum->id, 0);
		if (r > 0)
			r = ap_vec_push(&s->stacks, sum->id);
	}
	pthread_rwlock_unlock(&d->lock);
	return r < 0 ? r : 0;
}

/* Sets those that were not known before. */
static void find_loaded(const struct resolver *s, struct ap_sums *sums)
{
	struct ap_dictionary *d = s->q->dictionary;

	if (s->wanted_stacks.n == 0)
		return;
	pthread_rwlock_rdlock(&d->lock);
	AP_VEC_FOREACH(&sums->v, sum) {
		const uint32_t *stack;

		if (sum->stack)
			continue;
		stack = ap_idmap_find(&d->stacks, sum->id);
		sum->stack = stack ? *stack : 0;
	}
	pthread_rwlock_unlock(&d->lock);
}

/* Appends a frame to the path. */
static int meet(struct resolver *s, uint64_t frame)
{
	const uint32_t *known = ap_idmap_find(&s->number_of, frame);
	uint32_t number = known ? *known : (uint32_t)s->met.n;
	int r = 0;

	if (!known) {
		r = ap_idmap_add(&s->number_of, frame, number);
		if (r > 0)
			r = ap_vec_push(&s->met, frame);
	}
	return r < 0 ? r : ap_vec_push(&s->path, number);
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
		if (ap_vec_push(&s->found, st) < 0)
			return ap_question_no_memory(s->q);
		for (size_t i = from; i < to; i++)
			if (meet(s, ap_native_uint(v->columns[1].items, i)) < 0)
				return ap_question_no_memory(s->q);
	}
	return 0;
}

static int want_frames(struct resolver *s)
{
	struct ap_dictionary *d = s->q->dictionary;
	int r = 0;

	pthread_rwlock_rdlock(&d->lock);
	for (size_t i = 0; i < s->met.n && r == 0; i++)
		if (!ap_idmap_find(&d->frames, s->met.p[i]))
			r = ap_vec_push(&s->frames, s->met.p[i]);
	pthread_rwlock_unlock(&d->lock);
	return r;
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

/* UTC days, inclusive, as days since 1970. */
struct days {
	uint32_t first, last;
};

/* SELECT … of rows by id, of some days. Few ids are named; where there are many, all rows of those
 * days are read, which is one pass instead of many. */
static int select_ids(struct resolver *s, const char *columns, const char *order, struct days days,
		      const uint64_t *ids, size_t n, ap_store_block_fn fn)
{
	_cleanup_buf_ struct ap_buf sql = {0};

	if (n == 0)
		return 0;
	ap_buf_printf(&sql, "SELECT %s WHERE day >= toDate(%u) AND day <= toDate(%u)", columns,
		      days.first, days.last);
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
	_cleanup_free_ uint32_t *frame_of = calloc(s->met.n + 1, sizeof(*frame_of));
	int r = frame_of ? 0 : -ENOMEM;

	if (s->found.n == 0 || r < 0)
		return r;
	pthread_rwlock_wrlock(&d->lock);
	for (size_t i = 0; i < s->met.n; i++)
		frame_of[i] = ap_dictionary_frame(d, s->met.p[i]);
	for (size_t i = 0; i < s->path.n; i++)
		s->path.p[i] = frame_of[s->path.p[i]];
	AP_VEC_FOREACH(&s->found, st)
		if (r == 0)
			r = ap_dictionary_add_path(d, st->id, s->path.p + st->from, st->n,
						   st->reason);
	pthread_rwlock_unlock(&d->lock);
	return r;
}

static int load_stacks(struct resolver *s, struct days days)
{
	size_t n = 0;
	int r;

	r = select_ids(s, "id, frames, reason FROM stacks", "", days, s->stacks.p, s->stacks.n,
		       take_stacks);
	for (size_t i = 0; i < s->stacks.n && r == 0; i++)
		if (!*ap_idmap_find(&s->wanted_stacks, s->stacks.p[i]))
			s->stacks.p[n++] = s->stacks.p[i];
	if (r == 0)
		s->stacks.n = n;
	return r;
}

static int load(struct resolver *s)
{
	struct days days = {s->r->from / 86400, (s->r->to - (s->r->to > s->r->from)) / 86400};
	int r;

	/* Most stacks of a long range are those of its last day too. */
	r = load_stacks(s, (struct days){days.last, days.last});
	if (r == 0 && days.first < days.last)
		r = load_stacks(s, (struct days){days.first, days.last - 1});
	if (r == 0)
		r = want_frames(s);
	/* A frame stored twice may have been without a symbol at first: the named one goes first. */
	if (r == 0)
		r = select_ids(
			s,
			"id, function, system_name, file, start_line, line, module, build_id, "
			"offset, inline_index, kind FROM frames",
			" ORDER BY empty(function)", days, s->frames.p, s->frames.n, take_frames);
	if (r == 0)
		r = rename_frames(s);
	return r == 0 ? add_found(s) : r;
}

int ap_sums_resolve(struct ap_question *q, const struct ap_range *r, struct ap_sums *sums,
		    uint64_t *ret_missing)
{
	struct resolver s = {.q = q, .r = r};
	int m;

	m = know_modules(&s);
	if (m == 0)
		m = add_buffered(&s, ap_dictionary_add_stack_frames);
	if (m == 0)
		m = rename_frames(&s);
	if (m == 0)
		m = add_buffered(&s, ap_dictionary_add_stack);
	if (m == 0)
		m = find_stacks(&s, sums);
	if (m == 0 && q->use_store)
		m = load(&s);
	if (m == 0)
		find_loaded(&s, sums);
	*ret_missing = s.stacks.n;
	resolver_free(&s);
	return m == -ENOMEM ? ap_question_no_memory(q) : m;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for locks: which they were for, and who blocked whom. One question gives both: sums by what
 * tells locks apart, then by the threads on both sides of a wait. A wait under the agent's threshold
 * has no lock, and is told apart. */
#include "aggregator/query/internal.h"
#include "profile/lock_kind.h"

enum { SERVICE, HOST, PID, LOCK, KIND, CALLER, DOMAIN, PLACE, WAITER, WAKER, ENDED, LABELS };

static const char *const labels[LABELS] = {
	[SERVICE] = "service", [HOST] = "host",	    [PID] = "pid",	 [LOCK] = "lock",
	[KIND] = "kind",       [CALLER] = "caller", [DOMAIN] = "domain", [PLACE] = "place",
	[WAITER] = "thread",   [WAKER] = "waker",   [ENDED] = "ended",
};

_Static_assert(LABELS <= (int)AP_SUMS_LABELS_MAX, "sums by all of them");

/* What tells locks apart. */
static const int lock_labels[] = {SERVICE, HOST, PID, LOCK, KIND, CALLER, DOMAIN};

void ap_locks_free(struct ap_locks *l)
{
	struct ap_arena arena;

	if (!l)
		return;
	arena = l->arena; /* `l` lies in it */
	ap_arena_free(&arena);
}

/* How long a function waited for a lock. */
struct place {
	uint32_t lock;	/* row */
	uint32_t frame; /* one of the function's */
	bool outside;	/* the primitive: a function to name, if it did not wait at all long */
	uint64_t ns;
};

struct builder {
	struct ap_question q;
	struct ap_range range;
	bool coarse; /* rollups are part of it: locks are told apart by place */
	struct ap_sums sums;
	uint64_t missing;
	struct ap_coverage *coverage;
	struct ap_intern *lock_keys, *pair_keys, *names; /* rows count from 1 */
	struct ap_intern *ended;			 /* locks that somebody has let go of */
	AP_VEC(struct ap_lock_row) rows;		 /* strings of the sums' groups */
	AP_VEC(struct ap_lock_pair) pairs;
	struct ap_idmap waiters, wakers; /* (row, name) */
	struct ap_idmap place_of;	 /* (row, function) */
	AP_VEC(struct place) places;
	struct ap_waits total, short_waits, not_contended;
	struct ap_buf key;
};

static void builder_free(struct builder *b)
{
	ap_sums_free(&b->sums);
	ap_intern_free(b->lock_keys);
	ap_intern_free(b->pair_keys);
	ap_intern_free(b->names);
	ap_intern_free(b->ended);
	ap_vec_free(&b->rows);
	ap_vec_free(&b->pairs);
	ap_idmap_free(&b->waiters);
	ap_idmap_free(&b->wakers);
	ap_idmap_free(&b->place_of);
	ap_vec_free(&b->places);
	ap_buf_free(&b->key);
	ap_question_end(&b->q);
}

/* Of locks of programs nothing is said. */
static bool is_kernel(struct ap_str domain)
{
	return ap_str_is(domain, "kernel");
}

static void add_waits(struct ap_waits *to, struct ap_waits w)
{
	to->count += w.count;
	to->ns += w.ns;
}

/* Some of a group's labels as one key: what differs in one of them differs. */
static int key_of(struct builder *b, const struct ap_str *values, const int *which, size_t n)
{
	ap_buf_clear(&b->key);
	for (size_t i = 0; i < n; i++) {
		uint32_t length = (uint32_t)values[which[i]].n;

		ap_buf_append(&b->key, &length, sizeof(length));
		ap_buf_str(&b->key, values[which[i]]);
	}
	return ap_buf_error(&b->key);
}

static int id_of(struct builder *b, struct ap_intern *in, const struct ap_str *values,
		 const int *which, size_t n, uint32_t *ret, bool *ret_new)
{
	if (key_of(b, values, which, n) < 0)
		return -ENOMEM;
	return ap_intern_add(in, ap_buf_view(&b->key), ret, ret_new);
}

static void read_labels(const struct builder *b, uint32_t group, struct ap_str v[LABELS])
{
	for (uint32_t i = 0; i < LABELS; i++)
		v[i] = ap_sums_label(&b->sums, group, i);
	if (b->coarse && ap_str_starts(v[LOCK], AP_STR("0x")))
		v[LOCK] = v[PLACE].n ? v[PLACE] : AP_STR("(some lock)");
}

static int note_ended(struct builder *b)
{
	struct ap_str v[LABELS];
	uint32_t id;
	int r = 0;

	AP_VEC_FOREACH(&b->sums.v, sum) {
		read_labels(b, sum->group, v);
		if (r == 0 && (v[WAKER].n || ap_str_is(v[ENDED], "woken")))
			r = id_of(b, b->ended, v, lock_labels, AP_ARRAY_SIZE(lock_labels), &id,
				  NULL);
	}
	return r;
}

static bool is_contended(struct builder *b, const struct ap_str *v)
{
	uint32_t id;

	if (is_kernel(v[DOMAIN]) || !ap_lock_may_be_for_work(v[KIND]))
		return ap_lock_is_contention(v[KIND]);
	return key_of(b, v, lock_labels, AP_ARRAY_SIZE(lock_labels)) < 0 ||
	       ap_intern_find(b->ended, ap_buf_view(&b->key), &id) == 0;
}

/* Counts a thread's name once for each lock. */
static int count_name(struct builder *b, struct ap_idmap *seen, uint32_t row, struct ap_str name,
		      uint32_t *count)
{
	uint32_t id;
	int r = ap_intern_add(b->names, name, &id, NULL);

	if (r == 0)
		r = ap_idmap_add(seen, (uint64_t)row << 32 | id, 0);
	*count += r > 0;
	return r < 0 ? r : 0;
}

static int add_lock(struct builder *b, const struct ap_str *v, struct ap_waits waits,
		    uint32_t *ret_row)
{
	struct ap_lock_row new = {.service = v[SERVICE],
				  .host = v[HOST],
				  .pid = v[PID],
				  .lock = v[LOCK],
				  .kind = v[KIND],
				  .caller = v[CALLER],
				  .kernel = is_kernel(v[DOMAIN])};
	struct ap_lock_row *row;
	uint32_t id;
	bool is_new;
	int r = id_of(b, b->lock_keys, v, lock_labels, AP_ARRAY_SIZE(lock_labels), &id, &is_new);

	if (r == 0 && is_new) {
		new.contended = is_contended(b, v);
		r = ap_vec_push(&b->rows, new);
	}
	if (r < 0)
		return r;
	*ret_row = id - 1;
	row = &b->rows.p[id - 1];
	add_waits(&row->waits, waits);
	if (!row->place.n)
		row->place = v[PLACE];
	row->timeouts += ap_str_is(v[ENDED], "timeout") ? waits.count : 0;
	row->signals += ap_str_is(v[ENDED], "signal") ? waits.count : 0;
	/* Sums of short waits for locks of the kernel name no thread. */
	r = v[WAITER].n ? count_name(b, &b->waiters, id, v[WAITER], &row->waiters) : 0;
	if (r == 0 && v[WAKER].n)
		r = count_name(b, &b->wakers, id, v[WAKER], &row->wakers);
	return r;
}

static int add_pair(struct builder *b, const struct ap_str *v, struct ap_waits waits)
{
	static const int which[] = {SERVICE, WAITER, WAKER};
	struct ap_lock_pair new = {.service = v[SERVICE], .waiter = v[WAITER], .waker = v[WAKER]};
	uint32_t id;
	bool is_new;
	int r = id_of(b, b->pair_keys, v, which, AP_ARRAY_SIZE(which), &id, &is_new);

	if (r == 0 && is_new)
		r = ap_vec_push(&b->pairs, new);
	if (r == 0)
		add_waits(&b->pairs.p[id - 1].waits, waits);
	return r;
}

/* Functions without a name are told apart by their module. */
static int add_place(struct builder *b, uint32_t row, uint32_t stack, uint64_t ns)
{
	const struct ap_profile *p = b->q.dictionary->p;
	bool outside;
	uint32_t frame = ap_lock_waiter(p, stack, &outside);
	const struct ap_frame *f = ap_profile_get_frame(p, frame);
	uint32_t function = f->function ? f->function << 1 : f->mapping << 1 | 1;
	uint64_t key = (uint64_t)row << 32 | function;
	int r = ap_idmap_add(&b->place_of, key, (uint32_t)b->places.n);

	if (r > 0)
		return ap_vec_push(&b->places, ((struct place){row, frame, outside, ns}));
	if (r == 0)
		b->places.p[*ap_idmap_find(&b->place_of, key)].ns += ns;
	return r;
}

/* Under the dictionary's lock. */
static int add_sum(struct builder *b, const struct ap_stack_sum *s)
{
	struct ap_waits waits = {s->count, s->value};
	struct ap_str v[LABELS];
	uint32_t row;
	int r;

	add_waits(&b->total, waits);
	read_labels(b, s->group, v);
	if (v[LOCK].n == 0) {
		add_waits(&b->short_waits, waits);
		return 0;
	}
	r = add_lock(b, v, waits, &row);
	if (r == 0)
		r = add_pair(b, v, waits);
	/* Who asks for a lock of the kernel is a label. */
	return r < 0 || is_kernel(v[DOMAIN]) ? r : add_place(b, row, s->stack, waits.ns);
}

static bool is_of_domain(const struct ap_locks_options *o, struct ap_str domain)
{
	return !o->domain || is_kernel(domain) == (o->domain == AP_LOCKS_OF_KERNEL);
}

/* Leaves the sums of other waits out, before anything is counted of them. */
static void keep_wanted(struct builder *b, const struct ap_locks_options *o)
{
	struct ap_sums *s = &b->sums;
	struct ap_str v[LABELS];
	size_t n = 0;

	AP_VEC_FOREACH(&s->v, sum) {
		read_labels(b, sum->group, v);
		if (!is_of_domain(o, v[DOMAIN]))
			continue;
		if (!o->contended_only || v[LOCK].n == 0 || is_contended(b, v))
			s->v.p[n++] = *sum;
		else
			add_waits(&b->not_contended, (struct ap_waits){sum->count, sum->value});
	}
	s->v.n = n;
}

static int by_waits(const struct ap_waits *x, const struct ap_waits *y, bool by_count)
{
	uint64_t first[] = {by_count ? x->count : x->ns, by_count ? y->count : y->ns};
	uint64_t second[] = {by_count ? x->ns : x->count, by_count ? y->ns : y->count};

	if (first[0] != first[1])
		return first[0] < first[1] ? 1 : -1;
	return second[0] == second[1] ? 0 : second[0] < second[1] ? 1 : -1;
}

static int row_order(const void *a, const void *b, void *ctx)
{
	const struct ap_lock_row *x = a, *y = b;
	const bool *by_count = ctx;
	int r = by_waits(&x->waits, &y->waits, *by_count);

	r = r ?: ap_str_cmp(x->service, y->service);
	r = r ?: ap_str_cmp(x->lock, y->lock);
	r = r ?: ap_str_cmp(x->host, y->host);
	r = r ?: ap_str_cmp(x->pid, y->pid);
	r = r ?: ap_str_cmp(x->kind, y->kind);
	return r ?: ap_str_cmp(x->caller, y->caller);
}

static int pair_order(const void *a, const void *b, void *ctx)
{
	const struct ap_lock_pair *x = a, *y = b;
	const bool *by_count = ctx;
	int r = by_waits(&x->waits, &y->waits, *by_count);

	r = r ?: ap_str_cmp(x->service, y->service);
	r = r ?: ap_str_cmp(x->waiter, y->waiter);
	return r ?: ap_str_cmp(x->waker, y->waker);
}

static bool keep_strs(struct ap_arena *a, struct ap_str **strs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		strs[i]->p = ap_arena_strdup(a, *strs[i]);
		if (!strs[i]->p)
			return false;
	}
	return true;
}

/* Where a stack ends early, all that is left of it may be the primitive. */
static bool tells_more(const struct place *a, const struct place *b)
{
	return a->outside != b->outside ? a->outside : a->ns > b->ns;
}

/* Names the function that waited longest for each lock. Before the rows are sorted. */
static int name_places(struct builder *b, struct ap_arena *arena)
{
	const struct ap_profile *p = b->q.dictionary->p;
	_cleanup_free_ const struct place **longest = calloc(b->rows.n + 1, sizeof(*longest));

	if (!longest)
		return -ENOMEM;
	AP_VEC_FOREACH(&b->places, place)
		if (!longest[place->lock] || tells_more(place, longest[place->lock]))
			longest[place->lock] = place;
	for (size_t i = 0; i < b->rows.n; i++) {
		struct ap_lock_row *row = &b->rows.p[i];
		uint32_t frame = longest[i] ? longest[i]->frame : 0;

		if (!frame)
			continue;
		ap_buf_clear(&b->key);
		ap_profile_frame_name(p, frame, &b->key);
		if (ap_buf_error(&b->key))
			return -ENOMEM;
		row->function = ap_buf_view(&b->key);
		row->module = ap_profile_module(p, ap_profile_get_frame(p, frame)->mapping);
		if (!keep_strs(arena, (struct ap_str *[]){&row->function, &row->module}, 2))
			return -ENOMEM;
	}
	return 0;
}

static int give_rows(const struct builder *b, uint32_t limit, struct ap_arena *a,
		     struct ap_locks *l)
{
	l->n_locks = (uint32_t)b->rows.n;
	l->n = limit ? AP_MIN(l->n_locks, limit) : l->n_locks;
	l->rows = ap_arena_alloc(a, (l->n + 1) * sizeof(*l->rows));
	if (!l->rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n; i++) {
		struct ap_lock_row *r = &l->rows[i];

		*r = b->rows.p[i];
		if (!keep_strs(a,
			       (struct ap_str *[]){&r->service, &r->host, &r->pid, &r->lock,
						   &r->kind, &r->caller, &r->place},
			       7))
			return -ENOMEM;
		if (r->kernel) {
			r->function = r->caller;
			r->module = AP_STR("[kernel]");
		}
	}
	for (size_t i = l->n; i < b->rows.n; i++)
		add_waits(&l->other, b->rows.p[i].waits);
	return 0;
}

static int give_pairs(const struct builder *b, uint32_t limit, struct ap_arena *a,
		      struct ap_locks *l)
{
	l->n_pairs = (uint32_t)b->pairs.n;
	l->n_given_pairs = limit ? AP_MIN(l->n_pairs, limit) : l->n_pairs;
	l->pairs = ap_arena_alloc(a, (l->n_given_pairs + 1) * sizeof(*l->pairs));
	if (!l->pairs)
		return -ENOMEM;
	for (uint32_t i = 0; i < l->n_given_pairs; i++) {
		struct ap_lock_pair *p = &l->pairs[i];

		*p = b->pairs.p[i];
		if (!keep_strs(a, (struct ap_str *[]){&p->service, &p->waiter, &p->waker}, 3))
			return -ENOMEM;
	}
	for (size_t i = l->n_given_pairs; i < b->pairs.n; i++)
		add_waits(&l->other_pairs, b->pairs.p[i].waits);
	return 0;
}

static int give(struct builder *b, const struct ap_locks_options *o, struct ap_arena *arena,
		struct ap_locks **ret)
{
	bool by_count = o->sort == AP_LOCKS_BY_COUNT;
	struct ap_locks *l = ap_arena_zalloc(arena, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	if (b->rows.n)
		qsort_r(b->rows.p, b->rows.n, sizeof(*b->rows.p), row_order, &by_count);
	if (b->pairs.n)
		qsort_r(b->pairs.p, b->pairs.n, sizeof(*b->pairs.p), pair_order, &by_count);
	l->total = b->total;
	l->short_waits = b->short_waits;
	l->not_contended = b->not_contended;
	r = give_rows(b, o->limit, arena, l);
	if (r == 0)
		r = give_pairs(b, o->limit, arena, l);
	l->arena = *arena;
	*ret = l;
	return r;
}

static void tell_cut(const struct ap_locks *l, uint64_t missing, struct ap_coverage *c)
{
	if (missing) {
		c->truncated = "stacks";
		c->cut = missing;
	} else if (l->n < l->n_locks) {
		c->truncated = "locks";
		c->cut = l->n_locks - l->n;
	} else if (l->n_given_pairs < l->n_pairs) {
		c->truncated = "pairs";
		c->cut = l->n_pairs - l->n_given_pairs;
	}
}

static int ask_hosts(struct ap_question *q, void *ctx)
{
	struct builder *b = ctx;

	return ap_coverage_hosts(q, &b->range, b->coverage);
}

static int ask_stacks(struct ap_question *q, void *ctx)
{
	struct builder *b = ctx;
	const char *asked[LABELS];
	int r;

	for (int i = 0; i < LABELS; i++) {
		asked[i] = labels[i];
		if (b->coarse && i != LOCK && !ap_rollup_keeps_label(ap_str_of(labels[i])))
			asked[i] = NULL;
	}
	r = ap_sums_collect(q, &b->range, asked, LABELS, &b->sums);

	return r < 0 ? r : ap_sums_resolve(q, &b->range, &b->sums, &b->missing);
}

static int build(struct builder *b, const struct ap_locks_options *o, struct ap_arena *arena,
		 struct ap_locks **ret)
{
	int r;

	b->lock_keys = ap_intern_new();
	b->pair_keys = ap_intern_new();
	b->names = ap_intern_new();
	b->ended = ap_intern_new();
	if (!b->lock_keys || !b->pair_keys || !b->names || !b->ended)
		return -ENOMEM;
	r = ap_question_both(&b->q, ask_stacks, b, ask_hosts, b);
	if (r < 0)
		return r;
	r = note_ended(b);
	if (r < 0)
		return r;
	keep_wanted(b, o);
	ap_coverage_sums(&b->q, &b->sums, b->coverage);
	pthread_rwlock_rdlock(&b->q.dictionary->lock);
	for (size_t i = 0; i < b->sums.v.n && r == 0; i++)
		r = add_sum(b, &b->sums.v.p[i]);
	if (r == 0)
		r = name_places(b, arena);
	pthread_rwlock_unlock(&b->q.dictionary->lock);
	if (r == 0)
		r = give(b, o, arena, ret);
	if (r == 0)
		tell_cut(*ret, b->missing, b->coverage);
	return r;
}

int ap_query_locks(struct ap_query_engine *e, const struct ap_query *of,
		   const struct ap_locks_options *o, struct ap_locks **ret,
		   struct ap_coverage *ret_cov, struct ap_error *err)
{
	_cleanup_(builder_free) struct builder b = {.range = ap_range_of(of), .coverage = ret_cov};
	struct ap_arena arena = AP_ARENA_INIT(64u << 20);
	struct ap_locks *l = NULL;
	int r = ap_question_begin(&b.q, e, AP_QUERY_LOCKS, of, err);

	b.range.events = AP_EVENT_BIT(AP_EVENT_LOCK);
	b.range.is_value = true;
	if (r == 0) {
		/* Addresses, processes and threads matter for as long as they are kept. */
		b.coarse = !b.range.fine && !ap_range_has_raw(&b.q, &b.range);
		b.range.fine |= !b.coarse;
		ap_range_settle(&b.q, &b.range);
		r = build(&b, o, &arena, &l);
	}
	if (r == -ENOMEM)
		ap_question_no_memory(&b.q);
	if (r < 0) {
		ap_arena_free(&arena);
		return r;
	}
	*ret = l;
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The services of a range: what they took, how that changed, and which function rose most. */
#include "aggregator/query/internal.h"
#include "base/clock.h"

void ap_services_free(struct ap_services *s)
{
	struct ap_arena arena;

	if (!s)
		return;
	arena = s->arena; /* `s` lies in it */
	ap_arena_free(&arena);
}

/* One range, summed by service and stack; group ids are the range's own. */
struct side {
	struct ap_query query;
	struct ap_range range;
	struct ap_sums sums;
	struct ap_coverage coverage;
};

/* A function in a service, self values on both sides. */
struct rise {
	uint32_t service, function; /* of the answer's rows; interned */
	uint64_t value, previous;
};

struct builder {
	struct ap_question q;
	struct side now, before, day_before;
	struct ap_services *s;
	struct ap_arena arena;
	struct ap_intern *functions; /* {length of the module, module, name} */
	struct ap_intern *pairs;     /* services and hosts */
	struct ap_idmap rise_of;
	AP_VEC(struct rise) rises;
	struct ap_buf key;
};

static const char *const by_service[] = {"service"};

/* Pairs of service and host, as keys of their own: which services are shown is not known yet. */
struct host_pairs {
	struct ap_intern *pairs; /* {length of the service, service, host} */
	struct ap_buf key;
};

static int add_pair(struct host_pairs *h, struct ap_str service, struct ap_str host)
{
	uint32_t n = (uint32_t)service.n, id;

	ap_buf_clear(&h->key);
	ap_buf_append(&h->key, &n, sizeof(n));
	ap_buf_str(&h->key, service);
	ap_buf_str(&h->key, host);
	if (ap_buf_error(&h->key))
		return -ENOMEM;
	return ap_intern_add(h->pairs, ap_buf_view(&h->key), &id, NULL);
}

static int take_hosts(void *ctx, const struct ap_native_view *v)
{
	int r = 0;

	if (v->n_columns != 2)
		return -EBADMSG;
	for (size_t row = 0; row < v->rows && r == 0; row++)
		r = add_pair(ctx, ap_native_str(&v->columns[0], row),
			     ap_native_str(&v->columns[1], row));
	return r;
}

static int host_row(void *ctx, size_t part, const struct ap_batch *b, const struct ap_sample *row)
{
	return add_pair(ctx, ap_batch_label(b, row->labels, AP_STR("service")),
			ap_batch_label(b, row->labels, AP_STR("host")));
}

static int collect_pairs(struct ap_question *q, struct builder *b)
{
	struct host_pairs h = {.pairs = b->pairs};
	const struct ap_select what = {.columns = AP_STR("service, host"),
				       .group = AP_STR("service, host")};
	int r = 0;

	if (q->use_store)
		r = ap_range_select(q, &b->now.range, &what, take_hosts, &h);
	if (r == 0)
		r = ap_range_rows(q, &b->now.range, host_row, &h);
	ap_buf_free(&h.key);
	return r;
}

/* A pair's key begins with what is the service's key as a group. */
static void count_hosts(struct builder *b)
{
	for (uint32_t id = 1; id < ap_intern_count(b->pairs); id++) {
		struct ap_str key = ap_intern_get(b->pairs, id);
		uint32_t n, group;

		memcpy(&n, key.p, sizeof(n));
		key.n = sizeof(n) + n;
		if (ap_intern_find(b->now.sums.groups, key, &group) == 0)
			b->s->rows[group - 1].hosts++;
	}
}

static void set_range(const struct ap_question *q, struct side *side, const struct ap_query *of,
		      int64_t shift_ms)
{
	side->query = *of;
	side->query.from_ms -= shift_ms;
	side->query.to_ms -= shift_ms;
	side->range = ap_range_of(&side->query);
	ap_range_settle(q, &side->range);
}

static int ask_hosts(struct ap_question *q, void *ctx)
{
	struct builder *b = ctx;
	struct side *sides[] = {&b->now, &b->before, &b->day_before};
	int r = 0;

	for (size_t i = 0; i < AP_ARRAY_SIZE(sides) && r == 0; i++)
		r = ap_coverage_hosts(q, &sides[i]->range, &sides[i]->coverage);
	return r == 0 ? collect_pairs(q, b) : r;
}

static int ask_stacks(struct ap_question *q, void *ctx)
{
	struct builder *b = ctx;
	struct side *sides[] = {&b->now, &b->before, &b->day_before};
	uint64_t missing;
	int r = 0;

	for (size_t i = 0; i < AP_ARRAY_SIZE(sides) && r == 0; i++) {
		r = ap_sums_collect(q, &sides[i]->range, by_service, 1, &sides[i]->sums);
		if (r == 0 && sides[i] != &b->day_before)
			r = ap_sums_resolve(q, &sides[i]->range, &sides[i]->sums, &missing);
	}
	return r;
}

static int make_rows(struct builder *b)
{
	const struct ap_sums *sums = &b->now.sums;
	uint32_t n = ap_intern_count(sums->groups) - 1;
	struct ap_services *s;

	s = b->s = ap_arena_zalloc(&b->arena, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->rows = ap_arena_zalloc(&b->arena, (n + 1) * sizeof(*s->rows));
	if (!s->rows)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct ap_str name = ap_sums_label(sums, i + 1, 0);

		s->rows[i].service = (struct ap_str){ap_arena_strdup(&b->arena, name), name.n};
		if (!s->rows[i].service.p)
			return -ENOMEM;
	}
	s->n = n;
	return 0;
}

/* The row of a side's group: -1 where the service is not in the range asked for. */
static int64_t row_of(const struct builder *b, const struct side *side, uint32_t group)
{
	uint32_t id;

	if (side == &b->now)
		return (int64_t)group - 1;
	if (ap_intern_find(b->now.sums.groups, ap_intern_get(side->sums.groups, group), &id) < 0)
		return -1;
	return (int64_t)id - 1;
}

static int leaf_function(struct builder *b, uint32_t stack, uint32_t *ret)
{
	const struct ap_profile *p = b->q.dictionary->p;
	struct ap_stack st = ap_profile_get_stack(p, stack);
	const struct ap_frame *f;
	struct ap_str module;
	uint32_t n;

	*ret = 0;
	if (st.n == 0)
		return 0;
	f = ap_profile_get_frame(p, st.frames[st.n - 1]);
	module = ap_profile_module(p, f->mapping);
	n = (uint32_t)module.n;
	ap_buf_clear(&b->key);
	ap_buf_append(&b->key, &n, sizeof(n));
	ap_buf_str(&b->key, module);
	ap_profile_frame_name(p, st.frames[st.n - 1], &b->key);
	if (ap_buf_error(&b->key))
		return -ENOMEM;
	return ap_intern_add(b->functions, ap_buf_view(&b->key), ret, NULL);
}

static int add_rise(struct builder *b, uint32_t row, uint32_t function, uint64_t value,
		    uint64_t previous)
{
	uint64_t key = (uint64_t)row << 32 | function;
	int r = ap_idmap_add(&b->rise_of, key, (uint32_t)b->rises.n);

	if (r > 0)
		return ap_vec_push(&b->rises, ((struct rise){row, function, value, previous}));
	if (r == 0) {
		struct rise *there = &b->rises.p[*ap_idmap_find(&b->rise_of, key)];

		there->value += value;
		there->previous += previous;
	}
	return r;
}

/* Adds a side's sums to the rows and to the functions. Under the dictionary's lock. */
static int add_side(struct builder *b, struct side *side)
{
	const struct ap_profile *p = b->q.dictionary->p;
	int r = 0;

	for (size_t i = 0; i < side->sums.v.n && r >= 0; i++) {
		const struct ap_stack_sum *sum = &side->sums.v.p[i];
		uint64_t n = ap_range_number(&side->range, sum->count, sum->value);
		int64_t at = row_of(b, side, sum->group);
		struct ap_service *row;
		uint32_t function;

		if (at < 0)
			continue;
		row = &b->s->rows[at];
		if (side == &b->day_before) {
			row->previous_day_value += n;
			continue;
		}
		r = leaf_function(b, sum->stack, &function);
		if (r < 0)
			break;
		if (side == &b->before) {
			row->previous_value += n;
			r = add_rise(b, (uint32_t)at, function, 0, n);
			continue;
		}
		row->value += n;
		row->samples += sum->count;
		if (ap_reason_is_complete(ap_profile_get_stack(p, sum->stack).reason))
			row->complete += sum->count;
		b->s->total += n;
		r = add_rise(b, (uint32_t)at, function, n, 0);
	}
	return r < 0 ? r : 0;
}

static int add_sides(struct builder *b)
{
	int r;

	pthread_rwlock_rdlock(&b->q.dictionary->lock);
	r = add_side(b, &b->now);
	if (r == 0)
		r = add_side(b, &b->before);
	if (r == 0)
		r = add_side(b, &b->day_before);
	pthread_rwlock_unlock(&b->q.dictionary->lock);
	return r;
}

static uint64_t rise_by(const struct rise *r)
{
	return r->value > r->previous ? r->value - r->previous : 0;
}

static int pick_risers(struct builder *b)
{
	AP_VEC_FOREACH(&b->rises, rise) {
		struct ap_service *row = &b->s->rows[rise->service];
		struct ap_str key = ap_intern_get(b->functions, rise->function);
		struct ap_riser *best = &row->riser;
		uint32_t n;

		if (!rise->function || key.n < sizeof(n) || rise_by(rise) == 0)
			continue;
		if (row->has_riser && rise_by(rise) <= best->value - best->previous_value)
			continue;
		memcpy(&n, key.p, sizeof(n));
		row->has_riser = true;
		*best = (struct ap_riser){
			.module = {key.p + sizeof(n), n},
			.function = {key.p + sizeof(n) + n, key.n - sizeof(n) - n},
			.value = rise->value,
			.previous_value = rise->previous,
		};
	}
	/* Only what is chosen is copied out of the table of functions. */
	for (uint32_t i = 0; i < b->s->n; i++) {
		struct ap_riser *r = &b->s->rows[i].riser;

		r->module.p = ap_arena_strdup(&b->arena, r->module);
		r->function.p = ap_arena_strdup(&b->arena, r->function);
		if (!r->module.p || !r->function.p)
			return -ENOMEM;
	}
	return 0;
}

static int by_value(const void *a, const void *b)
{
	const struct ap_service *x = a, *y = b;

	if (x->value != y->value)
		return x->value < y->value ? 1 : -1;
	return ap_str_cmp(x->service, y->service);
}

static int build(struct builder *b, const struct ap_query *q, struct ap_coverage *c)
{
	int64_t length = q->to_ms - q->from_ms;
	int r;

	b->functions = ap_intern_new();
	b->pairs = ap_intern_new();
	if (!b->functions || !b->pairs)
		return -ENOMEM;
	set_range(&b->q, &b->now, q, 0);
	set_range(&b->q, &b->before, q, length);
	set_range(&b->q, &b->day_before, q, 86400000);
	r = ap_question_both(&b->q, ask_stacks, b, ask_hosts, b);
	if (r == 0)
		r = make_rows(b);
	if (r == 0)
		r = add_sides(b);
	if (r < 0)
		return r;
	count_hosts(b);
	for (uint32_t i = 0; i < b->s->n; i++) {
		struct ap_service *row = &b->s->rows[i];

		row->has_previous = b->before.coverage.hosts_reporting || b->before.sums.v.n;
		row->has_previous_day =
			b->day_before.coverage.hosts_reporting || b->day_before.sums.v.n;
	}
	if (b->before.coverage.hosts_reporting || b->before.sums.v.n)
		r = pick_risers(b);
	b->s->previous_from_ms = q->from_ms - length;
	b->s->previous_to_ms = q->from_ms;
	qsort(b->s->rows, b->s->n, sizeof(*b->s->rows), by_value);
	*c = b->now.coverage;
	ap_coverage_sums(&b->q, &b->now.sums, c);
	return r;
}

int ap_query_services(struct ap_query_engine *e, const struct ap_query *q, struct ap_services **ret,
		      struct ap_coverage *ret_cov, struct ap_error *err)
{
	struct builder b = {.arena = AP_ARENA_INIT(256u << 20)};
	int r = ap_question_begin(&b.q, e, AP_QUERY_SERVICES, q, err);

	if (r == 0)
		r = build(&b, q, ret_cov);
	if (r == -ENOMEM)
		ap_question_no_memory(&b.q);
	if (r == 0) {
		b.s->arena = b.arena;
		*ret = b.s;
	} else {
		ap_arena_free(&b.arena);
	}
	ap_sums_free(&b.now.sums);
	ap_sums_free(&b.before.sums);
	ap_sums_free(&b.day_before.sums);
	ap_intern_free(b.functions);
	ap_intern_free(b.pairs);
	ap_idmap_free(&b.rise_of);
	ap_vec_free(&b.rises);
	ap_buf_free(&b.key);
	ap_question_end(&b.q);
	return r;
}

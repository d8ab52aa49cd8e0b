/* SPDX-License-Identifier: Apache-2.0 */
/* The samples of a segment, in the order of their table (service, event, time): an engine that is given rows in order
 * neither sorts them nor moves each column's values about, at a fifth of what an insert costs. And they come together
 * here as 32 bytes each, whatever labels they have: those of rows that have them in common are one set. */
#include "aggregator/store/rows_internal.h"
#include "aggregator/store/schema.h"
#include "base/arena.h"

enum {
	RADIX_BITS = 11,
	RADIX = 1 << RADIX_BITS,
	KEY_BITS = 32,
};

/* What rows of a batch, of the same labels and event, have in common. */
struct set {
	uint32_t keys[AP_LABEL_COLUMNS];
	uint32_t
		rank; /* in the table's order, once all are there; equal for the same service and event */
	uint32_t n_labels;
	const struct ap_str *label_keys, *label_values;
	uint8_t event;
};

struct row {
	uint64_t stack, count, value;
	uint32_t time, set;
};

struct ap_rows_samples {
	AP_VEC(struct set) sets;
	AP_VEC(struct row) rows;
	struct ap_arena arena; /* of the sets' labels */
};

struct ap_rows_samples *ap_rows_samples_new(void)
{
	return calloc(1, sizeof(struct ap_rows_samples));
}

void ap_rows_samples_clear(struct ap_rows_samples *s)
{
	ap_vec_free(&s->sets);
	ap_vec_free(&s->rows);
	ap_arena_free(&s->arena);
	s->arena = (struct ap_arena){0};
}

void ap_rows_samples_free(struct ap_rows_samples *s)
{
	if (s)
		ap_rows_samples_clear(s);
	free(s);
}

/* The strings with their bytes; NULL where there is no memory. */
static const struct ap_str *copy(struct ap_arena *arena, const struct ap_str *from, size_t n)
{
	struct ap_str *to = ap_arena_alloc(arena, n * sizeof(*to));

	for (size_t i = 0; to && i < n; i++) {
		to[i] = (struct ap_str){ap_arena_strdup(arena, from[i]), from[i].n};
		if (!to[i].p)
			to = NULL;
	}
	return to;
}

int ap_rows_samples_set(struct ap_rows_samples *s, const uint32_t *keys,
			const struct ap_user_labels *labels, uint8_t event, uint32_t *ret)
{
	struct set set = {.n_labels = (uint32_t)labels->keys.n, .event = event};

	memcpy(set.keys, keys, sizeof(set.keys));
	if (set.n_labels) {
		set.label_keys = copy(&s->arena, labels->keys.p, set.n_labels);
		set.label_values = copy(&s->arena, labels->values.p, set.n_labels);
		if (!set.label_keys || !set.label_values)
			return -ENOMEM;
	}
	*ret = (uint32_t)s->sets.n;
	return ap_vec_push(&s->sets, set);
}

int ap_rows_samples_reserve(struct ap_rows_samples *s, size_t n)
{
	return ap_vec_reserve(&s->rows, n);
}

void ap_rows_samples_add(struct ap_rows_samples *s, uint32_t set, uint32_t time, uint64_t stack,
			 uint64_t count, uint64_t value)
{
	s->rows.p[s->rows.n++] = (struct row){stack, count, value, time, set};
}

struct ranking {
	struct ap_str service;
	uint32_t set;
	uint8_t event;
};

static int compare(const void *a, const void *b)
{
	const struct ranking *x = a, *y = b;
	int r = memcmp(x->service.p, y->service.p, AP_MIN(x->service.n, y->service.n));

	if (r == 0)
		r = (x->service.n > y->service.n) - (x->service.n < y->service.n);
	return r ?: (int)x->event - (int)y->event;
}

/* Gives each set its rank: 0 or -ENOMEM, and how many there are. */
static int rank(struct ap_rows_samples *s, const struct ap_native_block *b, uint32_t *ret_n)
{
	_cleanup_free_ struct ranking *all = calloc(s->sets.n, sizeof(*all));
	uint32_t n = 0;

	if (!all)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->sets.n; i++) {
		const struct set *set = &s->sets.p[i];

		all[i] = (struct ranking){ap_native_key_str(b, AP_SAMPLES_LABEL, set->keys[0]), i,
					  set->event};
	}
	qsort(all, s->sets.n, sizeof(*all), compare);
	for (size_t i = 0; i < s->sets.n; i++) {
		n += i == 0 || compare(&all[i - 1], &all[i]) != 0;
		s->sets.p[all[i].set].rank = n - 1;
	}
	*ret_n = n;
	return 0;
}

/* By the upper halves of the items, whose numbers of bits that is. Those that are equal stay in their order. What was
 * `from` or `to` comes back. */
static uint64_t *sort(uint64_t *from, uint64_t *to, size_t n, unsigned int bits)
{
	size_t starts[RADIX];
	uint64_t *swap;

	for (unsigned int shift = KEY_BITS; shift < KEY_BITS + bits; shift += RADIX_BITS) {
		size_t at = 0;

		memset(starts, 0, sizeof(starts));
		for (size_t i = 0; i < n; i++)
			starts[from[i] >> shift & (RADIX - 1)]++;
		for (size_t i = 0; i < RADIX; i++) {
			size_t here = starts[i];

			starts[i] = at;
			at += here;
		}
		for (size_t i = 0; i < n; i++)
			to[starts[from[i] >> shift & (RADIX - 1)]++] = from[i];
		swap = from;
		from = to;
		to = swap;
	}
	return from;
}

/* The rows' numbers in the table's order; as they came where there is too much to tell apart, which an engine can. */
static int order_rows(const struct ap_rows_samples *s, uint64_t ranks, uint32_t *order)
{
	_cleanup_free_ uint64_t *items = malloc(2 * s->rows.n * sizeof(*items));
	uint32_t first = UINT32_MAX, last = 0;
	uint64_t span, key, before = 0;
	const uint64_t *sorted;
	bool ascends = true;

	if (!items)
		return -ENOMEM;
	AP_VEC_FOREACH(&s->rows, row) {
		first = AP_MIN(first, row->time);
		last = AP_MAX(last, row->time);
	}
	span = (uint64_t)last - first + 1;
	if (ranks * span > 1ull << KEY_BITS)
		ranks = 0;
	for (size_t i = 0; i < s->rows.n; i++) {
		const struct row *row = &s->rows.p[i];

		key = ranks ? s->sets.p[row->set].rank * span + (row->time - first) : 0;
		items[i] = key << KEY_BITS | i;
		ascends &= key >= before;
		before = key;
	}
	sorted = items;
	if (!ascends)
		sorted = sort(items, items + s->rows.n, s->rows.n,
			      64 - (unsigned int)__builtin_clzll(ranks * span));
	for (size_t i = 0; i < s->rows.n; i++)
		order[i] = (uint32_t)sorted[i];
	return 0;
}

/* The labels without a column, of the rows' sets. */
static void put_labels(const struct ap_rows_samples *s, const uint32_t *sets, size_t n,
		       struct ap_native_block *b)
{
	bool any = false;

	AP_VEC_FOREACH(&s->sets, set)
		any |= set->n_labels > 0;
	if (!any) {
		ap_native_put_empty(b, AP_SAMPLES_LABEL_KEYS, n);
		ap_native_put_empty(b, AP_SAMPLES_LABEL_VALUES, n);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		const struct set *set = &s->sets.p[sets[i]];

		ap_native_put_strs(b, AP_SAMPLES_LABEL_KEYS, set->label_keys, set->n_labels);
		ap_native_put_strs(b, AP_SAMPLES_LABEL_VALUES, set->label_values, set->n_labels);
	}
}

#define PUT_FIELD(col, f) \
	ap_native_put_fields(b, col, &s->rows.p[0].f, sizeof(struct row), order, n)

static void put_columns(const struct ap_rows_samples *s, const uint32_t *order,
			const uint32_t *sets, uint64_t segment, struct ap_native_block *b)
{
	const struct set *set = s->sets.p;
	size_t n = s->rows.n;

	PUT_FIELD(AP_SAMPLES_TIME, time);
	PUT_FIELD(AP_SAMPLES_STACK, stack);
	PUT_FIELD(AP_SAMPLES_COUNT, count);
	PUT_FIELD(AP_SAMPLES_VALUE, value);
	ap_native_put_same(b, AP_SAMPLES_SEGMENT, segment, n);
	ap_native_put_fields(b, AP_SAMPLES_EVENT, &set->event, sizeof(*set), sets, n);
	for (uint32_t i = 0; i < AP_LABEL_COLUMNS; i++)
		ap_native_put_keys(b, AP_SAMPLES_LABEL + i, &set->keys[i], sizeof(*set), sets, n);
	put_labels(s, sets, n, b);
}

int ap_rows_samples_put(struct ap_rows_samples *s, uint64_t segment, struct ap_native_block *b)
{
	_cleanup_free_ uint32_t *order = malloc(s->rows.n * sizeof(*order));
	_cleanup_free_ uint32_t *sets = malloc(s->rows.n * sizeof(*sets));
	uint32_t ranks = 0;
	int r = 0;

	if (s->rows.n == 0)
		return 0;
	if (!order || !sets)
		return -ENOMEM;
	r = rank(s, b, &ranks);
	if (r == 0)
		r = order_rows(s, ranks, order);
	if (r < 0)
		return r;
	for (size_t i = 0; i < s->rows.n; i++)
		sets[i] = s->rows.p[order[i]].set;
	put_columns(s, order, sets, segment, b);
	ap_rows_samples_clear(s);
	return 0;
}

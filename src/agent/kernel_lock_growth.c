/* SPDX-License-Identifier: Apache-2.0 */
/* Entries are sorted by process and lock; the one without a place comes first. */
#include "agent/kernel_lock_growth.h"

#define SILENT_MAX 2 /* reports without growth, after which an entry leaves */

struct totals {
	uint64_t count, ns, others, others_ns; /* as in struct ap_kernel_lock_sums */
};

/* What is known of an entry of the table. */
struct entry {
	struct ap_kernel_lock_entry *shared;
	struct totals now;   /* as read last */
	struct totals grown; /* since the last report */
	uint32_t silent;     /* reports */
	bool closed;
};

struct ap_kernel_lock_growth {
	struct ap_kernel_lock_entry *table;
	struct entry *entries; /* as in the table */
	struct entry **used;   /* those that are not free */
	uint32_t n, n_used;
};

struct ap_kernel_lock_growth *ap_kernel_lock_growth_new(struct ap_kernel_lock_entry *table,
							uint32_t n)
{
	struct ap_kernel_lock_growth *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->table = table;
	t->n = n;
	t->entries = calloc(n, sizeof(*t->entries));
	t->used = calloc(n, sizeof(struct entry *));
	if (t->entries && t->used)
		return t;
	ap_kernel_lock_growth_free(t);
	return NULL;
}

void ap_kernel_lock_growth_free(struct ap_kernel_lock_growth *t)
{
	if (!t)
		return;
	free(t->entries);
	free(t->used);
	free(t);
}

/* The programs may be adding to it. */
static void take_growth(const uint64_t *shared, uint64_t *now, uint64_t *grown)
{
	uint64_t n = __atomic_load_n(shared, __ATOMIC_RELAXED);

	*grown += n - *now;
	*now = n;
}

void ap_kernel_lock_growth_read(struct ap_kernel_lock_growth *t)
{
	t->n_used = 0;
	for (uint32_t i = 0; i < t->n; i++) {
		struct ap_kernel_lock_sums *sums = &t->table[i].sums;
		struct entry *e = &t->entries[i];

		if (!__atomic_load_n(&t->table[i].ready, __ATOMIC_ACQUIRE))
			continue;
		e->shared = &t->table[i];
		take_growth(&sums->count, &e->now.count, &e->grown.count);
		take_growth(&sums->ns, &e->now.ns, &e->grown.ns);
		take_growth(&sums->others, &e->now.others, &e->grown.others);
		take_growth(&sums->others_ns, &e->now.others_ns, &e->grown.others_ns);
		t->used[t->n_used++] = e;
	}
}

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

/* By process and lock. */
static int by_lock(const struct entry *a, const struct entry *b)
{
	const struct ap_kernel_lock_key *x = &a->shared->key, *y = &b->shared->key;
	int r = compare(x->tgid, y->tgid);

	if (r == 0)
		r = compare(x->start_time, y->start_time);
	return r ? r : memcmp(&x->lock, &y->lock, sizeof(x->lock));
}

static int by_place(const void *a, const void *b)
{
	const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
	int r = by_lock(x, y);

	if (r == 0)
		r = compare(x->shared->key.place, y->shared->key.place);
	return r ? r : compare((uintptr_t)x, (uintptr_t)y);
}

/* A whole, as far as it is divided. */
struct division {
	uint64_t whole, weights;
	uint64_t weight, given;
};

static uint64_t next_part(struct division *d, uint64_t weight)
{
	uint64_t upto, part;

	d->weight += weight;
	upto = d->weights ? (uint64_t)((__uint128_t)d->whole * d->weight / d->weights) : 0;
	part = upto - d->given;
	d->given = upto;
	return part;
}

/* How much of what has no place is an entry's. Where nobody was drawn, as their sums so far are. A wait's
 * nanosecond more lets waits of no length be divided. */
static void weigh(const struct entry *e, bool drawn, uint64_t *count, uint64_t *ns)
{
	*count = drawn ? e->grown.others : e->now.count;
	*ns = (drawn ? e->grown.others_ns : e->now.ns) + *count;
}

static uint64_t tell(struct entry *e, uint64_t count, uint64_t ns, ap_kernel_lock_fn fn, void *ctx)
{
	const struct ap_kernel_lock_sums *sums = &e->shared->sums;
	const struct ap_kernel_lock_report r = {
		.key = &e->shared->key,
		.frames = sums->frames,
		.n_frames = (uint32_t)AP_MIN(sums->n_frames, (uint64_t)AP_KERNEL_LOCK_FRAMES),
		.count = count,
		.ns = ns,
	};

	if (count || ns)
		fn(ctx, &r);
	return count;
}

static void reported(struct entry *e)
{
	e->silent = e->grown.count || e->grown.ns ? 0 : e->silent + 1;
	e->grown = (struct totals){0};
}

/* Reports the entries of one process and lock, from `e` to before `end`. */
static uint64_t report_lock(struct entry **e, struct entry **end, ap_kernel_lock_fn fn, void *ctx)
{
	struct entry **first = e, *placeless = (*e)->shared->key.place ? NULL : *e++;
	struct division count = {0}, ns = {0};
	uint64_t told = 0, weight, weight_ns;
	bool drawn = false;

	for (struct entry **i = first; i != end; i++)
		drawn |= (*i)->grown.others > 0;
	for (struct entry **i = e; i != end; i++) {
		weigh(*i, drawn, &weight, &weight_ns);
		count.weights += weight;
		ns.weights += weight_ns;
	}
	if (placeless) {
		count.whole = placeless->grown.count;
		ns.whole = placeless->grown.ns;
		if (!count.weights)
			told += tell(placeless, count.whole, ns.whole, fn, ctx);
	}
	for (struct entry **i = e; i != end; i++) {
		weigh(*i, drawn, &weight, &weight_ns);
		told += tell(*i, (*i)->grown.count + next_part(&count, weight),
			     (*i)->grown.ns + next_part(&ns, weight_ns), fn, ctx);
	}
	for (struct entry **i = first; i != end; i++)
		reported(*i);
	return told;
}

uint64_t ap_kernel_lock_growth_report(struct ap_kernel_lock_growth *t, ap_kernel_lock_fn fn,
				      void *ctx)
{
	struct entry **all = t->used + t->n_used, **first, **end;
	uint64_t told = 0;

	qsort(t->used, t->n_used, sizeof(*t->used), by_place);
	for (first = t->used; first != all; first = end) {
		for (end = first + 1; end != all && by_lock(*first, *end) == 0;)
			end++;
		told += report_lock(first, end, fn, ctx);
	}
	return told;
}

static void give_back(struct entry *e)
{
	struct ap_kernel_lock_entry *shared = e->shared;

	*e = (struct entry){0};
	__atomic_store_n(&shared->ready, 0, __ATOMIC_RELAXED);
	shared->key = (struct ap_kernel_lock_key){0};
	shared->sums = (struct ap_kernel_lock_sums){0};
	__atomic_store_n(&shared->mark, 0, __ATOMIC_RELEASE);
}

void ap_kernel_lock_growth_forget(struct ap_kernel_lock_growth *t)
{
	for (uint32_t i = 0; i < t->n_used; i++) {
		struct entry *e = t->used[i];

		if (e->closed) {
			give_back(e);
		} else if (e->silent >= SILENT_MAX) {
			__atomic_store_n(&e->shared->mark, AP_KERNEL_LOCK_CLOSED, __ATOMIC_RELEASE);
			e->closed = true;
		}
	}
	t->n_used = 0;
}

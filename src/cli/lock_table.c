/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/lock_table.h"

#include "base/idmap.h"
#include "base/intern.h"
#include "profile/lock_kind.h"

/* How long a function waited for a lock, or how long it let others wait. */
struct place {
	uint32_t row, frame;
	bool is_waker, outside;
	uint64_t ns;
};

struct builder {
	const struct ap_profile *p;
	struct ap_lock_table *t;
	struct ap_intern *keys; /* {pid, lock, kind, caller, domain} to rows, from 1 */
	struct ap_idmap place_of;
	AP_VEC(struct place) places;
	struct ap_idmap row_of; /* {pid, lock}: the row that wakers are told in */
};

static void builder_free(struct builder *b)
{
	ap_intern_free(b->keys);
	ap_idmap_free(&b->place_of);
	ap_vec_free(&b->places);
	ap_idmap_free(&b->row_of);
}

void ap_lock_table_free(struct ap_lock_table *t)
{
	ap_vec_free(&t->rows);
}

/* The string id of a label's value. */
static uint32_t label(const struct ap_profile *p, uint32_t set, const char *key)
{
	struct ap_label_set labels = ap_profile_get_labels(p, set);

	for (uint32_t i = 0; i < labels.n; i++)
		if (ap_str_is(ap_profile_str(p, labels.labels[i].key), key))
			return labels.labels[i].value;
	return 0;
}

static void add(struct ap_wait_sum *to, const struct ap_sample *s)
{
	to->count += s->count;
	to->ns += s->value;
}

static int add_place(struct builder *b, uint32_t row, bool is_waker, const struct ap_sample *s)
{
	struct place fresh = {.row = row, .is_waker = is_waker};
	uint64_t key;
	int r;

	/* Of a lock of the kernel it is who asks for it there. */
	fresh.outside = b->t->rows.p[row].kernel;
	fresh.frame = fresh.outside ? ap_lock_kernel_caller(b->p, s->stack)
				    : ap_lock_waiter(b->p, s->stack, &fresh.outside);
	if (!fresh.frame)
		return 0;
	key = (uint64_t)(row << 1 | is_waker) << 32 | ap_wait_function_key(b->p, fresh.frame);
	r = ap_idmap_add(&b->place_of, key, (uint32_t)b->places.n);
	if (r > 0)
		r = ap_vec_push(&b->places, fresh);
	if (r < 0)
		return r;
	b->places.p[*ap_idmap_find(&b->place_of, key)].ns += s->value;
	return 0;
}

static int add_wait(struct builder *b, const struct ap_sample *s)
{
	const struct ap_profile *p = b->p;
	uint32_t key[] = {label(p, s->labels, "pid"), label(p, s->labels, "lock"),
			  label(p, s->labels, "kind"), label(p, s->labels, "caller"),
			  label(p, s->labels, "domain")};
	struct ap_lock_row fresh = {.pid = ap_profile_str(p, key[0]),
				    .comm = ap_profile_str(p, label(p, s->labels, "comm")),
				    .lock = ap_profile_str(p, key[1]),
				    .kind = ap_profile_str(p, key[2]),
				    .kernel = ap_str_is(ap_profile_str(p, key[4]), "kernel")};
	struct ap_str ended = ap_profile_str(p, label(p, s->labels, "ended"));
	struct ap_lock_row *row;
	uint32_t id;
	bool is_new;

	if (!key[1]) {
		add(&b->t->short_waits, s);
		return 0;
	}
	if (ap_intern_add(b->keys, (struct ap_str){(const char *)key, sizeof(key)}, &id, &is_new) <
		    0 ||
	    (is_new && ap_vec_push(&b->t->rows, fresh) < 0))
		return -ENOMEM;
	row = &b->t->rows.p[id - 1];
	add(&row->sum, s);
	if (!row->place.n)
		row->place = ap_profile_str(p, label(p, s->labels, "place"));
	row->ended |= ap_str_is(ended, "woken");
	row->timeouts += ap_str_is(ended, "timeout") ? s->count : 0;
	row->signals += ap_str_is(ended, "signal") ? s->count : 0;
	if (s->count == 1)
		row->max_ns = AP_MAX(row->max_ns, s->value);
	if (ap_idmap_add(&b->row_of, (uint64_t)key[0] << 32 | key[1], id - 1) < 0)
		return -ENOMEM;
	return add_place(b, id - 1, false, s);
}

/* What ended a wait knows how long all of it was, where the waits' rows tell of a long one in parts. */
static int add_waker(struct builder *b, const struct ap_sample *s)
{
	uint64_t key =
		(uint64_t)label(b->p, s->labels, "pid") << 32 | label(b->p, s->labels, "lock");
	const uint32_t *row = ap_idmap_find(&b->row_of, key);

	if (!row)
		return 0;
	if (s->count == 1)
		b->t->rows.p[*row].max_ns = AP_MAX(b->t->rows.p[*row].max_ns, s->value);
	return add_place(b, *row, true, s);
}

/* Where a stack ends early, all that is left of it may be the primitive. */
static bool tells_more(const struct place *a, const struct place *b)
{
	return a->outside != b->outside ? a->outside : a->ns > b->ns;
}

static int name_places(struct builder *b)
{
	_cleanup_free_ const struct place **best = calloc(b->t->rows.n + 1, 2 * sizeof(*best));

	if (!best)
		return -ENOMEM;
	AP_VEC_FOREACH(&b->places, place) {
		const struct place **at = &best[2 * place->row + place->is_waker];

		if (!*at || tells_more(place, *at))
			*at = place;
	}
	for (size_t i = 0; i < b->t->rows.n; i++) {
		b->t->rows.p[i].waiter = best[2 * i] ? best[2 * i]->frame : 0;
		b->t->rows.p[i].waker = best[2 * i + 1] ? best[2 * i + 1]->frame : 0;
	}
	return 0;
}

/* Of waits that were told of in parts or drawn for others, as of those that go on, the length of one is not known:
 * what was seen to be the longest is it only if it is not below the mean. */
static bool knows_longest(const struct ap_lock_row *row)
{
	return row->sum.count && row->sum.ns / row->sum.count <= row->max_ns;
}

static void judge(struct ap_lock_table *t)
{
	AP_VEC_FOREACH(&t->rows, row) {
		struct ap_wait_sum *to;

		if (!knows_longest(row))
			row->max_ns = 0;
		row->contended = !row->kernel && ap_lock_may_be_for_work(row->kind)
					 ? row->ended
					 : ap_lock_is_contention(row->kind);
		to = row->contended ? &t->contended : &t->others;
		to->count += row->sum.count;
		to->ns += row->sum.ns;
	}
}

static int by_time(const void *a, const void *b)
{
	const struct ap_lock_row *x = a, *y = b;
	int r;

	if (x->sum.ns != y->sum.ns)
		return x->sum.ns < y->sum.ns ? 1 : -1;
	r = ap_str_cmp(x->pid, y->pid);
	return r ?: ap_str_cmp(x->lock, y->lock);
}

static int build(struct builder *b, const bool *wanted)
{
	b->keys = ap_intern_new();
	if (!b->keys)
		return -ENOMEM;
	AP_VEC_FOREACH(&b->p->samples, s)
		if (s->event == AP_EVENT_LOCK && (!wanted || wanted[s->labels]) &&
		    add_wait(b, s) < 0)
			return -ENOMEM;
	AP_VEC_FOREACH(&b->p->samples, s)
		if (s->event == AP_EVENT_WAKER && (!wanted || wanted[s->labels]) &&
		    add_waker(b, s) < 0)
			return -ENOMEM;
	judge(b->t);
	return name_places(b);
}

int ap_lock_table_build(const struct ap_profile *p, const bool *wanted, struct ap_lock_table *ret)
{
	_cleanup_(builder_free) struct builder b = {.p = p, .t = ret};
	int r = build(&b, wanted);

	if (r == 0 && ret->rows.n)
		qsort(ret->rows.p, ret->rows.n, sizeof(*ret->rows.p), by_time);
	return r;
}

void ap_lock_text(const struct ap_profile *p, const struct ap_lock_row *row, struct ap_buf *out)
{
	struct ap_str place = row->place.n || row->kernel ? row->place : row->lock;

	ap_wait_function(p, row->waiter, out);
	if (row->waker) {
		ap_buf_puts(out, " ← ");
		ap_wait_function(p, row->waker, out);
	}
	if (place.n)
		ap_buf_printf(out, "  %.*s", AP_STR_ARG(place));
	ap_buf_printf(out, "  %.*s[%.*s]", AP_STR_ARG(row->comm), AP_STR_ARG(row->pid));
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/wait_table.h"

#include "base/idmap.h"
#include "profile/lock_kind.h"

static const char *const names[AP_WAIT_CAUSES] = {
	[AP_WAIT_CAUSE_RUNNABLE] = "runnable", [AP_WAIT_CAUSE_BLOCKED] = "blocked",
	[AP_WAIT_CAUSE_LOCK] = "lock",	       [AP_WAIT_CAUSE_SLEEPING] = "sleeping",
	[AP_WAIT_CAUSE_OTHER] = "other",
};

const char *ap_wait_cause_name(enum ap_wait_cause cause)
{
	return names[cause];
}

enum ap_wait_cause ap_wait_cause_of(struct ap_str state)
{
	for (uint32_t i = 0; i < AP_WAIT_CAUSE_OTHER; i++)
		if (ap_str_is(state, names[i]))
			return i;
	return AP_WAIT_CAUSE_OTHER;
}

void ap_wait_table_free(struct ap_wait_table *t)
{
	ap_vec_free(&t->rows);
}

uint32_t ap_wait_function_key(const struct ap_profile *p, uint32_t frame)
{
	const struct ap_frame *f = ap_profile_get_frame(p, frame);

	return f->function ? f->function << 1 : f->mapping << 1 | 1;
}

void ap_wait_function(const struct ap_profile *p, uint32_t frame, struct ap_buf *out)
{
	const struct ap_frame *f = ap_profile_get_frame(p, frame);
	struct ap_str module = ap_profile_module(p, f->mapping);

	if (!frame) {
		ap_buf_puts(out, "(no user stack)");
		return;
	}
	/* Of code without names the table has one row for each module. */
	if (!f->function && module.n)
		ap_buf_str(out, module);
	else
		ap_profile_frame_name(p, frame, out);
}

static void add(struct ap_wait_sum *to, const struct ap_sample *s)
{
	to->count += s->count;
	to->ns += s->value;
}

static int add_sample(struct ap_wait_table *t, struct ap_idmap *rows, const struct ap_profile *p,
		      const struct ap_sample *s)
{
	enum ap_wait_cause cause =
		ap_wait_cause_of(ap_profile_label_value(p, s->labels, AP_STR("state")));
	struct ap_wait_row fresh = {0}, *row;
	uint32_t key;
	bool outside;
	int r;

	fresh.frame = ap_lock_waiter(p, s->stack, &outside);
	key = ap_wait_function_key(p, fresh.frame);
	r = ap_idmap_add(rows, key, (uint32_t)t->rows.n);
	if (r > 0)
		r = ap_vec_push(&t->rows, fresh);
	if (r < 0)
		return r;
	row = &t->rows.p[*ap_idmap_find(rows, key)];
	add(&row->sum, s);
	add(&row->causes[cause], s);
	add(&t->sum, s);
	add(&t->causes[cause], s);
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct ap_wait_row *x = a, *y = b;

	if (x->sum.ns != y->sum.ns)
		return x->sum.ns < y->sum.ns ? 1 : -1;
	return x->frame < y->frame ? -1 : x->frame > y->frame;
}

int ap_wait_table_build(const struct ap_profile *p, const bool *wanted, struct ap_wait_table *ret)
{
	_cleanup_idmap_ struct ap_idmap rows = {0};

	AP_VEC_FOREACH(&p->samples, s) {
		if (s->event != AP_EVENT_OFFCPU || (wanted && !wanted[s->labels]))
			continue;
		if (add_sample(ret, &rows, p, s) < 0)
			return -ENOMEM;
	}
	if (ret->rows.n)
		qsort(ret->rows.p, ret->rows.n, sizeof(*ret->rows.p), by_time);
	return 0;
}

enum ap_wait_cause ap_wait_row_cause(const struct ap_wait_row *r)
{
	uint32_t most = 0;

	for (uint32_t i = 1; i < AP_WAIT_CAUSES; i++)
		if (r->causes[i].ns > r->causes[most].ns)
			most = i;
	return most;
}

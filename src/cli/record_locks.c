/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's own locks that a recording waited for: a table of those waited for longest. */
#include <inttypes.h>

#include "cli/cell.h"
#include "cli/record.h"
#include "profile/value.h"

#define LONGEST 10

struct row {
	struct ap_str kind, lock, caller;
	uint64_t count, ns;
};

struct table {
	AP_VEC(struct row) rows;
	struct ap_intern *keys; /* {kind, lock, caller} to rows */
	uint64_t count, ns;
};

static void table_free(struct table *t)
{
	ap_vec_free(&t->rows);
	ap_intern_free(t->keys);
}

static int add(struct table *t, const struct ap_profile *p, const struct ap_sample *s)
{
	static const char *const names[] = {"kind", "lock", "caller"};
	struct ap_str v[AP_ARRAY_SIZE(names)];
	uint32_t key[AP_ARRAY_SIZE(names)], id;
	struct row fresh = {0}, *row;
	bool is_new;

	for (size_t i = 0; i < AP_ARRAY_SIZE(names); i++) {
		v[i] = ap_profile_label_value(p, s->labels, ap_str_of(names[i]));
		if (ap_intern_find(p->strings, v[i], &key[i]) < 0)
			return -EINVAL;
	}
	fresh.kind = v[0];
	fresh.lock = v[1];
	fresh.caller = v[2];
	if (ap_intern_add(t->keys, (struct ap_str){(const char *)key, sizeof(key)}, &id, &is_new) <
		    0 ||
	    (is_new && ap_vec_push(&t->rows, fresh) < 0))
		return -ENOMEM;
	row = &t->rows.p[id - 1];
	row->count += s->count;
	row->ns += s->value;
	t->count += s->count;
	t->ns += s->value;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? 1 : -1;
	return ap_str_cmp(x->caller, y->caller);
}

static int build(struct table *t, const struct ap_profile *p)
{
	t->keys = ap_intern_new();
	if (!t->keys)
		return -ENOMEM;
	AP_VEC_FOREACH(&p->samples, s) {
		int r = 0;

		if (s->event == AP_EVENT_LOCK &&
		    ap_str_is(ap_profile_label_value(p, s->labels, AP_STR("domain")), "kernel"))
			r = add(t, p, s);
		if (r < 0)
			return r;
	}
	if (t->rows.n)
		qsort(t->rows.p, t->rows.n, sizeof(*t->rows.p), by_time);
	return 0;
}

int ap_record_locks_text(const struct ap_recording *r, struct ap_buf *out)
{
	_cleanup_(table_free) struct table t = {0};
	int err = build(&t, r->session.profile);

	if (err < 0 || t.rows.n == 0)
		return err;
	ap_buf_printf(out, "of them %" PRIu64 " of ", t.count);
	ap_value_text(out, t.ns, "nanoseconds");
	ap_buf_printf(out,
		      " for locks of the kernel%s:\n"
		      "  %10s  %9s  %-18s  %-20s  %s\n",
		      t.rows.n > LONGEST ? ", most for" : "", "waited", "waits", "kind", "lock",
		      "in");
	for (size_t i = 0; i < t.rows.n && i < LONGEST; i++) {
		const struct row *row = &t.rows.p[i];

		ap_cell_value(out, row->ns, "nanoseconds", 12);
		ap_buf_printf(out, "  %9" PRIu64 "  %-18.*s  %-20.*s  %.*s\n", row->count,
			      AP_STR_ARG(row->kind), AP_STR_ARG(row->lock),
			      AP_STR_ARG(row->caller));
	}
	return ap_buf_error(out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/syscall_table.h"

#include <inttypes.h>

#include "base/intern.h"
#include "base/json.h"
#include "cli/cell.h"
#include "profile/value.h"

struct builder {
	struct ap_syscall_table *t;
	struct ap_intern *keys, *flights; /* {name, abi} to rows; {labels, name, abi} to last */
	AP_VEC(const struct ap_syscall *) last;
};

static void builder_free(struct builder *b)
{
	ap_vec_free(&b->last);
	ap_intern_free(b->keys);
	ap_intern_free(b->flights);
}

void ap_syscall_table_free(struct ap_syscall_table *t)
{
	AP_VEC_FOREACH(&t->rows, r)
		ap_syscall_stat_free(&r->stat);
	ap_vec_free(&t->rows);
}

static int find(struct builder *b, const struct ap_profile *p, const struct ap_syscall *s,
		struct ap_syscall_row **ret)
{
	const uint32_t key[2] = {s->name, s->abi};
	const struct ap_syscall_row fresh = {.name = ap_profile_str(p, s->name),
					     .abi = ap_profile_str(p, s->abi)};
	uint32_t id;
	bool is_new;

	if (ap_intern_add(b->keys, (struct ap_str){(const char *)key, sizeof(key)}, &id, &is_new) <
		    0 ||
	    (is_new && ap_vec_push(&b->t->rows, fresh) < 0))
		return -ENOMEM;
	*ret = &b->t->rows.p[id - 1];
	return 0;
}

static int add(struct builder *b, const struct ap_profile *p, const struct ap_syscall *s)
{
	const uint32_t who[3] = {s->labels, s->name, s->abi};
	struct ap_syscall_row *r;
	uint32_t id;
	bool is_new;

	if (find(b, p, s, &r) < 0 || ap_profile_syscall_stat(p, s, &r->stat) < 0 ||
	    ap_intern_add(b->flights, (struct ap_str){(const char *)who, sizeof(who)}, &id,
			  &is_new) < 0 ||
	    (is_new && ap_vec_push(&b->last, s) < 0))
		return -ENOMEM;
	b->last.p[id - 1] = s;
	b->t->count += s->count;
	b->t->sum_ns += s->sum_ns;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct ap_syscall_row *x = a, *y = b;

	if (x->stat.sum_ns != y->stat.sum_ns)
		return x->stat.sum_ns < y->stat.sum_ns ? 1 : -1;
	return ap_str_cmp(x->name, y->name);
}

/* Of who is in a call now, the last collection knows. */
static int build(struct builder *b, const struct ap_profile *p, const bool *wanted)
{
	struct ap_syscall_row *r;

	b->keys = ap_intern_new();
	b->flights = ap_intern_new();
	if (!b->keys || !b->flights)
		return -ENOMEM;
	AP_VEC_FOREACH(&p->syscalls, s)
		if ((!wanted || wanted[s->labels]) && add(b, p, s) < 0)
			return -ENOMEM;
	AP_VEC_FOREACH(&b->last, s) {
		if (find(b, p, *s, &r) < 0)
			return -ENOMEM;
		r->in_flight += (*s)->in_flight;
		r->oldest_ns = AP_MAX(r->oldest_ns, (*s)->oldest_ns);
	}
	return 0;
}

int ap_syscall_table_build(const struct ap_profile *p, const bool *wanted,
			   struct ap_syscall_table *ret)
{
	_cleanup_(builder_free) struct builder b = {.t = ret};
	int r = build(&b, p, wanted);

	if (r == 0 && ret->rows.n)
		qsort(ret->rows.p, ret->rows.n, sizeof(*ret->rows.p), by_time);
	return r;
}

static void latency(struct ap_buf *out, double ns, size_t width)
{
	if (ns < 0)
		ap_cell_right(out, AP_STR("-"), width);
	else
		ap_cell_value(out, (uint64_t)ns, "nanoseconds", width);
}

void ap_syscall_row_name(const struct ap_syscall_row *r, struct ap_buf *out)
{
	ap_buf_str(out, r->name);
	if (!ap_str_is(r->abi, ap_syscall_abi_name(AP_SYSCALL_NATIVE)))
		ap_buf_printf(out, " (%.*s)", AP_STR_ARG(r->abi));
}

void ap_syscall_row_errors(const struct ap_syscall_row *r, bool brief, struct ap_buf *out)
{
	AP_VEC_FOREACH(&r->stat.errors.v, e) {
		const char *name = ap_errno_name(e->number);

		if (e > r->stat.errors.v.p)
			ap_buf_puts(out, ", ");
		if (name)
			ap_buf_puts(out, name);
		else
			ap_buf_printf(out, "errno %u", e->number);
		if (!brief || r->stat.errors.v.n > 1)
			ap_buf_printf(out, " %" PRIu64, e->count);
	}
}

static void details(struct ap_buf *out, const struct ap_syscall_row *r)
{
	ap_buf_puts(out, "  ");
	ap_syscall_row_name(r, out);
	if (r->stat.errors.v.n) {
		ap_buf_puts(out, "  ");
		ap_syscall_row_errors(r, false, out);
	}
	if (r->in_flight) {
		ap_buf_printf(out, "  %" PRIu64 " in flight for ", r->in_flight);
		ap_value_text(out, r->oldest_ns, "nanoseconds");
	}
	ap_buf_byte(out, '\n');
}

void ap_syscall_table_text(const struct ap_syscall_table *t, struct ap_buf *out)
{
	ap_buf_printf(out, "%7s %10s %10s %8s %10s %10s %10s %10s  %s\n", "time", "total", "calls",
		      "errors", "mean", "p50", "p99", "max", "system call");
	AP_VEC_FOREACH(&t->rows, row) {
		const struct ap_syscall_stat *s = &row->stat;
		uint64_t returned = ap_syscall_counts_sum(&s->buckets);
		_cleanup_buf_ struct ap_buf percent = {0};

		ap_value_percent(&percent, s->sum_ns, t->sum_ns);
		ap_cell_right(out, ap_buf_view(&percent), 7);
		ap_cell_value(out, s->sum_ns, "nanoseconds", 11);
		ap_cell_value(out, s->count, "count", 11);
		ap_cell_value(out, ap_syscall_counts_sum(&s->errors), "count", 9);
		latency(out, returned ? (double)s->sum_ns / (double)returned : -1, 11);
		latency(out, ap_syscall_quantile(s, 0.5), 11);
		latency(out, ap_syscall_quantile(s, 0.99), 11);
		latency(out, returned ? (double)s->max_ns : -1, 11);
		details(out, row);
	}
}

void ap_syscall_table_json(const struct ap_syscall_table *t, struct ap_buf *out)
{
	ap_buf_byte(out, '[');
	AP_VEC_FOREACH(&t->rows, row) {
		ap_buf_puts(out, row == t->rows.p ? "{" : ",{");
		ap_json_key(out, "syscall");
		ap_json_string(out, row->name);
		ap_json_key(out, "abi");
		ap_json_string(out, row->abi);
		ap_syscall_stat_json(out, &row->stat);
		ap_json_key(out, "in_flight");
		ap_json_u64(out, row->in_flight);
		ap_json_key(out, "oldest_ns");
		ap_json_u64(out, row->oldest_ns);
		ap_buf_byte(out, '}');
	}
	ap_buf_byte(out, ']');
}

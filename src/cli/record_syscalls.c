/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of a recording, of all processes together: as a table for people, which reads like
 * that of `strace -c`, and as JSON. */
#include <inttypes.h>

#include "base/json.h"
#include "cli/record.h"
#include "profile/value.h"

/* A call of one ABI. */
struct row {
	struct ap_str name, abi;
	struct ap_syscall_stat stat;
	uint64_t in_flight, oldest_ns;
};

struct table {
	AP_VEC(struct row) rows;
	struct ap_intern *keys, *flights; /* {name, abi} to rows; {labels, name, abi} to last */
	AP_VEC(const struct ap_syscall *) last;
	uint64_t count, sum_ns;
};

static void table_free(struct table *t)
{
	AP_VEC_FOREACH(&t->rows, r)
		ap_syscall_stat_free(&r->stat);
	ap_vec_free(&t->rows);
	ap_vec_free(&t->last);
	ap_intern_free(t->keys);
	ap_intern_free(t->flights);
}

static int find(struct table *t, const struct ap_profile *p, const struct ap_syscall *s,
		struct row **ret)
{
	const uint32_t key[2] = {s->name, s->abi};
	const struct row fresh = {.name = ap_profile_str(p, s->name),
				  .abi = ap_profile_str(p, s->abi)};
	uint32_t id;
	bool is_new;

	if (ap_intern_add(t->keys, (struct ap_str){(const char *)key, sizeof(key)}, &id, &is_new) <
		    0 ||
	    (is_new && ap_vec_push(&t->rows, fresh) < 0))
		return -ENOMEM;
	*ret = &t->rows.p[id - 1];
	return 0;
}

static int add(struct table *t, const struct ap_profile *p, const struct ap_syscall *s)
{
	const uint32_t who[3] = {s->labels, s->name, s->abi};
	struct row *r;
	uint32_t id;
	bool is_new;

	if (find(t, p, s, &r) < 0 || ap_profile_syscall_stat(p, s, &r->stat) < 0 ||
	    ap_intern_add(t->flights, (struct ap_str){(const char *)who, sizeof(who)}, &id,
			  &is_new) < 0 ||
	    (is_new && ap_vec_push(&t->last, s) < 0))
		return -ENOMEM;
	t->last.p[id - 1] = s;
	t->count += s->count;
	t->sum_ns += s->sum_ns;
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->stat.sum_ns != y->stat.sum_ns)
		return x->stat.sum_ns < y->stat.sum_ns ? 1 : -1;
	return ap_str_cmp(x->name, y->name);
}

/* Of who is in a call now, the last collection knows. */
static int build(struct table *t, const struct ap_profile *p)
{
	struct row *r;

	t->keys = ap_intern_new();
	t->flights = ap_intern_new();
	if (!t->keys || !t->flights)
		return -ENOMEM;
	AP_VEC_FOREACH(&p->syscalls, s)
		if (add(t, p, s) < 0)
			return -ENOMEM;
	AP_VEC_FOREACH(&t->last, s) {
		if (find(t, p, *s, &r) < 0)
			return -ENOMEM;
		r->in_flight += (*s)->in_flight;
		r->oldest_ns = AP_MAX(r->oldest_ns, (*s)->oldest_ns);
	}
	if (t->rows.n)
		qsort(t->rows.p, t->rows.n, sizeof(*t->rows.p), by_time);
	return 0;
}

/* Appends `text` to the right of `width` columns. */
static void right(struct ap_buf *out, struct ap_str text, size_t width)
{
	size_t columns = 0;

	for (size_t i = 0; i < text.n; i++)
		columns += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	for (; columns < width; columns++)
		ap_buf_byte(out, ' ');
	ap_buf_str(out, text);
}

static void value(struct ap_buf *out, uint64_t v, const char *unit, size_t width)
{
	_cleanup_buf_ struct ap_buf text = {0};

	ap_value_text(&text, v, unit);
	right(out, ap_buf_view(&text), width);
}

static void latency(struct ap_buf *out, double ns, size_t width)
{
	if (ns < 0)
		right(out, AP_STR("-"), width);
	else
		value(out, (uint64_t)ns, "nanoseconds", width);
}

static void details(struct ap_buf *out, const struct row *r)
{
	ap_buf_printf(out, "  %.*s", AP_STR_ARG(r->name));
	if (!ap_str_is(r->abi, ap_syscall_abi_name(AP_SYSCALL_NATIVE)))
		ap_buf_printf(out, " (%.*s)", AP_STR_ARG(r->abi));
	AP_VEC_FOREACH(&r->stat.errors.v, e) {
		const char *name = ap_errno_name(e->number);

		ap_buf_printf(out, "%s%s %" PRIu64, e == r->stat.errors.v.p ? "  " : ", ",
			      name ? name : "errno ?", e->count);
	}
	if (r->in_flight) {
		ap_buf_printf(out, "  %" PRIu64 " in flight for ", r->in_flight);
		ap_value_text(out, r->oldest_ns, "nanoseconds");
	}
	ap_buf_byte(out, '\n');
}

int ap_record_syscalls_text(const struct ap_recording *r, struct ap_buf *out)
{
	_cleanup_(table_free) struct table t = {0};

	if (build(&t, r->profile) < 0)
		return -ENOMEM;
	ap_buf_printf(out, "%7s %10s %10s %8s %10s %10s %10s %10s  %s\n", "time", "total", "calls",
		      "errors", "mean", "p50", "p99", "max", "system call");
	AP_VEC_FOREACH(&t.rows, row) {
		const struct ap_syscall_stat *s = &row->stat;
		uint64_t returned = ap_syscall_counts_sum(&s->buckets);
		_cleanup_buf_ struct ap_buf percent = {0};

		ap_value_percent(&percent, s->sum_ns, t.sum_ns);
		right(out, ap_buf_view(&percent), 7);
		value(out, s->sum_ns, "nanoseconds", 11);
		value(out, s->count, "count", 11);
		value(out, ap_syscall_counts_sum(&s->errors), "count", 9);
		latency(out, returned ? (double)s->sum_ns / (double)returned : -1, 11);
		latency(out, ap_syscall_quantile(s, 0.5), 11);
		latency(out, ap_syscall_quantile(s, 0.99), 11);
		latency(out, returned ? (double)s->max_ns : -1, 11);
		details(out, row);
	}
	return ap_buf_error(out);
}

int ap_record_syscalls_json(const struct ap_recording *r, struct ap_buf *out)
{
	_cleanup_(table_free) struct table t = {0};

	if (build(&t, r->profile) < 0)
		return -ENOMEM;
	ap_buf_byte(out, '{');
	ap_json_key(out, "version");
	ap_json_string(out, AP_STR(APERTURE_VERSION));
	ap_json_key(out, "duration_ns");
	ap_json_u64(out, r->stop_ns - r->start_ns);
	ap_json_key(out, "count");
	ap_json_u64(out, t.count);
	ap_json_key(out, "sum_ns");
	ap_json_u64(out, t.sum_ns);
	ap_json_key(out, "syscalls");
	ap_buf_byte(out, '[');
	AP_VEC_FOREACH(&t.rows, row) {
		ap_buf_puts(out, row == t.rows.p ? "{" : ",{");
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
	ap_buf_puts(out, "]}\n");
	return ap_buf_error(out);
}

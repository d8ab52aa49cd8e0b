/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/rows.h"

#include "agent/file.h"

_Static_assert(sizeof(struct ap_raw_stack) == 16, "8-byte aligned arrays follow");
_Static_assert(sizeof(struct ap_raw_frame) == 16, "no padding: interned as bytes");

struct ap_rows *ap_rows_new(void)
{
	struct ap_rows *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->strings = ap_intern_new_text();
	r->stacks = ap_intern_new_keys();
	if (!r->strings || !r->stacks || ap_vec_push(&r->files, (struct ap_rows_file){.fd = -1}) ||
	    ap_vec_push(&r->places, (struct ap_rows_place){0})) {
		ap_rows_free(r);
		return NULL;
	}
	return r;
}

void ap_rows_free(struct ap_rows *r)
{
	if (!r)
		return;
	AP_VEC_FOREACH(&r->held, f)
		ap_file_unpin(*f);
	ap_vec_free(&r->held);
	ap_intern_free(r->strings);
	ap_intern_free(r->stacks);
	ap_vec_free(&r->files);
	ap_vec_free(&r->processes);
	ap_vec_free(&r->rows);
	ap_vec_free(&r->places);
	AP_VEC_FOREACH(&r->syscalls, s)
		ap_syscall_stat_free(&s->stat);
	ap_vec_free(&r->syscalls);
	free(r);
}

static size_t syscall_bytes(const struct ap_rows *r)
{
	size_t n = r->syscalls.cap * sizeof(*r->syscalls.p);

	AP_VEC_FOREACH(&r->syscalls, s)
		n += (s->stat.buckets.v.cap + s->stat.errors.v.cap) *
		     sizeof(struct ap_syscall_count);
	return n;
}

size_t ap_rows_bytes(const struct ap_rows *r)
{
	return sizeof(*r) + syscall_bytes(r) + ap_intern_bytes(r->strings) +
	       ap_intern_bytes(r->stacks) + r->files.cap * sizeof(*r->files.p) +
	       r->processes.cap * sizeof(*r->processes.p) + r->rows.cap * sizeof(*r->rows.p) +
	       r->places.cap * sizeof(*r->places.p) + r->held.cap * sizeof(struct ap_file *);
}

struct ap_stack_view ap_rows_stack(const struct ap_rows *r, uint32_t id)
{
	struct ap_str s = ap_intern_get(r->stacks, id);
	const struct ap_raw_stack *raw = (const void *)s.p;
	struct ap_stack_view v = {.process = AP_ROWS_NONE};

	if (s.n < sizeof(*raw))
		return v;
	v.kernel = (const void *)(raw + 1);
	v.n_kernel = raw->n_kernel;
	v.user = (const void *)(v.kernel + raw->n_kernel);
	v.n_user = raw->n_user;
	v.process = raw->process;
	v.reason = raw->reason;
	v.flags = raw->flags;
	return v;
}

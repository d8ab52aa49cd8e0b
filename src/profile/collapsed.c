/* SPDX-License-Identifier: Apache-2.0 */
/* A line per (comm, stack), for flamegraph.pl and everything that reads its input:
 *
 *	comm;outermost;…;leaf VALUE
 *
 * Kernel frames end in "_[k]". A name cannot hold the separator or a line end: ';' becomes ':', and
 * control characters become spaces. */
#include "profile/tree_builder.h"
#include "profile/writer.h"

static void put_name(struct ap_buf *out, struct ap_str name)
{
	size_t start = out->n;

	ap_buf_utf8(out, name);
	for (size_t i = start; i < out->n; i++) {
		if (out->p[i] == ';')
			out->p[i] = ':';
		else if (out->p[i] < 0x20 || out->p[i] == 0x7f)
			out->p[i] = ' ';
	}
}

static void put_line(struct ap_write_job *job, struct ap_str comm, uint32_t stack, uint64_t value)
{
	struct ap_stack st = ap_profile_get_stack(job->p, stack);
	struct ap_buf *out = &job->out.buf;
	_cleanup_buf_ struct ap_buf name = {0};

	put_name(out, comm);
	for (uint32_t i = 0; i < st.n; i++) {
		ap_buf_clear(&name);
		ap_profile_frame_name(job->p, st.frames[i], &name);
		ap_buf_byte(out, ';');
		put_name(out, ap_buf_view(&name));
		if (ap_profile_get_frame(job->p, st.frames[i])->kind == AP_FRAME_KERNEL)
			ap_buf_puts(out, "_[k]");
	}
	ap_buf_printf(out, " %llu\n", (unsigned long long)value);
	ap_out_pass(&job->out);
}

/* What names the line: the thread's program, or the nearest thing to it that is known. */
static struct ap_str comm_of(const struct ap_profile *p, uint32_t labels)
{
	static const char *const keys[] = {"comm", "thread", "service"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(keys); i++) {
		struct ap_str v = ap_profile_label_value(p, labels, ap_str_of(keys[i]));

		if (v.n)
			return v;
	}
	return AP_STR("[unknown]");
}

struct line {
	uint32_t comm, stack;
};

int ap_write_collapsed(struct ap_write_job *job)
{
	const struct ap_profile *p = job->p;
	const struct ap_profile_type *type = job->o.type;
	_cleanup_(ap_cleanup_intern) struct ap_intern *comms = ap_intern_new();
	_cleanup_(ap_cleanup_intern) struct ap_intern *lines = ap_intern_new();
	AP_VEC(uint64_t) sums = {0};
	int r = comms && lines ? ap_vec_push(&sums, 0) : -ENOMEM;

	for (size_t i = 0; i < p->samples.n && r == 0; i++) {
		const struct ap_sample *s = &p->samples.p[i];
		struct line line = {.stack = s->stack};
		uint32_t id;

		if (s->event != (uint32_t)type->event)
			continue;
		r = ap_intern_add(comms, comm_of(p, s->labels), &line.comm, NULL);
		if (r == 0)
			r = ap_intern_add(lines, (struct ap_str){(char *)&line, sizeof(line)}, &id,
					  NULL);
		if (r == 0 && id == sums.n)
			r = ap_vec_push(&sums, 0);
		if (r == 0)
			sums.p[id] =
				ap_sum_saturating(sums.p[id], type->is_value ? s->value : s->count);
	}
	for (uint32_t id = 1; id < sums.n && r == 0; id++) {
		const struct line *line = (const void *)ap_intern_get(lines, id).p;

		if (sums.p[id])
			put_line(job, ap_intern_get(comms, line->comm), line->stack, sums.p[id]);
	}
	ap_vec_free(&sums);
	return r;
}

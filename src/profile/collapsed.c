/* SPDX-License-Identifier: Apache-2.0 */
/* A line per program and names of a stack, for flamegraph.pl and everything that reads its input:
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

/* Lines are told apart by what they say: places of one function are the same word. */
struct lines {
	const struct ap_profile *p;
	struct ap_intern *words;	/* names as they are written */
	struct ap_intern *lines;	/* each a list of words */
	AP_VEC(uint32_t) word_of_frame; /* 0: not known yet */
	AP_VEC(uint32_t) line;		/* the one being looked up */
	AP_VEC(uint64_t) sums;		/* by line */
};

static int add_word(struct lines *l, struct ap_str name, bool kernel, uint32_t *ret)
{
	_cleanup_buf_ struct ap_buf word = {0};

	put_name(&word, name);
	if (kernel)
		ap_buf_puts(&word, "_[k]");
	if (ap_buf_error(&word))
		return ap_buf_error(&word);
	return ap_intern_add(l->words, ap_buf_view(&word), ret, NULL);
}

static int word_of_frame(struct lines *l, uint32_t frame, uint32_t *ret)
{
	_cleanup_buf_ struct ap_buf name = {0};
	uint32_t *known;
	int r = 0;

	while (l->word_of_frame.n <= frame && r == 0)
		r = ap_vec_push(&l->word_of_frame, 0);
	if (r < 0)
		return r;
	known = &l->word_of_frame.p[frame];
	if (!*known) {
		ap_profile_frame_name(l->p, frame, &name);
		if (ap_buf_error(&name))
			return ap_buf_error(&name);
		r = add_word(l, ap_buf_view(&name),
			     ap_profile_get_frame(l->p, frame)->kind == AP_FRAME_KERNEL, known);
	}
	*ret = *known;
	return r;
}

static int add(struct lines *l, const struct ap_sample *s, uint64_t value)
{
	struct ap_stack st = ap_profile_get_stack(l->p, s->stack);
	uint32_t word, id;
	int r = add_word(l, comm_of(l->p, s->labels), false, &word);

	l->line.n = 0;
	if (r == 0)
		r = ap_vec_push(&l->line, word);
	for (uint32_t i = 0; i < st.n && r == 0; i++) {
		r = word_of_frame(l, st.frames[i], &word);
		if (r == 0)
			r = ap_vec_push(&l->line, word);
	}
	if (r == 0)
		r = ap_intern_add(
			l->lines,
			(struct ap_str){(char *)l->line.p, l->line.n * sizeof(*l->line.p)}, &id,
			NULL);
	while (r == 0 && l->sums.n <= id)
		r = ap_vec_push(&l->sums, 0);
	if (r == 0)
		l->sums.p[id] = ap_sum_saturating(l->sums.p[id], value);
	return r;
}

static void put_lines(const struct lines *l, struct ap_out *out)
{
	for (uint32_t id = 1; id < l->sums.n; id++) {
		struct ap_str line = ap_intern_get(l->lines, id);
		const uint32_t *words = (const void *)line.p;

		if (!l->sums.p[id])
			continue;
		for (size_t i = 0; i < line.n / sizeof(*words); i++) {
			if (i)
				ap_buf_byte(&out->buf, ';');
			ap_buf_str(&out->buf, ap_intern_get(l->words, words[i]));
		}
		ap_buf_printf(&out->buf, " %llu\n", (unsigned long long)l->sums.p[id]);
		ap_out_pass(out);
	}
}

int ap_write_collapsed(struct ap_write_job *job)
{
	const struct ap_profile_type *type = job->o.type;
	struct lines l = {.p = job->p, .words = ap_intern_new(), .lines = ap_intern_new()};
	int r = l.words && l.lines ? 0 : -ENOMEM;

	for (size_t i = 0; i < job->p->samples.n && r == 0; i++) {
		const struct ap_sample *s = &job->p->samples.p[i];

		if (ap_profile_type_has(type, s->event))
			r = add(&l, s, type->is_value ? s->value : s->count);
	}
	if (r == 0)
		put_lines(&l, &job->out);
	ap_intern_free(l.words);
	ap_intern_free(l.lines);
	ap_vec_free(&l.word_of_frame);
	ap_vec_free(&l.line);
	ap_vec_free(&l.sums);
	return r;
}

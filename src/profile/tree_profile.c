/* SPDX-License-Identifier: Apache-2.0 */
/* From a profile's rows to a tree: rows are summed per stack first, and each frame's symbol is
 * made once. */
#include "profile/tree.h"
#include "profile/tree_builder.h"

struct source {
	struct ap_tree_builder *b;
	const struct ap_profile *p;
	uint32_t *sym_of_frame; /* symbol + 1, 0 = not made yet */
	struct ap_buf name;
	AP_VEC(uint32_t) syms;
};

static int frame_symbol(struct source *s, uint32_t frame, uint32_t *ret_sym)
{
	const struct ap_frame *f = ap_profile_get_frame(s->p, frame);
	const struct ap_function *fn = ap_profile_get_function(s->p, f->function);
	struct ap_tree_symbol symbol = {
		.module = ap_profile_module(s->p, f->mapping),
		.file = ap_profile_str(s->p, fn->file),
		.line = fn->start_line,
		.kind = f->kind,
	};
	int r;

	if (s->sym_of_frame[frame]) {
		*ret_sym = s->sym_of_frame[frame] - 1;
		return 0;
	}
	ap_buf_clear(&s->name);
	ap_profile_frame_name(s->p, frame, &s->name);
	if (ap_buf_error(&s->name))
		return -ENOMEM;
	symbol.name = ap_buf_view(&s->name);
	r = ap_tree_symbol(s->b, &symbol, ret_sym);
	if (r == 0)
		s->sym_of_frame[frame] = *ret_sym + 1;
	return r;
}

static int add_stack(struct source *s, uint32_t stack, uint64_t value, unsigned int side)
{
	struct ap_stack st = ap_profile_get_stack(s->p, stack);
	int r;

	s->syms.n = 0;
	r = ap_vec_reserve(&s->syms, (size_t)st.n);
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < st.n; i++) {
		r = frame_symbol(s, st.frames[i], &s->syms.p[i]);
		if (r < 0)
			return r;
	}
	return ap_tree_add(s->b, s->syms.p, st.n, value, side);
}

int ap_tree_add_profile(struct ap_tree_builder *b, const struct ap_profile *p,
			const struct ap_profile_type *type, unsigned int side)
{
	uint32_t n_stacks = ap_intern_count(p->stacks);
	_cleanup_free_ uint64_t *sums = calloc(n_stacks, sizeof(*sums));
	_cleanup_free_ uint32_t *syms = calloc(ap_intern_count(p->frames), sizeof(*syms));
	struct source s = {.b = b, .p = p, .sym_of_frame = syms};
	int r = 0;

	if (!sums || !syms)
		return -ENOMEM;
	AP_VEC_FOREACH(&p->samples, row) {
		if (row->event == (uint32_t)type->event)
			sums[row->stack] = ap_sum_saturating(
				sums[row->stack], type->is_value ? row->value : row->count);
	}
	for (uint32_t i = 0; i < n_stacks && r == 0; i++)
		if (sums[i])
			r = add_stack(&s, i, sums[i], side);
	ap_buf_free(&s.name);
	ap_vec_free(&s.syms);
	return r;
}

int ap_tree_from_profile(const struct ap_profile *p, const struct ap_profile_type *type,
			 uint32_t max_nodes, struct ap_tree **ret)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	int r;

	if (!b)
		return -ENOMEM;
	r = ap_tree_add_profile(b, p, type, 0);
	if (r < 0)
		return r;
	return ap_tree_finish(b, max_nodes, false, ret);
}

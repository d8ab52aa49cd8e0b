/* SPDX-License-Identifier: Apache-2.0 */
/* From a profile's rows to a tree: rows are summed per stack first, and each frame's symbol is
 * made once. */
#include "profile/tree.h"
#include "profile/tree_builder.h"

int ap_tree_profile_symbols(struct ap_tree_builder *b, const struct ap_profile *p,
			    uint32_t **ret_syms)
{
	uint32_t n = ap_intern_count(p->frames);
	_cleanup_free_ uint32_t *syms = calloc(n, sizeof(*syms));
	_cleanup_buf_ struct ap_buf name = {0};

	if (!syms)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct ap_frame *f = ap_profile_get_frame(p, i);
		const struct ap_function *fn = ap_profile_get_function(p, f->function);
		struct ap_tree_symbol s = {
			.module = ap_profile_module(p, f->mapping),
			.file = ap_profile_str(p, fn->file),
			.line = fn->start_line,
			.kind = f->kind,
		};
		int r;

		ap_buf_clear(&name);
		ap_profile_frame_name(p, i, &name);
		if (ap_buf_error(&name))
			return -ENOMEM;
		s.name = ap_buf_view(&name);
		r = ap_tree_symbol(b, &s, &syms[i]);
		if (r < 0)
			return r;
	}
	*ret_syms = AP_TAKE_PTR(syms);
	return 0;
}

static int add_stacks(struct ap_tree_builder *b, const struct ap_profile *p, const uint32_t *syms,
		      const uint64_t *sums, unsigned int side)
{
	AP_VEC(uint32_t) path = {0};
	int r = 0;

	for (uint32_t id = 0; id < ap_intern_count(p->stacks) && r == 0; id++) {
		struct ap_stack s = ap_profile_get_stack(p, id);

		if (!sums[id])
			continue;
		path.n = 0;
		r = ap_vec_reserve(&path, (size_t)s.n);
		for (uint32_t i = 0; i < s.n && r == 0; i++)
			path.p[i] = syms[s.frames[i]];
		if (r == 0)
			r = ap_tree_add(b, path.p, s.n, sums[id], side);
	}
	ap_vec_free(&path);
	return r;
}

int ap_tree_add_profile(struct ap_tree_builder *b, const struct ap_profile *p,
			const struct ap_profile_type *type, unsigned int side)
{
	_cleanup_free_ uint64_t *sums = calloc(ap_intern_count(p->stacks), sizeof(*sums));
	_cleanup_free_ uint32_t *syms = NULL;
	int r;

	if (!sums)
		return -ENOMEM;
	AP_VEC_FOREACH(&p->samples, row)
		if (row->event == (uint32_t)type->event)
			sums[row->stack] = ap_sum_saturating(
				sums[row->stack], type->is_value ? row->value : row->count);
	r = ap_tree_profile_symbols(b, p, &syms);
	return r < 0 ? r : add_stacks(b, p, syms, sums, side);
}

int ap_tree_from_profile(const struct ap_profile *p, const struct ap_profile_type *type,
			 uint32_t max_nodes, struct ap_tree **ret)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	int r;

	if (!b)
		return -ENOMEM;
	r = ap_tree_add_profile(b, p, type, 0);
	return r < 0 ? r : ap_tree_finish(b, max_nodes, false, ret);
}

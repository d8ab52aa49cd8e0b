/* SPDX-License-Identifier: Apache-2.0 */
/* From a profile's rows to a tree: rows are summed per group and stack first, and each frame's symbol is
 * made once. */
#include "profile/tree.h"
#include "profile/tree_builder.h"

#define NO_GROUP UINT32_MAX

int ap_tree_frame_symbol(struct ap_tree_builder *b, const struct ap_profile *p, uint32_t frame,
			 struct ap_buf *name, uint32_t *ret_sym)
{
	const struct ap_frame *f = ap_profile_get_frame(p, frame);
	const struct ap_function *fn = ap_profile_get_function(p, f->function);
	struct ap_tree_symbol s = {
		.module = ap_profile_module(p, f->mapping),
		.file = ap_profile_str(p, fn->file),
		.line = fn->start_line,
		.kind = f->kind,
	};

	ap_buf_clear(name);
	ap_profile_frame_name(p, frame, name);
	if (ap_buf_error(name))
		return -ENOMEM;
	s.name = ap_buf_view(name);
	return ap_tree_symbol(b, &s, ret_sym);
}

int ap_tree_profile_symbols(struct ap_tree_builder *b, const struct ap_profile *p,
			    uint32_t **ret_syms)
{
	uint32_t n = ap_intern_count(p->frames);
	_cleanup_free_ uint32_t *syms = calloc(n, sizeof(*syms));
	_cleanup_buf_ struct ap_buf name = {0};

	if (!syms)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		int r = ap_tree_frame_symbol(b, p, i, &name, &syms[i]);

		if (r < 0)
			return r;
	}
	*ret_syms = AP_TAKE_PTR(syms);
	return 0;
}

/* What stands above a row's stack: a symbol for each label set. */
static int group_symbols(struct ap_tree_builder *b, const struct ap_profile *p, const char *by,
			 uint32_t *groups)
{
	for (uint32_t id = 0; id < ap_intern_count(p->label_sets); id++) {
		struct ap_tree_symbol s = {.name = ap_profile_label_value(p, id, ap_str_of(by))};
		int r;

		groups[id] = NO_GROUP;
		if (!s.name.n)
			continue;
		r = ap_tree_symbol(b, &s, &groups[id]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Rows of one group and stack, summed. */
struct sum {
	uint32_t group, stack;
};

struct sums {
	struct ap_intern *keys; /* struct sum */
	AP_VEC(uint64_t) values;
};

static int sum_rows(const struct ap_profile *p, const struct ap_tree_rows *rows,
		    const uint32_t *groups, struct sums *sums)
{
	int r = ap_vec_push(&sums->values, 0);

	for (size_t i = 0; i < p->samples.n && r == 0; i++) {
		const struct ap_sample *s = &p->samples.p[i];
		struct sum key = {groups ? groups[s->labels] : NO_GROUP, s->stack};
		uint32_t id;

		if (!ap_profile_type_has(rows->type, s->event) ||
		    (rows->wanted && !rows->wanted[s->labels]))
			continue;
		r = ap_intern_add(sums->keys, (struct ap_str){(char *)&key, sizeof(key)}, &id,
				  NULL);
		if (r == 0 && id == sums->values.n)
			r = ap_vec_push(&sums->values, 0);
		if (r == 0)
			sums->values.p[id] = ap_sum_saturating(
				sums->values.p[id], rows->type->is_value ? s->value : s->count);
	}
	return r;
}

static int add_sums(struct ap_tree_builder *b, const struct ap_profile *p, const struct sums *sums,
		    const uint32_t *syms, unsigned int side)
{
	AP_VEC(uint32_t) path = {0};
	int r = 0;

	for (uint32_t id = 1; id < sums->values.n && r == 0; id++) {
		const struct sum *key = (const void *)ap_intern_get(sums->keys, id).p;
		struct ap_stack s = ap_profile_get_stack(p, key->stack);

		path.n = 0;
		r = ap_vec_reserve(&path, (size_t)s.n + 1);
		if (r < 0)
			break;
		if (key->group != NO_GROUP)
			path.p[path.n++] = key->group;
		for (uint32_t i = 0; i < s.n; i++)
			path.p[path.n++] = syms[s.frames[i]];
		r = ap_tree_add(b, path.p, (uint32_t)path.n, sums->values.p[id], side);
	}
	ap_vec_free(&path);
	return r;
}

int ap_tree_add_rows(struct ap_tree_builder *b, const struct ap_profile *p,
		     const struct ap_tree_rows *rows, unsigned int side)
{
	_cleanup_free_ uint32_t *groups = NULL, *syms = NULL;
	struct sums sums = {.keys = ap_intern_new()};
	int r = sums.keys ? 0 : -ENOMEM;

	if (r == 0 && rows->by) {
		groups = calloc(ap_intern_count(p->label_sets), sizeof(*groups));
		r = groups ? group_symbols(b, p, rows->by, groups) : -ENOMEM;
	}
	if (r == 0)
		r = ap_tree_profile_symbols(b, p, &syms);
	if (r == 0)
		r = sum_rows(p, rows, groups, &sums);
	if (r == 0)
		r = add_sums(b, p, &sums, syms, side);
	ap_intern_free(sums.keys);
	ap_vec_free(&sums.values);
	return r;
}

int ap_tree_add_profile(struct ap_tree_builder *b, const struct ap_profile *p,
			const struct ap_profile_type *type, unsigned int side)
{
	return ap_tree_add_rows(b, p, &(struct ap_tree_rows){.type = type}, side);
}

int ap_tree_from_rows(const struct ap_profile *p, const struct ap_tree_rows *rows,
		      uint32_t max_nodes, struct ap_tree **ret)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	int r;

	if (!b)
		return -ENOMEM;
	r = ap_tree_add_rows(b, p, rows, 0);
	return r < 0 ? r : ap_tree_finish(b, max_nodes, false, ret);
}

int ap_tree_from_profile(const struct ap_profile *p, const struct ap_profile_type *type,
			 uint32_t max_nodes, struct ap_tree **ret)
{
	return ap_tree_from_rows(p, &(struct ap_tree_rows){.type = type}, max_nodes, ret);
}

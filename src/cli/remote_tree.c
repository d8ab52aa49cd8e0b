/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/remote_tree.h"

#include "base/error.h"

/* A column of the tree's length, whose numbers are below `end`. */
static const json_t *column(const json_t *nodes, const char *name, uint32_t n, uint64_t end)
{
	const json_t *c = json_object_get(nodes, name);

	if (json_array_size(c) != n)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		const json_t *v = json_array_get(c, i);

		if (!json_is_integer(v) || json_integer_value(v) < 0 ||
		    (uint64_t)json_integer_value(v) >= end)
			return NULL;
	}
	return c;
}

static uint64_t at(const json_t *column, uint32_t i)
{
	return (uint64_t)json_integer_value(json_array_get(column, i));
}

static int read_u32(struct ap_tree *t, const json_t *column, uint32_t **ret)
{
	*ret = column ? ap_arena_alloc(&t->arena, t->n * sizeof(**ret)) : NULL;
	for (uint32_t i = 0; *ret && i < t->n; i++)
		(*ret)[i] = (uint32_t)at(column, i);
	return *ret ? 0 : column ? -ENOMEM : -EPROTO;
}

static int read_u64(struct ap_tree *t, const json_t *column, uint64_t **ret)
{
	*ret = column ? ap_arena_alloc(&t->arena, t->n * sizeof(**ret)) : NULL;
	for (uint32_t i = 0; *ret && i < t->n; i++)
		(*ret)[i] = at(column, i);
	return *ret ? 0 : column ? -ENOMEM : -EPROTO;
}

static int read_kinds(struct ap_tree *t, const json_t *column)
{
	t->kind = column ? ap_arena_alloc(&t->arena, t->n) : NULL;
	for (uint32_t i = 0; t->kind && i < t->n; i++)
		t->kind[i] = (uint8_t)at(column, i);
	return t->kind ? 0 : column ? -ENOMEM : -EPROTO;
}

static int read_strings(struct ap_tree *t, const json_t *strings)
{
	t->n_strings = (uint32_t)json_array_size(strings);
	t->strings = ap_arena_alloc(&t->arena, t->n_strings * sizeof(*t->strings));
	if (!t->strings)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n_strings; i++) {
		const json_t *s = json_array_get(strings, i);
		struct ap_str bytes = {json_string_value(s), json_string_length(s)};

		if (!json_is_string(s))
			return -EPROTO;
		t->strings[i] = (struct ap_str){ap_arena_strdup(&t->arena, bytes), bytes.n};
		if (!t->strings[i].p)
			return -ENOMEM;
	}
	return 0;
}

/* In preorder each node is at most one deeper than the one before it, and there is one root. */
static bool is_preorder(const struct ap_tree *t)
{
	if (t->depth[0] != 0)
		return false;
	for (uint32_t i = 1; i < t->n; i++)
		if (t->depth[i] == 0 || t->depth[i] > t->depth[i - 1] + 1)
			return false;
	return true;
}

static int read_tree(struct ap_tree *t, const json_t *nodes, const json_t *strings)
{
	int r = read_strings(t, strings);

	if (r == 0)
		r = read_u32(t, column(nodes, "depth", t->n, t->n), &t->depth);
	if (r == 0)
		r = read_u32(t, column(nodes, "name", t->n, t->n_strings), &t->name);
	if (r == 0)
		r = read_u32(t, column(nodes, "module", t->n, t->n_strings), &t->module);
	if (r == 0)
		r = read_kinds(t, column(nodes, "kind", t->n, AP_FRAME_KIND_MAX));
	if (r == 0)
		r = read_u64(t, column(nodes, "total", t->n, UINT64_MAX), &t->total[0]);
	if (r == 0)
		r = read_u64(t, column(nodes, "self", t->n, UINT64_MAX), &t->self[0]);
	return r == 0 && !is_preorder(t) ? -EPROTO : r;
}

int ap_remote_tree(const json_t *answer, struct ap_tree **ret)
{
	const json_t *nodes = json_object_get(answer, "nodes");
	const json_t *strings = json_object_get(answer, "strings");
	size_t n = json_array_size(json_object_get(nodes, "depth"));
	_cleanup_(ap_cleanup_tree) struct ap_tree *t = NULL;
	int r;

	if (n == 0 || n > AP_TREE_NODES_MAX || json_array_size(strings) > UINT32_MAX)
		return -EPROTO;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->n = (uint32_t)n;
	r = read_tree(t, nodes, strings);
	if (r == 0)
		*ret = AP_TAKE_PTR(t);
	return r;
}

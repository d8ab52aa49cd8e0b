/* SPDX-License-Identifier: Apache-2.0 */
/* Some rows of a decoded block. */
#include "aggregator/store/native_type.h"

static int pick_items(const struct ap_native_column *c, const uint32_t *rows, size_t n,
		      struct ap_arena *arena, struct ap_native_column *ret);

static int pick_fixed(const struct ap_native_column *c, const uint32_t *rows, size_t n,
		      struct ap_arena *arena, struct ap_native_column *ret)
{
	uint8_t *data = ap_arena_alloc(arena, n * c->width + 1);

	if (!data)
		return -ENOMEM;
	if (c->width == sizeof(uint64_t))
		for (size_t i = 0; i < n; i++)
			memcpy(data + i * sizeof(uint64_t), c->data + rows[i] * sizeof(uint64_t),
			       sizeof(uint64_t));
	else
		for (size_t i = 0; i < n; i++)
			memcpy(data + i * c->width, c->data + (size_t)rows[i] * c->width, c->width);
	ret->data = data;
	return 0;
}

static int pick_strs(const struct ap_native_column *c, const uint32_t *rows, size_t n,
		     struct ap_arena *arena, struct ap_native_column *ret)
{
	struct ap_str *strs = ap_arena_alloc(arena, n * sizeof(*strs) + 1);

	if (!strs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		strs[i] = c->strs[rows[i]];
	ret->strs = strs;
	ret->n_strs = n;
	return 0;
}

static int pick_column(const struct ap_native_column *c, const uint32_t *rows, size_t n,
		       struct ap_arena *arena, struct ap_native_column *ret)
{
	*ret = *c;
	ret->rows = n;
	if (c->items)
		return pick_items(c, rows, n, arena, ret);
	if (ap_native_layouts[c->type].form == AP_NATIVE_TEXT)
		return pick_strs(c, rows, n, arena, ret);
	return pick_fixed(c, rows, n, arena, ret);
}

/* Arrays of some rows, one after another. */
static int pick_items(const struct ap_native_column *c, const uint32_t *rows, size_t n,
		      struct ap_arena *arena, struct ap_native_column *ret)
{
	uint64_t *ends = ap_arena_alloc(arena, n * sizeof(*ends) + 1);
	struct ap_native_column *items = ap_arena_alloc(arena, sizeof(*items));
	size_t from, to, total = 0;
	uint32_t *which;

	if (!ends || !items)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		ap_native_array(c, rows[i], &from, &to);
		total += to - from;
		ends[i] = total;
	}
	which = ap_arena_alloc(arena, total * sizeof(*which) + 1);
	if (!which)
		return -ENOMEM;
	total = 0;
	for (size_t i = 0; i < n; i++) {
		ap_native_array(c, rows[i], &from, &to);
		while (from < to)
			which[total++] = (uint32_t)from++;
	}
	ret->data = (const uint8_t *)ends;
	ret->items = items;
	return pick_column(c->items, which, total, arena, items);
}

int ap_native_pick(const struct ap_native_view *v, uint32_t n_columns, const uint32_t *rows,
		   size_t n, struct ap_native_view *ret)
{
	int r = 0;

	ap_native_view_free(ret);
	ret->columns = ap_arena_zalloc(&ret->arena, n_columns * sizeof(*ret->columns) + 1);
	if (!ret->columns)
		return -ENOMEM;
	for (uint32_t i = 0; i < n_columns && r == 0; i++)
		r = pick_column(&v->columns[i], rows, n, &ret->arena, &ret->columns[i]);
	ret->n_columns = n_columns;
	ret->rows = n;
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Reads blocks that may come from anywhere. A cursor walks the bytes; every count is compared with
 * what is left before anything is allocated for it, so memory stays within a multiple of the input:
 * an element takes at least one byte there and one struct ap_str here. */
#include "aggregator/store/native_type.h"

enum { COLUMNS_MAX = 4096, NAME_MAX_BYTES = 4096, STRING_MAX_BYTES = 1 << 28 };

struct cursor {
	const uint8_t *p, *end;
	struct ap_arena *arena;
	struct ap_error *err;
};

static size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static int bad(struct cursor *c, const char *what)
{
	return ap_error_set(c->err, -EBADMSG, "the answer is not a block of rows: %s", what);
}

static int read_varint(struct cursor *c, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (c->p == c->end)
			return -EAGAIN;
		byte = *c->p++;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = v;
			return 0;
		}
	}
	return bad(c, "a number is too long");
}

static int read_u64(struct cursor *c, uint64_t *ret)
{
	if (left(c) < sizeof(*ret))
		return -EAGAIN;
	memcpy(ret, c->p, sizeof(*ret));
	c->p += sizeof(*ret);
	return 0;
}

static int read_string(struct cursor *c, size_t max, struct ap_str *ret)
{
	uint64_t n;
	int r = read_varint(c, &n);

	if (r < 0)
		return r;
	if (n > max)
		return bad(c, "a text is too long");
	if (n > left(c))
		return -EAGAIN;
	*ret = (struct ap_str){(const char *)c->p, (size_t)n};
	c->p += n;
	return 0;
}

static int read_strings(struct cursor *c, uint64_t n, struct ap_native_column *col)
{
	struct ap_str *strs;

	if (n > left(c))
		return -EAGAIN;
	strs = ap_arena_alloc(c->arena, (size_t)n * sizeof(*strs));
	if (!strs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		int r = read_string(c, STRING_MAX_BYTES, &strs[i]);

		if (r < 0)
			return r;
	}
	col->strs = strs;
	col->n_strs = (size_t)n;
	return 0;
}

static int read_fixed(struct cursor *c, size_t rows, unsigned int width,
		      struct ap_native_column *col)
{
	size_t bytes;

	if (!ap_size_mul(rows, width, &bytes))
		return bad(c, "too many rows");
	if (bytes > left(c))
		return -EAGAIN;
	col->data = c->p;
	col->width = width;
	c->p += bytes;
	return 0;
}

static int read_keys(struct cursor *c, size_t rows, struct ap_native_column *col)
{
	uint64_t flags, n;
	int r;

	if (rows == 0)
		return 0;
	r = read_u64(c, &flags);
	if (r < 0)
		return r;
	if ((flags & 0xff) > 3 || !(flags & AP_NATIVE_LC_HAS_KEYS) || (flags & AP_NATIVE_LC_GLOBAL))
		return bad(c, "unknown flags of a LowCardinality column");
	r = read_u64(c, &n);
	if (r == 0)
		r = read_strings(c, n, col);
	if (r == 0)
		r = read_u64(c, &n);
	if (r < 0)
		return r;
	if (n != rows)
		return bad(c, "a LowCardinality column has another number of rows");
	return read_fixed(c, rows, 1u << (flags & 0xff), col);
}

static int read_values(struct cursor *c, size_t rows, enum ap_native_form form, unsigned int width,
		       struct ap_native_column *col)
{
	col->rows = rows;
	switch (form) {
	case AP_NATIVE_FIXED:
		return read_fixed(c, rows, width, col);
	case AP_NATIVE_TEXT:
		return read_strings(c, rows, col);
	case AP_NATIVE_KEYS:
		return read_keys(c, rows, col);
	}
	return -EINVAL;
}

static int read_array(struct cursor *c, size_t rows, const struct ap_native_layout *l,
		      struct ap_native_column *col)
{
	uint64_t end = 0;
	int r;

	col->rows = rows;
	r = read_fixed(c, rows, sizeof(end), col);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rows; i++) {
		uint64_t before = end;

		memcpy(&end, col->data + i * sizeof(end), sizeof(end));
		if (end < before)
			return bad(c, "an array ends before it begins");
	}
	if (end > SIZE_MAX)
		return bad(c, "too many elements");
	col->items = ap_arena_zalloc(c->arena, sizeof(*col->items));
	if (!col->items)
		return -ENOMEM;
	col->items->type = l->form == AP_NATIVE_FIXED  ? AP_NATIVE_UINT64
			   : l->form == AP_NATIVE_TEXT ? AP_NATIVE_STRING
						       : AP_NATIVE_LC_STRING;
	return read_values(c, (size_t)end, l->form, l->width, col->items);
}

static int find_type(struct cursor *c, struct ap_str name, enum ap_native_type *ret)
{
	if (ap_str_is(name, "DateTime") || ap_str_starts(name, AP_STR("DateTime('"))) {
		*ret = AP_NATIVE_DATETIME;
		return 0;
	}
	for (int t = 0; t < AP_NATIVE_TYPE_MAX; t++) {
		if (ap_str_is(name, ap_native_layouts[t].name)) {
			*ret = (enum ap_native_type)t;
			return 0;
		}
	}
	return ap_error_set(c->err, -ENOTSUP, "a column of type %.*s cannot be read",
			    (int)AP_MIN(name.n, (size_t)200), name.p);
}

static int read_column(struct cursor *c, size_t rows, struct ap_native_column *col)
{
	const struct ap_native_layout *l;
	struct ap_str type;
	uint64_t version;
	int r;

	r = read_string(c, NAME_MAX_BYTES, &col->name);
	if (r == 0)
		r = read_string(c, NAME_MAX_BYTES, &type);
	if (r == 0)
		r = find_type(c, type, &col->type);
	if (r < 0 || rows == 0)
		return r;
	l = &ap_native_layouts[col->type];
	if (l->form == AP_NATIVE_KEYS) {
		r = read_u64(c, &version);
		if (r < 0)
			return r;
		if (version != AP_NATIVE_LC_VERSION)
			return bad(c, "unknown version of a LowCardinality column");
	}
	if (l->is_array)
		return read_array(c, rows, l, col);
	return read_values(c, rows, l->form, l->width, col);
}

int ap_native_decode(struct ap_str bytes, struct ap_native_view *v, size_t *ret_used,
		     struct ap_error *err)
{
	const uint8_t *start = (const uint8_t *)bytes.p;
	struct cursor c = {start, start + bytes.n, &v->arena, err};
	uint64_t columns, rows;
	int r;

	ap_native_view_free(v);
	v->arena = (struct ap_arena)AP_ARENA_INIT(bytes.n * 24 + (1u << 20));
	r = read_varint(&c, &columns);
	if (r == 0)
		r = read_varint(&c, &rows);
	if (r < 0)
		return r;
	if (columns > COLUMNS_MAX || rows > UINT32_MAX)
		return bad(&c, "too many columns or rows");
	v->columns = ap_arena_zalloc(&v->arena, (size_t)columns * sizeof(*v->columns));
	if (!v->columns)
		return -ENOMEM;
	for (uint32_t i = 0; i < columns; i++) {
		r = read_column(&c, (size_t)rows, &v->columns[i]);
		if (r < 0)
			return r;
	}
	v->n_columns = (uint32_t)columns;
	v->rows = (size_t)rows;
	*ret_used = (size_t)(c.p - start);
	v->bytes = (struct ap_str){bytes.p, *ret_used};
	return 0;
}

void ap_native_view_free(struct ap_native_view *v)
{
	ap_arena_free(&v->arena);
	*v = (struct ap_native_view){0};
}

static uint64_t fixed_at(const struct ap_native_column *c, size_t row)
{
	uint64_t v = 0;

	memcpy(&v, c->data + row * c->width, c->width);
	return v;
}

uint64_t ap_native_uint(const struct ap_native_column *c, size_t row)
{
	const struct ap_native_layout *l = &ap_native_layouts[c->type];

	if (row >= c->rows || l->form != AP_NATIVE_FIXED || l->is_array)
		return 0;
	return fixed_at(c, row);
}

int ap_native_take_uint(void *ret, const struct ap_native_view *v)
{
	if (v->n_columns && v->rows)
		*(uint64_t *)ret = ap_native_uint(&v->columns[0], 0);
	return 0;
}

struct ap_str ap_native_str(const struct ap_native_column *c, size_t row)
{
	uint64_t i = row;

	if (row >= c->rows)
		return AP_STR("");
	if (c->type == AP_NATIVE_LC_STRING)
		i = fixed_at(c, row);
	else if (c->type != AP_NATIVE_STRING)
		return AP_STR("");
	return i < c->n_strs ? c->strs[i] : AP_STR("");
}

void ap_native_array(const struct ap_native_column *c, size_t row, size_t *ret_from, size_t *ret_to)
{
	*ret_from = *ret_to = 0;
	if (row >= c->rows || !c->items)
		return;
	*ret_from = row ? (size_t)fixed_at(c, row - 1) : 0;
	*ret_to = (size_t)fixed_at(c, row);
}

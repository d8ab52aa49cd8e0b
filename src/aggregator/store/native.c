/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/native_block.h"

const struct ap_native_layout ap_native_layouts[AP_NATIVE_TYPE_MAX] = {
	[AP_NATIVE_UINT8] = {"UInt8", AP_NATIVE_FIXED, 1, false},
	[AP_NATIVE_UINT16] = {"UInt16", AP_NATIVE_FIXED, 2, false},
	[AP_NATIVE_UINT32] = {"UInt32", AP_NATIVE_FIXED, 4, false},
	[AP_NATIVE_UINT64] = {"UInt64", AP_NATIVE_FIXED, 8, false},
	[AP_NATIVE_INT64] = {"Int64", AP_NATIVE_FIXED, 8, false},
	[AP_NATIVE_DATE] = {"Date", AP_NATIVE_FIXED, 2, false},
	[AP_NATIVE_DATETIME] = {"DateTime('UTC')", AP_NATIVE_FIXED, 4, false},
	[AP_NATIVE_STRING] = {"String", AP_NATIVE_TEXT, 0, false},
	[AP_NATIVE_LC_STRING] = {"LowCardinality(String)", AP_NATIVE_KEYS, 0, false},
	[AP_NATIVE_ARRAY_UINT64] = {"Array(UInt64)", AP_NATIVE_FIXED, 8, true},
	[AP_NATIVE_ARRAY_STRING] = {"Array(String)", AP_NATIVE_TEXT, 0, true},
	[AP_NATIVE_ARRAY_LC_STRING] = {"Array(LowCardinality(String))", AP_NATIVE_KEYS, 0, true},
};

const char *ap_native_type_name(enum ap_native_type t)
{
	return ap_native_layouts[t].name;
}

static int column_reset(struct column *c, enum ap_native_type type)
{
	ap_buf_clear(&c->data);
	c->ends.n = c->values = c->arrays = 0;
	c->values_vary = c->lengths_vary = false;
	c->width = ap_native_layouts[type].width;
	ap_intern_free(c->keys);
	c->keys = NULL;
	if (ap_native_layouts[type].form == AP_NATIVE_KEYS) {
		c->width = 1;
		c->keys = ap_intern_new();
		if (!c->keys)
			return -ENOMEM;
	}
	return 0;
}

struct ap_native_block *ap_native_block_new(const struct ap_native_spec *specs, uint32_t n)
{
	struct ap_native_block *b = calloc(1, sizeof(*b) + n * sizeof(b->columns[0]));

	if (!b)
		return NULL;
	b->specs = specs;
	b->n = n;
	ap_native_block_clear(b);
	if (b->err) {
		ap_native_block_free(b);
		return NULL;
	}
	return b;
}

void ap_native_block_free(struct ap_native_block *b)
{
	if (!b)
		return;
	for (uint32_t i = 0; i < b->n; i++) {
		struct column *c = &b->columns[i];

		ap_buf_free(&c->data);
		ap_intern_free(c->keys);
		ap_vec_free(&c->ends);
	}
	free(b);
}

void ap_native_block_clear(struct ap_native_block *b)
{
	b->err = 0;
	for (uint32_t i = 0; i < b->n; i++)
		if (column_reset(&b->columns[i], b->specs[i].type) < 0)
			b->err = -ENOMEM;
}

/* The column, if it holds values of this form and arrayness; else the block is spoilt. */
static struct column *column_for(struct ap_native_block *b, uint32_t col, enum ap_native_form form,
				 bool is_array)
{
	const struct ap_native_layout *l;

	if (col < b->n) {
		l = &ap_native_layouts[b->specs[col].type];
		if (l->form == form && l->is_array == is_array)
			return &b->columns[col];
	}
	b->err = -EINVAL;
	return NULL;
}

/* Little-endian machines only, see abi/record.h. */
static void fill(struct column *c, uint64_t v, size_t times)
{
	uint8_t *p = ap_buf_reserve(&c->data, times * c->width);

	if (!p)
		return;
	if (c->width == 1)
		memset(p, (int)(uint8_t)v, times);
	else
		for (size_t i = 0; i < times; i++)
			memcpy(p + i * c->width, &v, c->width);
	c->data.n += times * c->width;
}

/* From now on each value stands for itself. */
static void let_values_vary(struct column *c)
{
	if (c->values_vary)
		return;
	c->values_vary = true;
	fill(c, c->value, c->values);
}

static void put_value(struct column *c, uint64_t v, size_t times)
{
	if (c->values == 0)
		c->value = v;
	if (v != c->value)
		let_values_vary(c);
	if (c->values_vary)
		fill(c, v, times);
	c->values += times;
}

static void put_text(struct column *c, struct ap_str s)
{
	ap_buf_varint(&c->data, s.n);
	ap_buf_str(&c->data, s);
	c->values++;
}

/* Makes the ids wide enough for this one. */
static void widen(struct column *c, uint32_t id)
{
	unsigned int old = c->width, width = id < 1u << 8 ? 1 : id < 1u << 16 ? 2 : 4;
	size_t n = c->data.n / old;
	uint32_t v = 0;

	if (width <= old)
		return;
	c->width = width;
	if (!ap_buf_reserve(&c->data, n * (width - old)))
		return;
	for (size_t i = n; i-- > 0;) {
		memcpy(&v, c->data.p + i * old, old);
		memcpy(c->data.p + i * width, &v, width);
	}
	c->data.n = n * width;
}

static void put_id(struct column *c, uint32_t id, size_t times)
{
	widen(c, id);
	put_value(c, id, times);
}

static uint32_t key_of(struct ap_native_block *b, struct column *c, struct ap_str s)
{
	uint32_t id = 0;

	if (ap_intern_add(c->keys, s, &id, NULL) < 0)
		b->err = -ENOMEM;
	return id;
}

/* A row of an array ends, whose elements are put. */
static void end_row(struct ap_native_block *b, struct column *c, uint32_t length)
{
	if (c->arrays++ == 0)
		c->length = length;
	if (length == c->length && !c->lengths_vary)
		return;
	if (ap_vec_reserve(&c->ends, c->arrays - c->ends.n) < 0) {
		b->err = -ENOMEM;
		return;
	}
	while (!c->lengths_vary && c->ends.n < c->arrays - 1) {
		c->ends.p[c->ends.n] = (c->ends.n + 1) * c->length;
		c->ends.n++;
	}
	c->lengths_vary = true;
	c->ends.p[c->ends.n++] = c->values;
}

void ap_native_put_uint(struct ap_native_block *b, uint32_t col, uint64_t v)
{
	struct column *c = column_for(b, col, AP_NATIVE_FIXED, false);

	if (c)
		put_value(c, v, 1);
}

void ap_native_put_same(struct ap_native_block *b, uint32_t col, uint64_t v, size_t times)
{
	struct column *c = column_for(b, col, AP_NATIVE_FIXED, false);

	if (c)
		put_value(c, v, times);
}

/* How many of the values in that order are the first one. */
static size_t run_of_first(const uint8_t *field, size_t stride, const uint32_t *order, size_t n,
			   unsigned int width)
{
	const uint8_t *first = n ? field + order[0] * stride : NULL;
	size_t i = 0;

	while (i < n && memcmp(field + order[i] * stride, first, width) == 0)
		i++;
	return i;
}

/* With a constant width each copy is one instruction. */
#define GATHER(width)                                \
	for (size_t i = 0; i < n; i++, p += (width)) \
	memcpy(p, field + order[i] * stride, (width))

static void gather(struct column *c, const uint8_t *field, size_t stride, const uint32_t *order,
		   size_t n)
{
	uint8_t *p = ap_buf_reserve(&c->data, n * c->width);

	if (!p)
		return;
	switch (c->width) {
	case 8:
		GATHER(8);
		break;
	case 4:
		GATHER(4);
		break;
	case 2:
		GATHER(2);
		break;
	default:
		GATHER(1);
	}
	c->data.n += n * c->width;
	c->values += n;
}

void ap_native_put_fields(struct ap_native_block *b, uint32_t col, const void *field, size_t stride,
			  const uint32_t *order, size_t n)
{
	struct column *c = column_for(b, col, AP_NATIVE_FIXED, false);
	size_t same = c ? run_of_first(field, stride, order, n, c->width) : 0;
	uint64_t v = 0;

	if (same == 0)
		return;
	memcpy(&v, (const uint8_t *)field + order[0] * stride, c->width);
	put_value(c, v, same);
	if (same == n)
		return;
	let_values_vary(c);
	gather(c, field, stride, order + same, n - same);
}

void ap_native_put_str(struct ap_native_block *b, uint32_t col, struct ap_str s)
{
	struct column *c;

	if (col < b->n && b->specs[col].type == AP_NATIVE_LC_STRING) {
		ap_native_put_key(b, col, ap_native_key(b, col, s), 1);
		return;
	}
	c = column_for(b, col, AP_NATIVE_TEXT, false);
	if (c)
		put_text(c, s);
}

uint32_t ap_native_key(struct ap_native_block *b, uint32_t col, struct ap_str s)
{
	struct column *c = column_for(b, col, AP_NATIVE_KEYS, false);

	return c && c->keys ? key_of(b, c, s) : 0;
}

void ap_native_put_key(struct ap_native_block *b, uint32_t col, uint32_t key, size_t times)
{
	struct column *c = column_for(b, col, AP_NATIVE_KEYS, false);

	if (!c)
		return;
	if (!c->keys || key >= ap_intern_count(c->keys))
		b->err = b->err ?: -EINVAL;
	put_id(c, key, times);
}

void ap_native_put_keys(struct ap_native_block *b, uint32_t col, const uint32_t *key, size_t stride,
			const uint32_t *order, size_t n)
{
	struct column *c = column_for(b, col, AP_NATIVE_KEYS, false);
	const uint8_t *field = (const uint8_t *)key;
	size_t same = c ? run_of_first(field, stride, order, n, sizeof(*key)) : 0;
	uint32_t max = 0, id;

	for (size_t i = 0; i < n; i++) {
		memcpy(&id, field + order[i] * stride, sizeof(id));
		max = AP_MAX(max, id);
	}
	if (same == 0)
		return;
	memcpy(&id, field + order[0] * stride, sizeof(id));
	if (!c->keys || max >= ap_intern_count(c->keys))
		b->err = b->err ?: -EINVAL;
	widen(c, max);
	put_value(c, id, same);
	if (same == n)
		return;
	let_values_vary(c);
	gather(c, field, stride, order + same, n - same);
}

struct ap_str ap_native_key_str(const struct ap_native_block *b, uint32_t col, uint32_t key)
{
	const struct ap_intern *keys = col < b->n ? b->columns[col].keys : NULL;

	return keys ? ap_intern_get(keys, key) : AP_STR("");
}

void ap_native_put_uints(struct ap_native_block *b, uint32_t col, const uint64_t *v, uint32_t n)
{
	struct column *c = column_for(b, col, AP_NATIVE_FIXED, true);

	if (!c)
		return;
	if (n) {
		let_values_vary(c);
		ap_buf_append(&c->data, v, n * sizeof(*v));
	}
	c->values += n;
	end_row(b, c, n);
}

void ap_native_put_strs(struct ap_native_block *b, uint32_t col, const struct ap_str *v, uint32_t n)
{
	bool keyed = col < b->n && b->specs[col].type == AP_NATIVE_ARRAY_LC_STRING;
	struct column *c = column_for(b, col, keyed ? AP_NATIVE_KEYS : AP_NATIVE_TEXT, true);

	if (!c || (keyed && !c->keys))
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (keyed)
			put_id(c, key_of(b, c, v[i]), 1);
		else
			put_text(c, v[i]);
	}
	end_row(b, c, n);
}

void ap_native_put_empty(struct ap_native_block *b, uint32_t col, size_t times)
{
	struct column *c = column_for(b, col, AP_NATIVE_TEXT, true);

	for (size_t i = 0; c && i < times; i++)
		end_row(b, c, 0);
}

const struct ap_native_spec *ap_native_block_specs(const struct ap_native_block *b, uint32_t *ret_n)
{
	*ret_n = b->n;
	return b->specs;
}

size_t native_column_rows(const struct ap_native_block *b, uint32_t col)
{
	const struct column *c = &b->columns[col];

	return ap_native_layouts[b->specs[col].type].is_array ? c->arrays : c->values;
}

size_t ap_native_block_rows(const struct ap_native_block *b)
{
	return b->n ? native_column_rows(b, 0) : 0;
}

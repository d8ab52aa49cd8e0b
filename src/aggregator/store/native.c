/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/native.h"

#include "aggregator/store/native_type.h"
#include "base/intern.h"
#include "base/vec.h"

struct column {
	struct ap_buf data;	/* fixed-size values, or strings with their lengths */
	struct ap_intern *keys; /* LowCardinality; key 0 is "" */
	AP_VEC(uint32_t) ids;	/* LowCardinality: key of each value */
	AP_VEC(uint64_t) ends;	/* Array: end position of each row */
	size_t values;
};

struct ap_native_block {
	const struct ap_native_spec *specs;
	uint32_t n;
	int err; /* the first error of a put */
	struct column columns[];
};

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
	c->ids.n = c->ends.n = c->values = 0;
	ap_intern_free(c->keys);
	c->keys = NULL;
	if (ap_native_layouts[type].form == AP_NATIVE_KEYS) {
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
		ap_vec_free(&c->ids);
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

static void put_fixed(struct column *c, uint64_t v, unsigned int width)
{
	ap_buf_append(&c->data, &v, width); /* little-endian machines only, see abi/record.h */
	c->values++;
}

static void put_text(struct column *c, struct ap_str s)
{
	ap_buf_varint(&c->data, s.n);
	ap_buf_str(&c->data, s);
	c->values++;
}

static void put_id(struct ap_native_block *b, struct column *c, uint32_t id)
{
	if (ap_vec_push(&c->ids, id) < 0)
		b->err = -ENOMEM;
	c->values++;
}

static uint32_t key_of(struct ap_native_block *b, struct column *c, struct ap_str s)
{
	uint32_t id = 0;

	if (ap_intern_add(c->keys, s, &id, NULL) < 0)
		b->err = -ENOMEM;
	return id;
}

static void end_row(struct ap_native_block *b, struct column *c)
{
	if (ap_vec_push(&c->ends, (uint64_t)c->values) < 0)
		b->err = -ENOMEM;
}

void ap_native_put_uint(struct ap_native_block *b, uint32_t col, uint64_t v)
{
	struct column *c = column_for(b, col, AP_NATIVE_FIXED, false);

	if (c)
		put_fixed(c, v, ap_native_layouts[b->specs[col].type].width);
}

void ap_native_put_str(struct ap_native_block *b, uint32_t col, struct ap_str s)
{
	struct column *c;

	if (col < b->n && b->specs[col].type == AP_NATIVE_LC_STRING) {
		ap_native_put_key(b, col, ap_native_key(b, col, s));
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

void ap_native_put_key(struct ap_native_block *b, uint32_t col, uint32_t key)
{
	struct column *c = column_for(b, col, AP_NATIVE_KEYS, false);

	if (!c)
		return;
	if (!c->keys || key >= ap_intern_count(c->keys))
		b->err = b->err ?: -EINVAL;
	put_id(b, c, key);
}

void ap_native_put_uints(struct ap_native_block *b, uint32_t col, const uint64_t *v, uint32_t n)
{
	struct column *c = column_for(b, col, AP_NATIVE_FIXED, true);

	if (!c)
		return;
	ap_buf_append(&c->data, v, n * sizeof(*v));
	c->values += n;
	end_row(b, c);
}

void ap_native_put_strs(struct ap_native_block *b, uint32_t col, const struct ap_str *v, uint32_t n)
{
	bool keyed = col < b->n && b->specs[col].type == AP_NATIVE_ARRAY_LC_STRING;
	struct column *c = column_for(b, col, keyed ? AP_NATIVE_KEYS : AP_NATIVE_TEXT, true);

	if (!c || (keyed && !c->keys))
		return;
	for (uint32_t i = 0; i < n; i++) {
		if (keyed)
			put_id(b, c, key_of(b, c, v[i]));
		else
			put_text(c, v[i]);
	}
	end_row(b, c);
}

const struct ap_native_spec *ap_native_block_specs(const struct ap_native_block *b, uint32_t *ret_n)
{
	*ret_n = b->n;
	return b->specs;
}

static size_t column_rows(const struct ap_native_block *b, uint32_t col)
{
	const struct column *c = &b->columns[col];

	return ap_native_layouts[b->specs[col].type].is_array ? c->ends.n : c->values;
}

size_t ap_native_block_rows(const struct ap_native_block *b)
{
	return b->n ? column_rows(b, 0) : 0;
}

static void append_u64(struct ap_buf *out, uint64_t v)
{
	ap_buf_append(out, &v, sizeof(v));
}

static unsigned int id_width_log2(uint32_t keys)
{
	return keys <= 1u << 8 ? 0 : keys <= 1u << 16 ? 1 : 2;
}

static void encode_keys(const struct column *c, struct ap_buf *out)
{
	uint32_t keys = ap_intern_count(c->keys);
	unsigned int log2 = id_width_log2(keys);
	uint8_t *p;

	if (c->values == 0)
		return;
	append_u64(out, AP_NATIVE_LC_HAS_KEYS | AP_NATIVE_LC_UPDATE | log2);
	append_u64(out, keys);
	for (uint32_t i = 0; i < keys; i++) {
		struct ap_str s = ap_intern_get(c->keys, i);

		ap_buf_varint(out, s.n);
		ap_buf_str(out, s);
	}
	append_u64(out, c->ids.n);
	p = ap_buf_reserve(out, c->ids.n << log2);
	if (!p)
		return;
	for (size_t i = 0; i < c->ids.n; i++, p += 1u << log2)
		memcpy(p, &c->ids.p[i], (size_t)1 << log2);
	out->n += c->ids.n << log2;
}

static void encode_column(const struct ap_native_block *b, uint32_t col, struct ap_buf *out)
{
	const struct ap_native_layout *l = &ap_native_layouts[b->specs[col].type];
	const struct column *c = &b->columns[col];

	if (l->form == AP_NATIVE_KEYS)
		append_u64(out, AP_NATIVE_LC_VERSION);
	if (l->is_array)
		ap_buf_append(out, c->ends.p, c->ends.n * sizeof(c->ends.p[0]));
	if (l->form == AP_NATIVE_KEYS)
		encode_keys(c, out);
	else
		ap_buf_append(out, c->data.p, c->data.n);
}

int ap_native_encode(const struct ap_native_block *b, struct ap_buf *out)
{
	size_t rows = ap_native_block_rows(b);

	if (b->err)
		return b->err;
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->columns[i].data.err)
			return b->columns[i].data.err;
		if (column_rows(b, i) != rows)
			return -EINVAL;
	}
	ap_buf_varint(out, b->n);
	ap_buf_varint(out, rows);
	for (uint32_t i = 0; i < b->n; i++) {
		struct ap_str name = ap_str_of(b->specs[i].name);
		struct ap_str type = ap_str_of(ap_native_type_name(b->specs[i].type));

		ap_buf_varint(out, name.n);
		ap_buf_str(out, name);
		ap_buf_varint(out, type.n);
		ap_buf_str(out, type);
		if (rows)
			encode_column(b, i, out);
	}
	return ap_buf_error(out);
}

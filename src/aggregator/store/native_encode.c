/* SPDX-License-Identifier: Apache-2.0 */
#include <xxhash.h>

#include "aggregator/store/native_block.h"

/* Bytes on their way, which are gathered to pieces. */
struct writer {
	uint8_t *piece;
	size_t n;
	ap_native_piece_fn fn;
	void *ctx;
	int r; /* the first error */
};

static void give(struct writer *w, const void *p, size_t n)
{
	if (n && w->r == 0)
		w->r = w->fn(w->ctx, (struct ap_str){p, n});
}

static void write_out(struct writer *w)
{
	give(w, w->piece, w->n);
	w->n = 0;
}

static void write_bytes(struct writer *w, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;

	if (n > AP_NATIVE_PIECE - w->n)
		write_out(w);
	for (; n > AP_NATIVE_PIECE; n -= AP_NATIVE_PIECE, p += AP_NATIVE_PIECE)
		give(w, p, AP_NATIVE_PIECE);
	if (n)
		memcpy(w->piece + w->n, p, n);
	w->n += n;
}

static void write_u64(struct writer *w, uint64_t v)
{
	write_bytes(w, &v, sizeof(v));
}

static void write_varint(struct writer *w, uint64_t v)
{
	uint8_t bytes[10];
	size_t n = 0;

	do {
		bytes[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		v >>= 7;
	} while (v);
	write_bytes(w, bytes, n);
}

static void write_str(struct writer *w, struct ap_str s)
{
	write_varint(w, s.n);
	write_bytes(w, s.p, s.n);
}

/* With a constant width each copy is one instruction. */
#define REPEAT(width)                  \
	for (size_t i = 0; i < n; i++) \
	memcpy(w->piece + w->n + i * (width), &v, (width))

static void write_same(struct writer *w, uint64_t v, unsigned int width, size_t times)
{
	for (size_t n; times; times -= n) {
		if (width > AP_NATIVE_PIECE - w->n)
			write_out(w);
		n = AP_MIN(times, (AP_NATIVE_PIECE - w->n) / width);
		switch (width) {
		case 1:
			memset(w->piece + w->n, (int)(uint8_t)v, n);
			break;
		case 2:
			REPEAT(2);
			break;
		case 4:
			REPEAT(4);
			break;
		default:
			REPEAT(8);
		}
		w->n += n * width;
	}
}

static void write_values(struct writer *w, const struct column *c)
{
	if (c->values_vary || c->width == 0) {
		write_bytes(w, c->data.p, c->data.n);
		return;
	}
	write_same(w, c->value, c->width, c->values);
}

static void write_ends(struct writer *w, const struct column *c)
{
	if (c->lengths_vary)
		write_bytes(w, c->ends.p, c->ends.n * sizeof(c->ends.p[0]));
	else
		for (size_t i = 1; i <= c->arrays; i++)
			write_u64(w, i * c->length);
}

static void write_keys(struct writer *w, const struct column *c)
{
	uint32_t keys = ap_intern_count(c->keys);

	if (c->values == 0)
		return;
	write_u64(w, AP_NATIVE_LC_HAS_KEYS | AP_NATIVE_LC_UPDATE | (c->width >> 1));
	write_u64(w, keys);
	for (uint32_t i = 0; i < keys; i++)
		write_str(w, ap_intern_get(c->keys, i));
	write_u64(w, c->values);
	write_values(w, c);
}

static void write_column(struct writer *w, const struct ap_native_block *b, uint32_t col)
{
	const struct ap_native_layout *l = &ap_native_layouts[b->specs[col].type];
	const struct column *c = &b->columns[col];

	if (l->form == AP_NATIVE_KEYS)
		write_u64(w, AP_NATIVE_LC_VERSION);
	if (l->is_array)
		write_ends(w, c);
	if (l->form == AP_NATIVE_KEYS)
		write_keys(w, c);
	else
		write_values(w, c);
}

/* Whether all was put as it should. */
static int check(const struct ap_native_block *b)
{
	for (uint32_t i = 0; i < b->n && !b->err; i++) {
		if (b->columns[i].data.err)
			return b->columns[i].data.err;
		if (native_column_rows(b, i) != ap_native_block_rows(b))
			return -EINVAL;
	}
	return b->err;
}

int ap_native_write(const struct ap_native_block *b, ap_native_piece_fn fn, void *ctx)
{
	_cleanup_free_ uint8_t *piece = malloc(AP_NATIVE_PIECE);
	struct writer w = {.piece = piece, .fn = fn, .ctx = ctx};
	size_t rows = ap_native_block_rows(b);
	int r = piece ? check(b) : -ENOMEM;

	if (r < 0)
		return r;
	write_varint(&w, b->n);
	write_varint(&w, rows);
	for (uint32_t i = 0; i < b->n && w.r == 0; i++) {
		write_str(&w, ap_str_of(b->specs[i].name));
		write_str(&w, ap_str_of(ap_native_type_name(b->specs[i].type)));
		if (rows)
			write_column(&w, b, i);
	}
	write_out(&w);
	return w.r;
}

/* Of what the block's bytes would be made of. */
static int hash_column(XXH3_state_t *state, const struct ap_native_block *b, uint32_t col)
{
	const struct column *c = &b->columns[col];
	const uint64_t facts[] = {
		b->specs[col].type,
		c->width,
		c->values,
		c->arrays,
		c->values_vary,
		c->value,
		c->lengths_vary,
		c->length,
		c->data.n,
		c->ends.n,
		c->keys ? ap_intern_count(c->keys) : 0,
	};
	int r = XXH3_128bits_update(state, facts, sizeof(facts));

	for (uint32_t i = 0; c->keys && i < ap_intern_count(c->keys) && r == XXH_OK; i++) {
		struct ap_str key = ap_intern_get(c->keys, i);

		r = XXH3_128bits_update(state, &key.n, sizeof(key.n));
		if (r == XXH_OK)
			r = XXH3_128bits_update(state, key.p, key.n);
	}
	if (r == XXH_OK)
		r = XXH3_128bits_update(state, c->data.p, c->data.n);
	if (r == XXH_OK)
		r = XXH3_128bits_update(state, c->ends.p, c->ends.n * sizeof(c->ends.p[0]));
	return r == XXH_OK ? 0 : -EINVAL;
}

int ap_native_hash(const struct ap_native_block *b, uint64_t ret[2])
{
	XXH3_state_t *state = XXH3_createState();
	XXH128_hash_t hash;
	int r = check(b);

	if (!state)
		return -ENOMEM;
	XXH3_128bits_reset(state);
	for (uint32_t i = 0; i < b->n && r == 0; i++)
		r = hash_column(state, b, i);
	hash = XXH3_128bits_digest(state);
	XXH3_freeState(state);
	ret[0] = hash.high64;
	ret[1] = hash.low64;
	return r;
}

static int append(void *ctx, struct ap_str piece)
{
	ap_buf_str(ctx, piece);
	return ap_buf_error(ctx);
}

int ap_native_encode(const struct ap_native_block *b, struct ap_buf *out)
{
	return ap_native_write(b, append, out);
}

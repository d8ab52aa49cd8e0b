/* SPDX-License-Identifier: Apache-2.0 */
/* ClickHouse's "Native" column format, both ways: blocks of rows to insert, and the blocks that a
 * query answers with. Both the embedded engine and a server speak it (client revision 0, i.e.
 * FORMAT Native without block info and without custom serialisations):
 *
 *	varint columns | varint rows | per column: name, type name, data of all its rows
 *
 *	UIntN, IntN, DateTime  fixed-size little-endian values
 *	String                 varint length and bytes, per row
 *	Array(T)               u64 end positions per row, then T's data for all elements
 *	LowCardinality(String) u64 version 1, then, unless there are no rows: u64 flags (index width and
 *	                       0x600: keys follow), u64 n and n keys, u64 rows and that many indices.
 *	                       Within an Array the version stands before the end positions.
 *
 * Source: https://clickhouse.com/docs/en/interfaces/formats/Native and the format as both engines
 * write it; the round trip is tested against the real engine. */
#ifndef AP_AGGREGATOR_STORE_NATIVE_H
#define AP_AGGREGATOR_STORE_NATIVE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum ap_native_type {
	AP_NATIVE_UINT8,
	AP_NATIVE_UINT16,
	AP_NATIVE_UINT32,
	AP_NATIVE_UINT64,
	AP_NATIVE_INT64,
	AP_NATIVE_DATE,	    /* days since 1970, two bytes */
	AP_NATIVE_DATETIME, /* Unix seconds, four bytes; named DateTime('UTC') */
	AP_NATIVE_STRING,
	AP_NATIVE_LC_STRING, /* LowCardinality(String) */
	AP_NATIVE_ARRAY_UINT64,
	AP_NATIVE_ARRAY_STRING,
	AP_NATIVE_ARRAY_LC_STRING,
	AP_NATIVE_TYPE_MAX,
};

/* The type's name in SQL and in blocks: "LowCardinality(String)". */
const char *ap_native_type_name(enum ap_native_type t);

struct ap_native_spec {
	const char *name;
	enum ap_native_type type;
};

/* Writing: one block, column by column. Every column must be given a value for each row; columns
 * may be filled in any order. Errors are sticky and come out of ap_native_encode(). */
struct ap_native_block;

/* `specs` are borrowed and must outlive the block. NULL = out of memory. */
struct ap_native_block *ap_native_block_new(const struct ap_native_spec *specs, uint32_t n);
void ap_native_block_free(struct ap_native_block *b);
AP_DEFINE_CLEANUP(native_block, struct ap_native_block, ap_native_block_free)
/* Forgets the rows, keeps the memory. */
void ap_native_block_clear(struct ap_native_block *b);

/* UInt8 … UInt64, Int64 (its bits), Date, DateTime: the value is cut to the type's width. */
void ap_native_put_uint(struct ap_native_block *b, uint32_t col, uint64_t v);
/* The same for so many rows. */
void ap_native_put_same(struct ap_native_block *b, uint32_t col, uint64_t v, size_t times);
/* The same field of `n` structures, which has the column's width: `field` is the first one's, `stride` is from one to the
 * next, and `order` says which come when. */
void ap_native_put_fields(struct ap_native_block *b, uint32_t col, const void *field, size_t stride,
			  const uint32_t *order, size_t n);
/* String and LowCardinality(String); any bytes. */
void ap_native_put_str(struct ap_native_block *b, uint32_t col, struct ap_str s);
/* LowCardinality in two steps, for values that repeat: look the key up once, then put it by id, for so many rows.
 * Ids are good until ap_native_block_clear(). */
uint32_t ap_native_key(struct ap_native_block *b, uint32_t col, struct ap_str s);
void ap_native_put_key(struct ap_native_block *b, uint32_t col, uint32_t key, size_t times);
/* As ap_native_put_fields(), of structures that have the key's id in a field. */
void ap_native_put_keys(struct ap_native_block *b, uint32_t col, const uint32_t *key, size_t stride,
			const uint32_t *order, size_t n);
struct ap_str ap_native_key_str(const struct ap_native_block *b, uint32_t col, uint32_t key);
void ap_native_put_uints(struct ap_native_block *b, uint32_t col, const uint64_t *v, uint32_t n);
void ap_native_put_strs(struct ap_native_block *b, uint32_t col, const struct ap_str *v,
			uint32_t n);
/* Of Array(String): so many rows without elements. */
void ap_native_put_empty(struct ap_native_block *b, uint32_t col, size_t times);

const struct ap_native_spec *ap_native_block_specs(const struct ap_native_block *b,
						   uint32_t *ret_n);
/* Rows of the first column. */
size_t ap_native_block_rows(const struct ap_native_block *b);

enum { AP_NATIVE_PIECE = 128 << 10 };
typedef int (*ap_native_piece_fn)(void *ctx, struct ap_str piece);
/* Gives the block's bytes in pieces of at most AP_NATIVE_PIECE: 0, -ENOMEM, -EINVAL (columns of unequal length, wrong
 * type put), or the negative that `fn` returned, which is not called again then. */
int ap_native_write(const struct ap_native_block *b, ap_native_piece_fn fn, void *ctx);
/* 128 bits that stand for the block's rows: the same if they were put in the same way. Errors as above. */
int ap_native_hash(const struct ap_native_block *b, uint64_t ret[2]);
/* Appends the bytes. */
int ap_native_encode(const struct ap_native_block *b, struct ap_buf *out);

/* Reading. A decoded column; pointers lead into the bytes given and into the view's arena. */
struct ap_native_column {
	struct ap_str name;
	enum ap_native_type type;
	size_t rows;		   /* of the block; in `items`: of all elements */
	unsigned int width;	   /* bytes of a fixed-size value, of an index (LowCardinality) */
	const uint8_t *data;	   /* fixed-size values, indices, an array's end positions */
	const struct ap_str *strs; /* String: one a row; LowCardinality: the keys */
	size_t n_strs;
	struct ap_native_column *items; /* Array: the elements, else NULL */
};

struct ap_native_view {
	struct ap_native_column *columns;
	uint32_t n_columns;
	size_t rows;
	struct ap_str bytes;   /* what it was decoded from */
	struct ap_arena arena; /* bounded to a multiple of the input's size */
};

/* Decodes the block at the start of `bytes`, none of which is trusted. 0 and the bytes it took,
 * -EAGAIN where the block goes on past their end, -EBADMSG (not a block), -ENOTSUP (a column type
 * that is not in the list above; the message names it), -ENOMEM. Frees what `v` held before. */
int ap_native_decode(struct ap_str bytes, struct ap_native_view *v, size_t *ret_used,
		     struct ap_error *err);
void ap_native_view_free(struct ap_native_view *v);

/* A view of some of another's rows, which must be rows that it has, and of its first columns; good as long as that is.
 * Frees what `ret` held before. 0, -ENOMEM. */
int ap_native_pick(const struct ap_native_view *v, uint32_t n_columns, const uint32_t *rows,
		   size_t n, struct ap_native_view *ret);

/* Values by row; a column of another type, or a row out of range, gives 0 and "". */
uint64_t ap_native_uint(const struct ap_native_column *c, size_t row);
struct ap_str ap_native_str(const struct ap_native_column *c, size_t row);
/* For an answer of one number: the first value goes to the uint64_t at `ret`, which stays as it is without one. 0. */
int ap_native_take_uint(void *ret, const struct ap_native_view *v);
/* The range [*ret_from, *ret_to) of c->items that belongs to an array's row. */
void ap_native_array(const struct ap_native_column *c, size_t row, size_t *ret_from,
		     size_t *ret_to);

#endif

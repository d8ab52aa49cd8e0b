/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/flamegraph_json.h"

#include <endian.h>

#include "base/json.h"

enum { VERSION = 1, FLAG_TWO_SIDES = 1, HEADER_BYTES = 24 };

static void member_u64(struct ap_buf *out, const char *key, uint64_t v)
{
	ap_json_key(out, key);
	ap_json_u64(out, v);
}

/* All but the closing brace. */
static void write_meta(const struct ap_tree *t, struct ap_str meta, struct ap_buf *out)
{
	int shown = t->is_diff;

	ap_buf_byte(out, '{');
	ap_buf_str(out, meta);
	member_u64(out, "total", t->total[shown][0]);
	member_u64(out, "folded_nodes", t->folded_nodes);
	member_u64(out, "folded_total", t->folded_total[shown]);
	if (t->is_diff) {
		member_u64(out, "total_a", t->total[0][0]);
		member_u64(out, "folded_total_a", t->folded_total[0]);
	}
}

static uint64_t element(const void *column, size_t bytes, uint32_t i)
{
	switch (bytes) {
	case sizeof(uint8_t):
		return ((const uint8_t *)column)[i];
	case sizeof(uint32_t):
		return ((const uint32_t *)column)[i];
	default:
		return ((const uint64_t *)column)[i];
	}
}

/* Room is made for many numbers at once: they are most of an answer, and of the time it takes to write. */
static void write_column(struct ap_buf *out, const char *key, const void *column, size_t bytes,
			 uint32_t n)
{
	enum { AT_ONCE = 512 };

	ap_json_key(out, key);
	ap_buf_byte(out, '[');
	for (uint32_t i = 0; i < n;) {
		uint32_t end = i + AP_MIN(n - i, (uint32_t)AT_ONCE);
		uint8_t *begin = ap_buf_reserve(out, (end - i) * (AP_JSON_DIGITS_MAX + 1));
		uint8_t *at = begin;

		if (!begin)
			return;
		for (; i < end; i++) {
			if (i)
				*at++ = ',';
			at = ap_json_digits(at, element(column, bytes, i));
		}
		out->n += (size_t)(at - begin);
	}
	ap_buf_byte(out, ']');
}
#define COLUMN(out, key, v, n) write_column(out, key, v, sizeof(*(v)), n)

void ap_flamegraph_write_json(const struct ap_tree *t, struct ap_str meta, struct ap_buf *out)
{
	int shown = t->is_diff;

	write_meta(t, meta, out);
	ap_json_key(out, "nodes");
	ap_buf_byte(out, '{');
	COLUMN(out, "depth", t->depth, t->n);
	COLUMN(out, "name", t->name, t->n);
	COLUMN(out, "module", t->module, t->n);
	COLUMN(out, "kind", t->kind, t->n);
	COLUMN(out, "total", t->total[shown], t->n);
	COLUMN(out, "self", t->self[shown], t->n);
	if (t->is_diff) {
		COLUMN(out, "total_a", t->total[0], t->n);
		COLUMN(out, "self_a", t->self[0], t->n);
	}
	ap_buf_byte(out, '}');
	ap_json_key(out, "strings");
	ap_buf_byte(out, '[');
	for (uint32_t i = 0; i < t->n_strings; i++) {
		if (i)
			ap_buf_byte(out, ',');
		ap_json_string(out, t->strings[i]);
	}
	ap_buf_puts(out, "]}");
}

static void put_u32(struct ap_buf *out, uint32_t v)
{
	v = htole32(v);
	ap_buf_append(out, &v, sizeof(v));
}

static void binary_u32(struct ap_buf *out, const uint32_t *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put_u32(out, v[i]);
}

static void binary_u64(struct ap_buf *out, const uint64_t *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t le = htole64(v[i]);

		ap_buf_append(out, &le, sizeof(le));
	}
}

/* The bytes of all strings, with what is not UTF-8 replaced, and where each begins and ends. */
static int binary_strings(const struct ap_tree *t, struct ap_buf *out)
{
	_cleanup_buf_ struct ap_buf bytes = {0};

	put_u32(out, 0);
	for (uint32_t i = 0; i < t->n_strings; i++) {
		ap_buf_utf8(&bytes, t->strings[i]);
		if (bytes.n > UINT32_MAX)
			return -EOVERFLOW;
		put_u32(out, (uint32_t)bytes.n);
	}
	if (ap_buf_error(&bytes))
		out->err = ap_buf_error(&bytes);
	ap_buf_append(out, bytes.p, bytes.n);
	return 0;
}

int ap_flamegraph_write_binary(const struct ap_tree *t, struct ap_str meta, struct ap_buf *out)
{
	_cleanup_buf_ struct ap_buf head = {0};
	int shown = t->is_diff;

	write_meta(t, meta, &head);
	ap_buf_byte(&head, '}');
	while (head.n % 8)
		ap_buf_byte(&head, ' ');
	if (ap_buf_error(&head)) {
		out->err = ap_buf_error(&head);
		return 0;
	}
	if (head.n > UINT32_MAX)
		return -EOVERFLOW;
	ap_buf_reserve(out, HEADER_BYTES + head.n + (size_t)t->n * 45);
	ap_buf_puts(out, "APFG");
	put_u32(out, VERSION);
	put_u32(out, t->n);
	put_u32(out, t->n_strings);
	put_u32(out, (uint32_t)head.n);
	put_u32(out, t->is_diff ? FLAG_TWO_SIDES : 0);
	ap_buf_append(out, head.p, head.n);
	binary_u64(out, t->total[shown], t->n);
	binary_u64(out, t->self[shown], t->n);
	if (t->is_diff) {
		binary_u64(out, t->total[0], t->n);
		binary_u64(out, t->self[0], t->n);
	}
	binary_u32(out, t->depth, t->n);
	binary_u32(out, t->name, t->n);
	binary_u32(out, t->module, t->n);
	ap_buf_append(out, t->kind, t->n);
	ap_buf_append(out, "\0\0\0", (4 - t->n % 4) % 4);
	return binary_strings(t, out);
}

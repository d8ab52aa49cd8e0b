/* SPDX-License-Identifier: Apache-2.0 */
#include "../../test.h"
#include "aggregator/store/native.h"

static const struct ap_native_spec specs[] = {
	{"u8", AP_NATIVE_UINT8},	  {"u16", AP_NATIVE_UINT16},
	{"u32", AP_NATIVE_UINT32},	  {"u64", AP_NATIVE_UINT64},
	{"i64", AP_NATIVE_INT64},	  {"day", AP_NATIVE_DATE},
	{"time", AP_NATIVE_DATETIME},	  {"text", AP_NATIVE_STRING},
	{"word", AP_NATIVE_LC_STRING},	  {"ids", AP_NATIVE_ARRAY_UINT64},
	{"keys", AP_NATIVE_ARRAY_STRING}, {"words", AP_NATIVE_ARRAY_LC_STRING},
};
enum { COLUMNS = AP_ARRAY_SIZE(specs) };

static void fill(struct ap_native_block *b, uint32_t rows)
{
	for (uint64_t i = 0; i < rows; i++) {
		uint64_t ids[3] = {i, UINT64_MAX - i, 7};
		char word[16];
		struct ap_str w = {
			word, (size_t)snprintf(word, sizeof(word), "w%u", (unsigned)(i % 300))};
		struct ap_str words[2] = {w, AP_STR("\n\n")};

		for (uint32_t c = 0; c <= 6; c++)
			ap_native_put_uint(b, c, c == 4 ? (uint64_t)-(int64_t)i : i);
		ap_native_put_str(b, 7, i % 2 ? AP_STR(" \n\n\t\0x") : AP_STR(""));
		ap_native_put_str(b, 8, w);
		ap_native_put_uints(b, 9, ids, i % 4);
		ap_native_put_strs(b, 10, words, i % 3);
		ap_native_put_strs(b, 11, words, i % 3);
	}
}

/* That a row is the i-th that fill() makes. */
static void check_row(const struct ap_native_view *v, size_t row, uint64_t i)
{
	size_t from, to;

	assert_int_equal(ap_native_uint(&v->columns[0], row), i & 0xff);
	assert_int_equal(ap_native_uint(&v->columns[2], row), i);
	assert_int_equal((int64_t)ap_native_uint(&v->columns[4], row), -(int64_t)i);
	assert_int_equal(ap_native_str(&v->columns[7], row).n, i % 2 ? 6 : 0);
	assert_int_equal(ap_native_str(&v->columns[8], row).p[0], 'w');
	ap_native_array(&v->columns[9], row, &from, &to);
	assert_int_equal(to - from, i % 4);
	if (i % 4 > 1)
		assert_true(ap_native_uint(v->columns[9].items, from + 1) == UINT64_MAX - i);
	if (v->n_columns < COLUMNS)
		return;
	ap_native_array(&v->columns[11], row, &from, &to);
	assert_int_equal(to - from, i % 3);
	if (i % 3 == 2)
		assert_true(ap_str_is(ap_native_str(v->columns[11].items, from + 1), "\n\n"));
}

static void check(const struct ap_native_view *v, uint32_t rows)
{
	assert_int_equal(v->n_columns, COLUMNS);
	assert_int_equal(v->rows, rows);
	for (uint64_t i = 0; i < rows; i++)
		check_row(v, i, i);
}

static void round_trip_of_every_type(void **state)
{
	static const uint32_t sizes[] = {0, 1, 255, 1000};
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *b =
		ap_native_block_new(specs, COLUMNS);
	struct ap_native_view v = {0};
	struct ap_error err = {0};
	size_t used;

	for (size_t i = 0; i < AP_ARRAY_SIZE(sizes); i++) {
		_cleanup_buf_ struct ap_buf out = {0};

		ap_native_block_clear(b);
		fill(b, sizes[i]);
		assert_int_equal(ap_native_block_rows(b), sizes[i]);
		assert_int_equal(ap_native_encode(b, &out), 0);
		assert_int_equal(ap_native_decode(ap_buf_view(&out), &v, &used, &err), 0);
		assert_int_equal(used, out.n);
		check(&v, sizes[i]);
	}
	ap_native_view_free(&v);
}

static void some_rows_of_every_type(void **state)
{
	static const uint32_t rows[] = {3, 999, 0, 1, 2, 2, 500};
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *b =
		ap_native_block_new(specs, COLUMNS);
	struct ap_native_view v = {0}, some = {0};
	_cleanup_buf_ struct ap_buf out = {0};
	struct ap_error err = {0};
	size_t used;

	fill(b, 1000);
	assert_int_equal(ap_native_encode(b, &out), 0);
	assert_int_equal(ap_native_decode(ap_buf_view(&out), &v, &used, &err), 0);
	for (uint32_t columns = COLUMNS - 2; columns <= COLUMNS; columns++) {
		for (size_t n = 0; n <= AP_ARRAY_SIZE(rows); n++) {
			assert_int_equal(ap_native_pick(&v, columns, rows, n, &some), 0);
			assert_int_equal(some.n_columns, columns);
			assert_int_equal(some.rows, n);
			for (size_t i = 0; i < n; i++)
				check_row(&some, i, rows[i]);
		}
	}
	ap_native_view_free(&some);
	ap_native_view_free(&v);
}

/* A block that the format's description gives: one UInt8 column, one row. */
static void bytes_are_as_documented(void **state)
{
	static const struct ap_native_spec one[] = {{"a", AP_NATIVE_UINT8}};
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *b = ap_native_block_new(one, 1);
	_cleanup_buf_ struct ap_buf out = {0};

	ap_native_put_uint(b, 0, 9);
	assert_int_equal(ap_native_encode(b, &out), 0);
	assert_int_equal(out.n, 11);
	assert_memory_equal(out.p,
			    "\x01\x01\x01"
			    "a\x05"
			    "UInt8\x09",
			    11);
}

static void misuse_is_refused(void **state)
{
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *b =
		ap_native_block_new(specs, COLUMNS);
	_cleanup_buf_ struct ap_buf out = {0};

	fill(b, 2);
	ap_native_put_uint(b, 0, 1);
	assert_int_equal(ap_native_encode(b, &out), -EINVAL);
	ap_native_block_clear(b);
	fill(b, 2);
	assert_int_equal(ap_native_encode(b, &out), 0);
	ap_native_put_str(b, 0, AP_STR("x"));
	assert_int_equal(ap_native_encode(b, &out), -EINVAL);
}

/* Every prefix asks for more, and no change of a byte makes the decoder read outside. */
static void hostile_bytes(void **state)
{
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *b =
		ap_native_block_new(specs, COLUMNS);
	_cleanup_buf_ struct ap_buf out = {0};
	struct ap_native_view v = {0};
	size_t used, refused = 0;

	fill(b, 3);
	assert_int_equal(ap_native_encode(b, &out), 0);
	for (size_t n = 0; n < out.n; n++) {
		_cleanup_free_ char *exact = malloc(n ? n : 1);

		memcpy(exact, out.p, n);
		assert_int_equal(ap_native_decode((struct ap_str){exact, n}, &v, &used, NULL),
				 -EAGAIN);
	}
	for (size_t i = 0; i < out.n; i++) {
		static const uint8_t values[] = {0x00, 0x7f, 0x80, 0xff};

		for (size_t k = 0; k < AP_ARRAY_SIZE(values); k++) {
			uint8_t saved = out.p[i];
			int r;

			out.p[i] = values[k];
			r = ap_native_decode(ap_buf_view(&out), &v, &used, NULL);
			refused += r < 0;
			for (uint32_t c = 0; r == 0 && c < v.n_columns; c++)
				for (size_t row = 0; row < 4; row++)
					(void)ap_native_str(&v.columns[c], row);
			out.p[i] = saved;
		}
	}
	assert_true(refused > 0);
	ap_native_view_free(&v);
}

static void foreign_types_are_named(void **state)
{
	struct ap_native_view v = {0};
	struct ap_error err = {0};
	size_t used;

	assert_int_equal(ap_native_decode(AP_STR("\x01\x01\x01"
						 "a\x07"
						 "Float64........"),
					  &v, &used, &err),
			 -ENOTSUP);
	assert_non_null(strstr(err.msg, "Float64"));
	ap_native_view_free(&v);
}

/* Whatever runs the values come in, and however many keys there are by then. */
static void values_that_repeat(void **state)
{
	static const uint32_t runs[] = {1, 2, 40000, 3, 0, 90000, 1};
	static const struct ap_native_spec three[] = {{"n", AP_NATIVE_UINT16},
						      {"word", AP_NATIVE_LC_STRING},
						      {"list", AP_NATIVE_ARRAY_STRING}};
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *b =
		ap_native_block_new(three, 3);
	_cleanup_buf_ struct ap_buf out = {0};
	struct ap_native_view v = {0};
	size_t used, row = 0, from, to;
	struct ap_error err = {0};
	char word[16];

	for (uint32_t i = 0; i < AP_ARRAY_SIZE(runs); i++) {
		struct ap_str w = {word, (size_t)snprintf(word, sizeof(word), "w%u", i)};

		for (uint32_t k = 0; k < runs[i] / 3; k++)
			ap_native_key(b, 1, (struct ap_str){(const char *)&k, sizeof(k)});
		ap_native_put_same(b, 0, i / 2, runs[i]);
		ap_native_put_key(b, 1, ap_native_key(b, 1, w), runs[i]);
		if (i < 3)
			ap_native_put_empty(b, 2, runs[i]);
		else
			for (uint32_t k = 0; k < runs[i]; k++)
				ap_native_put_strs(b, 2, &w, 1);
	}
	assert_int_equal(ap_native_encode(b, &out), 0);
	assert_int_equal(ap_native_decode(ap_buf_view(&out), &v, &used, &err), 0);
	for (uint32_t i = 0; i < AP_ARRAY_SIZE(runs); i++) {
		snprintf(word, sizeof(word), "w%u", i);
		for (uint32_t k = 0; k < runs[i]; k++, row++) {
			assert_int_equal(ap_native_uint(&v.columns[0], row), i / 2);
			assert_true(ap_str_is(ap_native_str(&v.columns[1], row), word));
			ap_native_array(&v.columns[2], row, &from, &to);
			assert_int_equal(to - from, i < 3 ? 0 : 1);
		}
	}
	assert_int_equal(v.rows, row);
	ap_native_view_free(&v);
}

/* A hash that two blocks have in common makes an engine leave one of them out. */
static void hash_tells_blocks_apart(void **state)
{
	static const struct ap_native_spec one[] = {{"n", AP_NATIVE_UINT64},
						    {"word", AP_NATIVE_LC_STRING}};
	static const struct {
		uint64_t first, second;
		const char *word;
	} rows[] = {{1, 1, "a"}, {1, 2, "a"}, {2, 1, "a"}, {2, 2, "a"}, {1, 1, "b"}, {1, 1, ""}};
	uint64_t hashes[AP_ARRAY_SIZE(rows)][2], again[2];

	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < AP_ARRAY_SIZE(rows); i++) {
			_cleanup_(ap_cleanup_native_block) struct ap_native_block *b =
				ap_native_block_new(one, 2);

			ap_native_put_uint(b, 0, rows[i].first);
			ap_native_put_uint(b, 0, rows[i].second);
			ap_native_put_str(b, 1, ap_str_of(rows[i].word));
			ap_native_put_str(b, 1, AP_STR("a"));
			assert_int_equal(ap_native_hash(b, round ? again : hashes[i]), 0);
			if (round)
				assert_memory_equal(again, hashes[i], sizeof(again));
		}
	for (size_t i = 0; i < AP_ARRAY_SIZE(rows); i++)
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(hashes[i], hashes[k], sizeof(hashes[i]));
}

static int stop_at(void *ctx, struct ap_str piece)
{
	int *left = ctx;

	assert_in_range(piece.n, 1, AP_NATIVE_PIECE);
	return (*left)-- > 0 ? 0 : -EPIPE;
}

static void pieces_end_with_the_taker(void **state)
{
	_cleanup_(ap_cleanup_native_block) struct ap_native_block *b =
		ap_native_block_new(specs, COLUMNS);
	int left = 1000;

	fill(b, 30000);
	assert_int_equal(ap_native_write(b, stop_at, &left), 0);
	assert_in_range(left, 900, 990);
	left = 2;
	assert_int_equal(ap_native_write(b, stop_at, &left), -EPIPE);
	assert_int_equal(left, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip_of_every_type),
		cmocka_unit_test(some_rows_of_every_type),
		cmocka_unit_test(bytes_are_as_documented),
		cmocka_unit_test(misuse_is_refused),
		cmocka_unit_test(hostile_bytes),
		cmocka_unit_test(foreign_types_are_named),
		cmocka_unit_test(values_that_repeat),
		cmocka_unit_test(hash_tells_blocks_apart),
		cmocka_unit_test(pieces_end_with_the_taker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/intern.h"

static void appends_and_formats(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};

	ap_buf_puts(&b, "x");
	ap_buf_printf(&b, "%d-%s", 42, "abc");
	ap_buf_varint(&b, 300);
	assert_int_equal(ap_buf_error(&b), 0);
	assert_int_equal(b.n, 9);
	assert_memory_equal(b.p, "x42-abc\xac\x02", 9);
}

static void growth_error_is_sticky(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};

	assert_null(ap_buf_reserve(&b, SIZE_MAX));
	ap_buf_puts(&b, "ignored");
	assert_int_equal(ap_buf_error(&b), -ENOMEM);
	assert_int_equal(b.n, 0);
}

static void replaces_what_is_not_utf8(void **state)
{
	static const char want[] = "ok\xef\xbf\xbd\xef\xbf\xbdZ\xc3\xbc";
	_cleanup_buf_ struct ap_buf b = {0};

	ap_buf_utf8(&b, AP_STR("ok\xff\xf0Z\xc3\xbc"));
	assert_int_equal(b.n, strlen(want));
	assert_memory_equal(b.p, want, b.n);
}

static void arena_refuses_past_its_limit(void **state)
{
	struct ap_arena a = AP_ARENA_INIT(100 * 1024);

	assert_non_null(ap_arena_alloc(&a, 1000));
	assert_null(ap_arena_alloc(&a, 1024 * 1024));
	assert_null(ap_arena_alloc(&a, SIZE_MAX - 3));
	assert_non_null(ap_arena_alloc(&a, 1000));
	ap_arena_free(&a);
}

static void arena_takes_what_was_reserved_and_no_more(void **state)
{
	struct ap_arena a = AP_ARENA_INIT(100 * 1024);
	size_t reserved;

	assert_int_equal(ap_arena_reserve(&a, 3000), 0);
	reserved = a.used;
	assert_in_range(reserved, 3000, 3100);
	for (int i = 0; i < 3000; i++)
		assert_non_null(ap_arena_alloc_aligned(&a, 1, 1));
	assert_int_equal(a.used, reserved);
	assert_int_equal((uintptr_t)ap_arena_alloc_aligned(&a, 3, 8) % 8, 0);
	assert_int_equal((uintptr_t)ap_arena_alloc_aligned(&a, 8, 8) % 8, 0);
	assert_int_equal((uintptr_t)ap_arena_alloc(&a, 1) % 16, 0);
	assert_true(a.used > reserved);
	assert_int_equal(ap_arena_reserve(&a, 1024 * 1024), -ENOMEM);
	assert_int_equal(ap_arena_reserve(&a, SIZE_MAX - 3), -ENOMEM);
	ap_arena_free(&a);
}

static void check_interning(struct ap_intern *in)
{
	char name[32];
	uint32_t id, again;

	assert_non_null(in);
	for (uint32_t i = 1; i <= 5000; i++) {
		struct ap_str s = {name, (size_t)snprintf(name, sizeof(name), "fn%06u", i)};

		assert_int_equal(ap_intern_add(in, s, &id, NULL), 0);
		assert_int_equal(id, i);
		assert_int_equal(ap_intern_add(in, s, &again, NULL), 0);
		assert_int_equal(again, i);
	}
	assert_true(ap_str_is(ap_intern_get(in, 4321), "fn004321"));
	assert_int_equal(ap_intern_get(in, 999999).n, 0);
	assert_int_equal(ap_intern_find(in, AP_STR("absent"), &id), -ENOENT);
	assert_int_equal(ap_intern_find(in, AP_STR(""), &id), 0);
	assert_int_equal(id, 0);
}

static void interning_gives_equal_bytes_one_id(void **state)
{
	_cleanup_(ap_cleanup_intern) struct ap_intern *in = ap_intern_new();
	_cleanup_(ap_cleanup_intern) struct ap_intern *text = ap_intern_new_text();
	_cleanup_(ap_cleanup_intern) struct ap_intern *keys = ap_intern_new_keys();

	check_interning(in);
	check_interning(text);
	check_interning(keys);
	for (uint32_t id = 0; id <= 5000; id++) {
		struct ap_str s = ap_intern_get(text, id);

		assert_int_equal(s.p[s.n], '\0');
		assert_int_equal((uintptr_t)ap_intern_get(keys, id).p % 8, 0);
		s = ap_intern_get(in, id);
		assert_int_equal(s.p[s.n], '\0');
		assert_int_equal((uintptr_t)s.p % 8, 0);
	}
	assert_true(ap_intern_bytes(text) < ap_intern_bytes(in));
	assert_true(ap_intern_bytes(keys) < ap_intern_bytes(in));
}

static void what_is_reserved_is_all_that_is_taken(void **state)
{
	_cleanup_(ap_cleanup_intern) struct ap_intern *in = ap_intern_new_keys();
	uint32_t id;
	size_t reserved;

	assert_int_equal(ap_intern_reserve(in, 1400, 1400 * 24), 0);
	reserved = ap_intern_bytes(in);
	assert_in_range(reserved, 1400 * (24 + 16), 1400 * (24 + 16 + 12) + 1024);
	for (uint64_t i = 0; i < 1400; i++) {
		uint64_t key[3] = {i, i, i};

		assert_int_equal(
			ap_intern_add(in, (struct ap_str){(char *)key, sizeof(key)}, &id, NULL), 0);
	}
	assert_int_equal(ap_intern_count(in), 1401);
	assert_int_equal(ap_intern_bytes(in), reserved);
	assert_int_equal(ap_intern_reserve(in, SIZE_MAX / 2, 0), -ENOMEM);
	assert_int_equal(ap_intern_reserve(in, 1, SIZE_MAX - 8), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_and_formats),
		cmocka_unit_test(growth_error_is_sticky),
		cmocka_unit_test(replaces_what_is_not_utf8),
		cmocka_unit_test(arena_refuses_past_its_limit),
		cmocka_unit_test(arena_takes_what_was_reserved_and_no_more),
		cmocka_unit_test(interning_gives_equal_bytes_one_id),
		cmocka_unit_test(what_is_reserved_is_all_that_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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

static void interning_gives_equal_bytes_one_id(void **state)
{
	_cleanup_(ap_cleanup_intern) struct ap_intern *in = ap_intern_new();
	char name[32];
	uint32_t id, again;

	assert_non_null(in);
	for (uint32_t i = 1; i <= 5000; i++) {
		struct ap_str s = {name, (size_t)snprintf(name, sizeof(name), "fn%u", i)};

		assert_int_equal(ap_intern_add(in, s, &id, NULL), 0);
		assert_int_equal(id, i);
		assert_int_equal(ap_intern_add(in, s, &again, NULL), 0);
		assert_int_equal(again, i);
	}
	assert_true(ap_str_is(ap_intern_get(in, 4321), "fn4321"));
	assert_int_equal(ap_intern_get(in, 999999).n, 0);
	assert_int_equal(ap_intern_find(in, AP_STR("absent"), &id), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(appends_and_formats),
		cmocka_unit_test(growth_error_is_sticky),
		cmocka_unit_test(replaces_what_is_not_utf8),
		cmocka_unit_test(arena_refuses_past_its_limit),
		cmocka_unit_test(interning_gives_equal_bytes_one_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/symbolizer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../test.h"
#include "base/io.h"
#include "fixture.h"

static struct ap_symbol look(struct ap_symbolizer *s, const char *path, uint64_t addr)
{
	struct ap_symbol_file f = {.key = ap_str_of(path), .open_path = path};
	struct ap_symbol ret;

	assert_int_equal(ap_symbolizer_file(s, &f, &addr, 1, &ret), 0);
	return ret;
}

static void expands_inlined_functions(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	const char *path = getenv("AP_FIXTURE");
	struct ap_symbol y = look(s, path, fixture_address(path, "holder"));

	assert_int_equal(y.n, 3);
	assert_true(ap_str_is(y.levels[0].name, "holder"));
	assert_true(ap_str_is(y.levels[1].name, "middle"));
	assert_true(ap_str_is(y.levels[2].name, "innermost"));
	assert_int_equal(y.levels[0].line, 19);
	assert_in_range(y.levels[0].start_line, 17, 19);
	assert_int_equal(y.levels[1].line, 14);
	assert_int_equal(y.levels[2].line, 9);
	for (uint32_t i = 0; i < y.n; i++)
		assert_true(ap_str_ends(y.levels[i].file, AP_STR("fixture/inlined.c")));
}

static void demangles_and_keeps_the_mangled_name(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	const char *path = getenv("AP_FIXTURE");
	struct ap_symbol y = look(s, path, fixture_address(path, "_ZN4shop4Cart3addEii"));

	assert_int_equal(y.n, 1);
	assert_true(ap_str_is(y.levels[0].name, "shop::Cart::add(int, int)"));
	assert_true(ap_str_is(y.levels[0].system_name, "_ZN4shop4Cart3addEii"));
	y = look(s, path, fixture_address(path, "_RNvCskwGfYPst2Cb_3foo16example_function"));
	assert_int_equal(y.n, 1);
	assert_true(ap_str_is(y.levels[0].name, "foo::example_function"));
	assert_true(ap_str_is(y.levels[0].system_name, "_RNvCskwGfYPst2Cb_3foo16example_function"));
}

static void demangles_d(void **state)
{
	static const struct {
		const char *system_name, *name;
	} functions[] = {
		{"_D4shop4Cart3addMFiiZv", "shop.Cart.add(int, int)"},
		{"_D4shop4Cart3addMFiiZv.part.0", "shop.Cart.add(int, int) [clone .part.0]"},
	};
	const char *path = getenv("AP_FIXTURE");

	for (int tables = 0; tables < 2; tables++) {
		struct ap_symbolizer_opts opts = {.no_debug_info = tables};
		_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(&opts);

		for (size_t i = 0; i < AP_ARRAY_SIZE(functions); i++) {
			const char *system_name = functions[i].system_name;
			struct ap_symbol y = look(s, path, fixture_address(path, system_name));

			assert_int_equal(y.n, 1);
			assert_true(ap_str_is(y.levels[0].name, functions[i].name));
			assert_true(ap_str_is(y.levels[0].system_name, system_name));
		}
	}
}

/* One that would take for ever, after which the file's others are not tried. */
static void hostile_names_stay_as_they_are(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	const char *path = getenv("AP_FIXTURE");
	char name[256] = "_D";
	struct ap_symbol y;

	for (int i = 0; i < 32; i++)
		strcat(name, "1aFC");
	strcat(name, "1a");
	y = look(s, path, fixture_address(path, name));
	assert_int_equal(y.n, 1);
	assert_true(ap_str_is(y.levels[0].name, name));
	assert_int_equal(y.levels[0].system_name.n, 0);
	y = look(s, path, fixture_address(path, "_D4shop4Cart3addMFiiZv"));
	assert_true(ap_str_is(y.levels[0].name, "_D4shop4Cart3addMFiiZv"));
	y = look(s, path, fixture_address(path, "_ZN4shop4Cart3addEii"));
	assert_true(ap_str_is(y.levels[0].name, "shop::Cart::add(int, int)"));
}

static void reads_packed_debug_information(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	struct ap_symbol y = look(s, getenv("AP_FIXTURE_PACKED"),
				  fixture_address(getenv("AP_FIXTURE"), "holder"));

	assert_int_equal(y.n, 3);
	assert_int_equal(y.levels[2].line, 9);
}

static void stripped_has_no_symbol_but_an_answer(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	struct ap_symbolizer_stats stats;

	assert_int_equal(look(s, getenv("AP_FIXTURE_STRIPPED"),
			      fixture_address(getenv("AP_FIXTURE"), "holder"))
				 .n,
			 0);
	ap_symbolizer_get_stats(s, &stats);
	assert_int_equal(stats.unknown, 1);
	assert_int_equal(stats.files_refused, 0);
}

static void finds_the_separate_debug_file(void **state)
{
	char dir[] = "/tmp/aperture-symbol-XXXXXX", path[512];
	const char *dirs[] = {dir, NULL};
	struct ap_symbolizer_opts opts = {.debug_dirs = dirs};
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = NULL;
	struct ap_symbol y;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/.build-id/00", dir);
	assert_int_equal(ap_mkdir_all(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/.build-id/00/c0ffee0123456789abcdef.debug", dir);
	assert_int_equal(symlink(getenv("AP_FIXTURE_DEBUG"), path), 0);
	s = ap_symbolizer_new(&opts);
	y = look(s, getenv("AP_FIXTURE_STRIPPED"), fixture_address(getenv("AP_FIXTURE"), "holder"));
	assert_int_equal(y.n, 3);
	assert_true(ap_str_is(y.levels[2].name, "innermost"));
	unlink(path);
	fixture_remove(dir, ".build-id/00", ".build-id", "");
}

static void symbol_tables_serve_without_debug_information(void **state)
{
	struct ap_symbolizer_opts opts = {.no_debug_info = true};
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(&opts);
	const char *path = getenv("AP_FIXTURE");
	struct ap_symbol y = look(s, path, fixture_address(path, "holder") + 1);

	assert_int_equal(y.n, 1);
	assert_true(ap_str_is(y.levels[0].name, "holder"));
	assert_int_equal(y.levels[0].file.n, 0);
}

static void a_file_that_is_gone_is_answered_from_the_cache(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	const char *path = getenv("AP_FIXTURE");
	uint64_t addrs[] = {fixture_address(path, "holder"), fixture_address(path, "main"), 1};
	struct ap_symbol_file f = {.key = AP_STR("k"), .open_path = path};
	struct ap_symbolizer_stats stats;
	struct ap_symbol ret[3];

	assert_int_equal(ap_symbolizer_file(s, &f, addrs, 3, ret), 0);
	assert_int_equal(ret[2].n, 0);
	f.open_path = NULL;
	assert_int_equal(ap_symbolizer_file(s, &f, addrs, 3, ret), 0);
	assert_int_equal(ret[0].n, 3);
	assert_true(ap_str_is(ret[1].levels[0].name, "main"));
	ap_symbolizer_get_stats(s, &stats);
	assert_int_equal(stats.lookups, 6);
	assert_int_equal(stats.hits, 3);
}

static void budgets_hold_and_answers_stay_right(void **state)
{
	struct ap_symbolizer_opts opts = {.cache_bytes = 1, .source_bytes = 1};
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(&opts);
	const char *path = getenv("AP_FIXTURE");
	uint64_t addr = fixture_address(path, "holder");
	char key[16];

	for (int i = 0; i < 40; i++) {
		struct ap_symbolizer_stats stats;
		struct ap_symbol_file f = {.open_path = path};
		struct ap_symbol ret;

		f.key = (struct ap_str){key, (size_t)snprintf(key, sizeof(key), "k%d", i % 3)};
		assert_int_equal(ap_symbolizer_file(s, &f, &addr, 1, &ret), 0);
		assert_int_equal(ret.n, 3);
		ap_symbolizer_get_stats(s, &stats);
		assert_true(stats.cache_bytes < 256 * 1024);
		assert_int_equal(stats.hits, 0);
	}
}

static void names_functions_of_the_vdso(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	bool found = false;

	for (uint64_t addr = 0; addr < 0x2000 && !found; addr += 16) {
		struct ap_symbol y = look(s, "[vdso]", addr);

		found = y.n && ap_str_ends(y.levels[0].name, AP_STR("clock_gettime"));
	}
	assert_true(found);
}

/* Each is refused or has no symbols, at once, and the symboliser goes on. */
static void hostile_files_yield_no_symbols(void **state)
{
	char dir[] = "/tmp/aperture-symbol-XXXXXX", path[512];
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	_cleanup_buf_ struct ap_buf good = {0};
	const char *fixture = getenv("AP_FIXTURE");
	uint64_t addr = fixture_address(fixture, "holder");

	assert_non_null(mkdtemp(dir));
	assert_int_equal(ap_read_file(AT_FDCWD, fixture, 1 << 20, &good), 0);
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(look(s, path, addr).n, 0);
	unlink(path);
	assert_int_equal(look(s, dir, addr).n, 0);
	assert_int_equal(look(s, "/dev/zero", addr).n, 0);
	assert_int_equal(look(s, "/nonexistent", addr).n, 0);
	for (size_t n = 0; n < good.n; n += 1 + good.n / 97) {
		snprintf(path, sizeof(path), "%s/cut%zu", dir, n);
		assert_int_equal(ap_write_file_atomic(path, good.p, n, 0600, false), 0);
		assert_int_equal(look(s, path, addr).n, 0);
		unlink(path);
	}
	assert_int_equal(look(s, fixture, addr).n, 3);
	assert_int_equal(rmdir(dir), 0);
}

/* One byte in a hundred is wrong, differently each time: any answer is right, none is fatal. */
static void damaged_files_are_survived(void **state)
{
	char dir[] = "/tmp/aperture-symbol-XXXXXX", path[512];
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	_cleanup_buf_ struct ap_buf good = {0};
	const char *fixture = getenv("AP_FIXTURE");
	uint64_t holder = fixture_address(fixture, "holder"), state64 = 88172645463325252ull;

	assert_non_null(mkdtemp(dir));
	assert_int_equal(ap_read_file(AT_FDCWD, fixture, 1 << 20, &good), 0);
	for (int round = 0; round < 300; round++) {
		_cleanup_free_ uint8_t *bad = malloc(good.n);
		struct ap_symbol_file f = {.open_path = path};
		uint64_t addrs[64];
		struct ap_symbol ret[64];

		memcpy(bad, good.p, good.n);
		for (size_t i = 64; i < good.n; i++) {
			state64 ^= state64 << 13;
			state64 ^= state64 >> 7;
			state64 ^= state64 << 17;
			if (state64 % (round % 2 ? 100 : 2000) == 0)
				bad[i] = (uint8_t)(state64 >> 32);
		}
		for (size_t i = 0; i < AP_ARRAY_SIZE(addrs); i++)
			addrs[i] = holder - 256 + i * 8;
		snprintf(path, sizeof(path), "%s/bad%d", dir, round);
		f.key = ap_str_of(path);
		assert_int_equal(ap_write_file_atomic(path, bad, good.n, 0600, false), 0);
		assert_int_equal(ap_symbolizer_file(s, &f, addrs, AP_ARRAY_SIZE(addrs), ret), 0);
		unlink(path);
	}
	assert_int_equal(rmdir(dir), 0);
}

static void names_a_kernel_function(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	struct ap_symbolizer_opts hidden = {.kallsyms = "/nonexistent/kallsyms"};
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *blind = ap_symbolizer_new(&hidden);
	uint64_t addr = 0xffffffff81000000;
	struct ap_error err = {0};
	struct ap_symbol y;

	assert_int_equal(ap_symbolizer_kernel(blind, &addr, 1, &y), 0);
	assert_int_equal(y.n, 0);
	assert_int_equal(ap_symbolizer_kernel_status(blind, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "/nonexistent/kallsyms"));

	addr = fixture_kernel_address("do_sys_openat2");
	if (ap_symbolizer_kernel_status(s, &err) < 0 || !addr)
		skip();
	assert_int_equal(ap_symbolizer_kernel(s, &addr, 1, &y), 0);
	assert_int_equal(y.n, 1);
	assert_true(ap_str_is(y.levels[0].name, "do_sys_openat2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expands_inlined_functions),
		cmocka_unit_test(demangles_and_keeps_the_mangled_name),
		cmocka_unit_test(demangles_d),
		cmocka_unit_test(hostile_names_stay_as_they_are),
		cmocka_unit_test(reads_packed_debug_information),
		cmocka_unit_test(stripped_has_no_symbol_but_an_answer),
		cmocka_unit_test(finds_the_separate_debug_file),
		cmocka_unit_test(symbol_tables_serve_without_debug_information),
		cmocka_unit_test(a_file_that_is_gone_is_answered_from_the_cache),
		cmocka_unit_test(budgets_hold_and_answers_stay_right),
		cmocka_unit_test(names_functions_of_the_vdso),
		cmocka_unit_test(hostile_files_yield_no_symbols),
		cmocka_unit_test(damaged_files_are_survived),
		cmocka_unit_test(names_a_kernel_function),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

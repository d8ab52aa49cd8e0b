/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/data_symbols.h"

#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../test.h"
#include "base/io.h"
#include "symbol/symbolizer.h"

/* Variables of this program, one in .data and one in .bss, and one in a function. */
static struct {
	uint64_t first, second;
} pair_in_data = {1, 2};
uint64_t table_in_bss[32];

static int find_base(struct dl_phdr_info *info, size_t size, void *ret)
{
	*(uint64_t *)ret = info->dlpi_addr;
	return 1;
}

static uint64_t here(const volatile void *p)
{
	uint64_t base = 0;

	dl_iterate_phdr(find_base, &base);
	return (uint64_t)(uintptr_t)p - base;
}

static void check(struct ap_symbolizer *s, uint64_t address, const char *want)
{
	const struct ap_symbol_file f = {.key = AP_STR("me"), .open_path = "/proc/self/exe"};
	struct ap_symbol y;

	assert_int_equal(ap_symbolizer_data(s, &f, &address, 1, &y), 0);
	assert_int_equal(y.n, want ? 1 : 0);
	if (want && !ap_str_is(y.levels[0].name, want))
		fail_msg("'%.*s' is not '%s'", AP_STR_ARG(y.levels[0].name), want);
}

static void names_variables_and_what_is_in_them(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);

	for (int cached = 0; cached < 2; cached++) {
		check(s, here(&pair_in_data), "pair_in_data");
		check(s, here(&pair_in_data.second), "pair_in_data+0x8");
		check(s, here(&table_in_bss[31]), "table_in_bss+0xf8");
		check(s, here((void *)names_variables_and_what_is_in_them), NULL);
		check(s, 1ull << 40, NULL);
	}
}

/* Code and data have answers of their own, though both are addresses of one file. */
static void is_not_taken_for_a_function(void **state)
{
	_cleanup_(ap_cleanup_symbolizer) struct ap_symbolizer *s = ap_symbolizer_new(NULL);
	const struct ap_symbol_file f = {.key = AP_STR("me"), .open_path = "/proc/self/exe"};
	uint64_t code = here((void *)is_not_taken_for_a_function);
	struct ap_symbol y;

	check(s, code, NULL);
	assert_int_equal(ap_symbolizer_file(s, &f, &code, 1, &y), 0);
	assert_true(ap_str_is(y.levels[0].name, "is_not_taken_for_a_function"));
	check(s, here(&pair_in_data), "pair_in_data");
}

static void a_file_that_ends_early_has_no_names(void **state)
{
	_cleanup_(ap_cleanup_answers) struct ap_answers *a = ap_answers_new();
	_cleanup_fd_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_fd_ int cut = memfd_create("cut", MFD_CLOEXEC);
	const uint64_t address = here(&pair_in_data);
	struct ap_symbol y;
	struct ap_elf e;

	assert_int_equal(ap_elf_read(fd, 0, AP_ELF_STRANGER, &e), 0);
	assert_int_equal(ap_data_symbols_find(cut, &e, &address, 1, a), 0);
	assert_false(ap_answers_get(a, address, &y));
	/* Sizes that reach to the end of the address space do no harm. */
	e.symtab.size = e.dynsym.size = UINT64_MAX;
	assert_int_equal(ap_data_symbols_find(cut, &e, &address, 1, a), 0);
}

static void names_in_namespaces_are_plain(void **state)
{
	static const char *const names[][2] = {
		{"lock", "lock"},
		{"_ZN4shop4cart5mutexE", "shop::cart::mutex"},
		{"_ZL5guard", "guard"},
		{"_ZN4shopL5guardE", "shop::guard"},
		{"_ZN3app5STATE17h0123456789abcdefE", "app::STATE"},
		{"_ZN4shop3getEv", "_ZN4shop3getEv"},
		{"_ZN99shopE", "_ZN99shopE"},
		{"_ZNE", "_ZNE"},
		{"_ZN99999999999999999999999999999aE", "_ZN99999999999999999999999999999aE"},
		{"", ""},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(names); i++) {
		_cleanup_buf_ struct ap_buf b = {0};

		ap_data_symbols_plain(names[i][0], &b);
		ap_buf_byte(&b, 0);
		assert_string_equal(b.p, names[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_variables_and_what_is_in_them),
		cmocka_unit_test(is_not_taken_for_a_function),
		cmocka_unit_test(a_file_that_ends_early_has_no_names),
		cmocka_unit_test(names_in_namespaces_are_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

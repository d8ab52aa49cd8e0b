/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/elf_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "../test.h"

static int read_file(const char *path, uint64_t max_debug, struct ap_elf *ret)
{
	_cleanup_fd_ int fd = ap_open_regular(path);

	assert_true(fd >= 0);
	return ap_elf_read(fd, max_debug, ret);
}

static void tells_what_a_file_holds(void **state)
{
	struct ap_elf e;

	assert_int_equal(read_file(getenv("AP_FIXTURE"), 1 << 30, &e), 0);
	assert_true(e.is64 && e.has_debug_info && !e.has_links && !e.has_bomb);
	assert_true(e.symtab.size > 0 && e.dynsym.size > 0);
	assert_string_equal(e.build_id, "00c0ffee0123456789abcdef");
	assert_int_equal(read_file(getenv("AP_FIXTURE_STRIPPED"), 1 << 30, &e), 0);
	assert_true(!e.has_debug_info && e.symtab.size == 0 && e.dynsym.size > 0);
	assert_string_equal(e.build_id, "00c0ffee0123456789abcdef");
}

static void packed_sections_are_measured(void **state)
{
	struct ap_elf plain, packed;

	assert_int_equal(read_file(getenv("AP_FIXTURE"), 1 << 30, &plain), 0);
	assert_int_equal(read_file(getenv("AP_FIXTURE_PACKED"), 1 << 30, &packed), 0);
	assert_true(packed.has_debug_info && !packed.has_bomb);
	assert_int_equal(packed.debug_bytes, plain.debug_bytes);
	assert_int_equal(read_file(getenv("AP_FIXTURE_PACKED"), 64, &packed), 0);
	assert_true(packed.has_bomb);
}

static void refuses_what_is_no_elf_file(void **state)
{
	struct ap_elf e;

	assert_int_equal(read_file("/etc/passwd", 1 << 30, &e), -ENOEXEC);
	assert_int_equal(ap_open_regular("/dev/null"), -EINVAL);
	assert_int_equal(ap_open_regular("/tmp"), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_a_file_holds),
		cmocka_unit_test(packed_sections_are_measured),
		cmocka_unit_test(refuses_what_is_no_elf_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

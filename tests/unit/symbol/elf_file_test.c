/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/elf_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../test.h"
#include "base/io.h"

static int read_file(const char *path, uint64_t max_debug, struct ap_elf *ret)
{
	_cleanup_fd_ int fd = ap_open_regular(path);

	assert_true(fd >= 0);
	return ap_elf_read(fd, max_debug, AP_ELF_STRANGER, ret);
}

static void tells_what_a_file_holds(void **state)
{
	struct ap_elf e;

	assert_int_equal(read_file(getenv("AP_FIXTURE"), 1 << 30, &e), 0);
	assert_true(e.is64 && e.has_debug_info && !e.has_bomb);
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

/* A copy of the packed fixture in which a section declares a byte too much. */
static int lying_file(void)
{
	static const uint8_t zlib_header[8] = {1};
	_cleanup_buf_ struct ap_buf b = {0};
	char path[] = "/tmp/aperture-elf-XXXXXX";
	int fd = mkstemp(path);
	uint8_t *p;

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ap_read_file(AT_FDCWD, getenv("AP_FIXTURE_PACKED"), 1 << 24, &b), 0);
	for (p = b.p; p; p++) {
		p = memmem(p, b.n - (size_t)(p - b.p), zlib_header, sizeof(zlib_header));
		assert_non_null(p);
		if (p[24] == 0x78 && (p[24] << 8 | p[25]) % 31 == 0)
			break;
	}
	p[8]++;
	assert_int_equal(ap_write_all(fd, b.p, b.n), 0);
	return fd;
}

static void only_what_root_alone_writes_is_believed(void **state)
{
	_cleanup_fd_ int fd = lying_file();
	struct ap_elf e;

	if (geteuid() != 0)
		skip();
	assert_int_equal(ap_elf_read(fd, 1 << 30, AP_ELF_STRANGER, &e), 0);
	assert_true(e.has_bomb);
	assert_int_equal(ap_elf_read(fd, 1 << 30, AP_ELF_OF_SYSTEM, &e), 0);
	assert_false(e.has_bomb);
	assert_int_equal(ap_elf_read(fd, 64, AP_ELF_OF_SYSTEM, &e), 0);
	assert_true(e.has_bomb);
	assert_int_equal(fchmod(fd, 0666), 0);
	assert_int_equal(ap_elf_read(fd, 1 << 30, AP_ELF_OF_SYSTEM, &e), 0);
	assert_true(e.has_bomb);
	assert_int_equal(fchmod(fd, 0644), 0);
	assert_int_equal(fchown(fd, 65534, 0), 0);
	assert_int_equal(ap_elf_read(fd, 1 << 30, AP_ELF_OF_SYSTEM, &e), 0);
	assert_true(e.has_bomb);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_what_a_file_holds),
		cmocka_unit_test(packed_sections_are_measured),
		cmocka_unit_test(only_what_root_alone_writes_is_believed),
		cmocka_unit_test(refuses_what_is_no_elf_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/perf_map.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../test.h"
#include "base/io.h"

static struct ap_answers *find(const char *text, size_t n_text, uint64_t *addrs, size_t n)
{
	char path[] = "/tmp/aperture-map-XXXXXX";
	struct ap_answers *a = ap_answers_new();
	int fd = mkstemp(path);

	assert_non_null(a);
	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ap_write_all(fd, text, n_text), 0);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(ap_perf_map_find(fd, 1 << 24, addrs, n, a), 0);
	close(fd);
	return a;
}

static void check(const struct ap_answers *a, uint64_t addr, const char *want)
{
	struct ap_symbol y;

	assert_true(ap_answers_get(a, addr, &y));
	assert_int_equal(y.n, want ? 1 : 0);
	if (want)
		assert_true(ap_str_is(y.levels[0].name, want));
}

static void later_lines_win(void **state)
{
	static const char text[] = "1000 10 first\n"
				   "1010 0x20 LazyCompile:~sort native array.js:1\n"
				   "garbage\nzz 10 bad\n 5 5\n"
				   "ffffffffffffff00 200 wraps\n"
				   "1000 8 again\n";
	uint64_t addrs[] = {0x1030, 0x1008, 0x1000, 0x102f, 0xfff, 0xffffffffffffff10};
	_cleanup_(ap_cleanup_answers) struct ap_answers *a =
		find(text, sizeof(text) - 1, addrs, AP_ARRAY_SIZE(addrs));

	check(a, 0x1000, "again");
	check(a, 0x1008, "first");
	check(a, 0x102f, "LazyCompile:~sort native array.js:1");
	check(a, 0x1030, NULL);
	check(a, 0xfff, NULL);
	check(a, 0xffffffffffffff10, "wraps");
}

static void lines_cross_chunks_and_endless_ones_are_skipped(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};
	uint64_t addrs[] = {0x500000, 0x10, 0x70};
	_cleanup_(ap_cleanup_answers) struct ap_answers *a = NULL;

	for (unsigned int i = 0; i < 50000; i++)
		ap_buf_printf(&b, "%x 10 function_%u\n", i * 16, i);
	ap_buf_puts(&b, "70 10 ");
	for (unsigned int i = 0; i < 700000; i++)
		ap_buf_byte(&b, 'x');
	ap_buf_puts(&b, "\n500000 1 end\xff\n");
	a = find((const char *)b.p, b.n, addrs, AP_ARRAY_SIZE(addrs));
	check(a, 0x10, "function_1");
	check(a, 0x70, "function_7");
	check(a, 0x500000, "end?");
}

static void opens_only_the_users_own_regular_file(void **state)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	assert_int_equal(ap_perf_map_open((uint32_t)getpid()), -ENOENT);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(ap_perf_map_open((uint32_t)getpid()), -EPERM);
	unlink(path);
	assert_int_equal(ap_write_file_atomic(path, "10 10 f\n", 8, 0600, false), 0);
	fd = ap_perf_map_open((uint32_t)getpid());
	assert_true(fd >= 0);
	close(fd);
	if (getuid() == 0) {
		assert_int_equal(chown(path, 12345, 12345), 0);
		assert_int_equal(ap_perf_map_open((uint32_t)getpid()), -EPERM);
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(later_lines_win),
		cmocka_unit_test(lines_cross_chunks_and_endless_ones_are_skipped),
		cmocka_unit_test(opens_only_the_users_own_regular_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

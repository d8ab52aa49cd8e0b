/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sys/stat.h>

#include "../test.h"
#include "base/io.h"

static char folder[] = "/tmp/aperture-io-XXXXXX";

static const char *in_folder(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return path;
}

static void replaces_a_file_whole(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};
	struct stat st;

	assert_int_equal(ap_write_file_atomic(in_folder("f"), "first", 5, 0600, true), 0);
	assert_int_equal(ap_write_file_atomic(in_folder("f"), "2nd", 3, 0600, false), 0);
	assert_int_equal(ap_read_file(AT_FDCWD, in_folder("f"), 3, &b), 0);
	assert_true(ap_str_is(ap_buf_view(&b), "2nd"));
	assert_int_equal(stat(in_folder("f"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void refuses_files_past_the_bound(void **state)
{
	_cleanup_buf_ struct ap_buf b = {0};

	assert_int_equal(ap_write_file_atomic(in_folder("g"), "12345", 5, 0600, false), 0);
	assert_int_equal(ap_read_file(AT_FDCWD, in_folder("g"), 4, &b), -EFBIG);
	assert_int_equal(ap_read_file(AT_FDCWD, "/dev/zero", 100000, &b), -EFBIG);
	assert_int_equal(ap_read_file(AT_FDCWD, in_folder("absent"), 4, &b), -ENOENT);
}

static void reads_at_an_offset_all_or_nothing(void **state)
{
	int fd = open(in_folder("f"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char p[4] = "";

	assert_int_equal(ap_write_all(fd, "0123456", 7), 0);
	assert_int_equal(ap_read_at(fd, 3, p, 4), 0);
	assert_memory_equal(p, "3456", 4);
	assert_int_equal(ap_read_at(fd, 4, p, 4), -ENODATA);
	assert_int_equal(ap_read_at(fd, UINT64_MAX - 2, p, 4), -ENODATA);
	assert_int_equal(ap_read_at(fd, 7, p, 0), 0);
	close(fd);
	assert_int_equal(ap_read_at(-1, 0, p, 4), -EBADF);
}

static void makes_folders_with_their_parents(void **state)
{
	assert_int_equal(ap_mkdir_all(in_folder("a/b/c"), 0700), 0);
	assert_int_equal(ap_mkdir_all(in_folder("a/b/c"), 0700), 0);
	assert_int_equal(access(in_folder("a/b/c"), W_OK), 0);
	assert_int_equal(ap_mkdir_all(in_folder("f/x"), 0700), -ENOTDIR);
}

static int setup(void **state)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int teardown(void **state)
{
	static const char *const made[] = {"f", "g", "a/b/c", "a/b", "a"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(made); i++)
		remove(in_folder(made[i]));
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(replaces_a_file_whole),
		cmocka_unit_test(refuses_files_past_the_bound),
		cmocka_unit_test(reads_at_an_offset_all_or_nothing),
		cmocka_unit_test(makes_folders_with_their_parents),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

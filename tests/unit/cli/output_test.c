/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/output.h"

static char folder[64];

static int enter_folder(void **state)
{
	strcpy(folder, "/tmp/ap-output-test-XXXXXX");
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave_folder(void **state)
{
	DIR *d = opendir(".");

	for (struct dirent *e = readdir(d); e; e = readdir(d))
		unlink(e->d_name);
	closedir(d);
	return chdir("/") == 0 ? rmdir(folder) : -1;
}

static unsigned int files(void)
{
	DIR *d = opendir(".");
	unsigned int n = 0;

	for (struct dirent *e = readdir(d); e; e = readdir(d))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void check_content(const char *path, const char *text)
{
	_cleanup_buf_ struct ap_buf b = {0};

	assert_int_equal(ap_read_file(AT_FDCWD, path, 1000, &b), 0);
	assert_true(ap_str_is(ap_buf_view(&b), text));
}

static void write_to(struct ap_output *o, const char *path, const char *text)
{
	struct ap_error err = {0};

	assert_int_equal(ap_output_open(o, path, ".pb.gz", &err), 0);
	assert_int_equal(ap_output_write(o, text, strlen(text)), 0);
	assert_int_equal(o->bytes, strlen(text));
}

static void test_appears_when_whole(void **state)
{
	struct ap_output o = AP_OUTPUT_INIT;
	struct ap_error err = {0};
	struct stat st;

	assert_int_equal(ap_write_file_atomic("p.svg", "old", 3, 0600, false), 0);
	write_to(&o, "p.svg", "new");
	check_content("p.svg", "old");
	assert_int_equal(ap_output_commit(&o, &err), 0);
	check_content("p.svg", "new");
	assert_int_equal(stat("p.svg", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	ap_output_close(&o);
	assert_int_equal(files(), 1);
}

static void test_nothing_is_left_behind(void **state)
{
	struct ap_output o = AP_OUTPUT_INIT;

	write_to(&o, "p.svg", "half");
	ap_output_close(&o);
	write_to(&o, NULL, "half");
	ap_output_close(&o);
	assert_int_equal(files(), 0);
}

static void test_default_names(void **state)
{
	static const char *const names[] = {"profile.pb.gz", "profile-2.pb.gz", "profile-3.pb.gz"};
	struct ap_error err = {0};

	for (size_t i = 0; i < AP_ARRAY_SIZE(names); i++) {
		struct ap_output o = AP_OUTPUT_INIT;

		write_to(&o, NULL, names[i]);
		assert_string_equal(o.path, names[i]);
		assert_int_equal(ap_output_commit(&o, &err), 0);
		ap_output_close(&o);
	}
	check_content(names[0], names[0]);
	assert_int_equal(files(), 3);
}

static void test_unwritable(void **state)
{
	struct ap_output o = AP_OUTPUT_INIT;
	struct ap_error err = {0};

	assert_int_equal(ap_output_open(&o, "no/folder/p.svg", ".svg", &err), -ENOENT);
	assert_non_null(strstr(err.msg, "no/folder/p.svg"));
	ap_output_close(&o);
}

static bool yes(void *ctx)
{
	return true;
}

static void test_cancelled(void **state)
{
	struct ap_output o = {.fd = -1, .cancelled = yes};
	struct ap_error err = {0};

	assert_int_equal(ap_output_open(&o, "p.svg", ".svg", &err), 0);
	assert_int_equal(ap_output_write(&o, "x", 1), -ECANCELED);
	ap_output_close(&o);
	assert_int_equal(files(), 0);
}

static void test_device_in_place(void **state)
{
	struct ap_output o = AP_OUTPUT_INIT;
	struct ap_error err = {0};

	write_to(&o, "/dev/null", "x");
	assert_int_equal(ap_output_commit(&o, &err), 0);
	ap_output_close(&o);
	assert_int_equal(access("/dev/null", F_OK), 0);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, enter_folder, leave_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(test_appears_when_whole), IN_FOLDER(test_nothing_is_left_behind),
		IN_FOLDER(test_default_names),	    IN_FOLDER(test_unwritable),
		IN_FOLDER(test_cancelled),	    IN_FOLDER(test_device_in_place),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

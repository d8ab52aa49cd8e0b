/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of packages, of files like dpkg's. */
#include "agent/package.h"

#include <sys/stat.h>
#include <unistd.h>

#include "../test.h"
#include "base/clock.h"
#include "base/io.h"

static char root[64];
static uint64_t now = 1;

static void put(const char *name, const char *text)
{
	char path[200], dir[200];

	snprintf(path, sizeof(path), "%s%s", root, name);
	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	assert_int_equal(ap_mkdir_all(dir, 0755), 0);
	assert_int_equal(ap_write_file_atomic(path, text, strlen(text), 0644, false), 0);
}

static int set_up(void **state)
{
	snprintf(root, sizeof(root), "/tmp/ap-package-XXXXXX");
	if (!mkdtemp(root))
		return -1;
	put("/var/lib/dpkg/status",
	    "Package: other\nVersion: 9\n\nPackage: web\nStatus: install ok installed\n"
	    "Description: says\n Version: not this\nVersion: 1:1.22.1-9+deb12u1\n\n"
	    "Package: removed\nStatus: deinstall ok config-files\n");
	put("/var/lib/dpkg/info/other.list",
	    "/.\n/usr\n/usr/sbin/website\n/usr/share/usr/sbin/web\n");
	put("/var/lib/dpkg/info/web:amd64.list", "/.\n/sbin/web\n/usr/bin/tool\n");
	put("/var/lib/dpkg/info/web.md5sums", "/usr/bin/else\n");
	put("/var/lib/dpkg/info/removed.list", "/usr/bin/gone\n");
	return 0;
}

static int tear_down(void **state)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

/* This test's own file stands at that path of the root. */
static void install(const char *path)
{
	char at[200];

	put(path, "");
	snprintf(at, sizeof(at), "%s%s", root, path);
	assert_int_equal(unlink(at), 0);
	if (link("/proc/self/exe", at) < 0)
		assert_int_equal(linkat(-100, "/proc/self/exe", -100, at, 0x400), 0);
}

static int find(struct ap_packages *p, const char *path, const char *build, struct ap_str *ret)
{
	const struct ap_package_program program = {ap_str_of(path), ap_str_of(build), getpid()};

	now += 1000 * AP_NSEC_PER_SEC;
	return ap_packages_find(p, &program, now, ret);
}

static void test_programs_of_packages_have_their_version(void **state)
{
	struct ap_packages *p = ap_packages_new(root);
	struct ap_str v;

	install("/usr/sbin/web"); /* listed as of before the merge */
	install("/usr/bin/tool");
	install("/usr/bin/else");
	install("/usr/bin/gone");
	install("/usr/sbin/we");
	assert_int_equal(find(p, "/usr/sbin/web", "a", &v), 0);
	assert_true(ap_str_is(v, "1:1.22.1-9+deb12u1"));
	assert_int_equal(find(p, "/usr/bin/tool", "a", &v), 0);
	assert_int_equal(find(p, "/usr/bin/else", "a", &v), -ENOENT);
	assert_int_equal(find(p, "/usr/bin/gone", "a", &v), -ENOENT);
	assert_int_equal(find(p, "/usr/sbin/we", "a", &v), -ENOENT);
	assert_int_equal(find(p, "relative", "a", &v), -ENOENT);
	ap_packages_free(p);
}

static void test_a_version_stays_with_the_build(void **state)
{
	struct ap_packages *p = ap_packages_new(root);
	struct ap_str v;

	install("/usr/bin/tool");
	assert_int_equal(find(p, "/usr/bin/tool", "a", &v), 0);
	/* An upgrade, while the old one runs on. */
	put("/var/lib/dpkg/status", "Package: web\nVersion: 2.0\n");
	assert_int_equal(find(p, "/usr/bin/tool", "a", &v), 0);
	assert_true(ap_str_is(v, "1:1.22.1-9+deb12u1"));
	assert_int_equal(find(p, "/usr/bin/tool", "b", &v), 0);
	assert_true(ap_str_is(v, "2.0"));
	ap_packages_free(p);
}

static void test_what_runs_must_be_what_is_installed(void **state)
{
	struct ap_packages *p = ap_packages_new(root);
	struct ap_str v;

	put("/usr/bin/tool", "another file");
	assert_int_equal(find(p, "/usr/bin/tool", "a", &v), -ENOENT);
	ap_packages_free(p);
}

static void test_reading_is_rationed(void **state)
{
	struct ap_packages *p = ap_packages_new(root);
	struct ap_package_program program = {AP_STR("/usr/bin/tool"), AP_STR("a"), getpid()};
	struct ap_str v;

	install("/usr/bin/tool");
	assert_int_equal(ap_packages_find(p, &program, 1000, &v), 0);
	program.build = AP_STR("b");
	assert_int_equal(ap_packages_find(p, &program, 1001, &v), -ENOENT);
	assert_int_equal(ap_packages_find(p, &program, 1000 + 1000 * AP_NSEC_PER_SEC, &v), 0);
	ap_packages_free(p);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_programs_of_packages_have_their_version),
		TEST(test_a_version_stays_with_the_build),
		TEST(test_what_runs_must_be_what_is_installed),
		TEST(test_reading_is_rationed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

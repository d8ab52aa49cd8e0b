/* SPDX-License-Identifier: Apache-2.0 */
#include "http/static.h"

#include <ftw.h>
#include <sys/stat.h>

#include "../test.h"
#include "base/io.h"

static char dir[] = "/tmp/aperture-static-XXXXXX";

static void put(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(ap_write_file_atomic(path, text, strlen(text), 0644, false), 0);
}

static int setup(void **state)
{
	char path[256], target[256];

	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/assets", dir);
	if (mkdir(path, 0755) < 0)
		return -1;
	put("index.html", "<html>");
	put("secret.txt", "top");
	put(".hidden", "no");
	put("assets/app-1f.js", "plain");
	put("assets/app-1f.js.gz", "zipped");
	snprintf(path, sizeof(path), "%s/link.txt", dir);
	snprintf(target, sizeof(target), "%s/secret.txt", dir);
	return symlink(target, path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *f)
{
	return remove(path);
}

static int teardown(void **state)
{
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_find(void **state)
{
	_cleanup_(ap_cleanup_http_static) struct ap_http_static *s = NULL;
	struct ap_error err;
	struct ap_http_file f;

	assert_int_equal(ap_http_static_load(dir, &s, &err), 0);
	assert_true(ap_http_static_find(s, AP_STR("/"), true, &f));
	assert_true(ap_str_is(f.bytes, "<html>"));
	assert_string_equal(f.content_type, "text/html; charset=utf-8");
	assert_false(f.gzip || f.has_gzip || f.immutable);
	assert_true(ap_http_static_find(s, AP_STR("/assets/app-1f.js"), true, &f));
	assert_true(f.gzip && f.has_gzip && f.immutable && ap_str_is(f.bytes, "zipped"));
	assert_string_equal(f.content_type, "text/javascript; charset=utf-8");
	assert_true(ap_http_static_find(s, AP_STR("/assets/app-1f.js"), false, &f));
	assert_true(!f.gzip && f.has_gzip && ap_str_is(f.bytes, "plain"));
	/* A page of the application, at any depth. */
	assert_true(ap_http_static_find(s, AP_STR("/flamegraph/x"), false, &f));
	assert_true(ap_str_is(f.bytes, "<html>"));
}

static void test_nothing_outside(void **state)
{
	static const char *const bad[] = {
		"/../secret.txt",
		"/assets/../secret.txt",
		"/./secret.txt",
		"//secret.txt",
		"/.hidden",
		"/link.txt",
		"/assets/none.js",
		"secret.txt",
		"/assets/app-1f.js/x.js",
	};
	_cleanup_(ap_cleanup_http_static) struct ap_http_static *s = NULL;
	struct ap_error err;
	struct ap_http_file f;

	assert_int_equal(ap_http_static_load(dir, &s, &err), 0);
	for (size_t i = 0; i < AP_ARRAY_SIZE(bad); i++)
		assert_false(ap_http_static_find(s, ap_str_of(bad[i]), true, &f));
	assert_false(ap_http_static_find(s, (struct ap_str){"/secret.txt\0x", 13}, true, &f));
}

static void test_missing(void **state)
{
	struct ap_http_static *s = NULL;
	struct ap_error err = {0};
	char path[256];

	assert_int_equal(ap_http_static_load("/nonexistent", &s, &err), -ENOENT);
	snprintf(path, sizeof(path), "%s/assets", dir);
	assert_int_equal(ap_http_static_load(path, &s, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "index.html"));
	assert_null(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_nothing_outside),
		cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/config_section.h"

#include "../test.h"
#include "base/config.h"
#include "base/io.h"

struct values {
	char *text;
};

static const struct ap_option options[] = {
	{.name = "text", .type = AP_OPT_STRING, .offset = offsetof(struct values, text)}};
static const struct ap_program program = {.name = "program",
					  .section = "agent",
					  .summary = "",
					  .options = options,
					  .n_options = AP_ARRAY_SIZE(options)};

/* What a program reads back from the file. */
static void reads(const char *path, const char *want)
{
	char arg0[] = "program", arg1[] = "--config", file[128];
	char *argv[] = {arg0, arg1, file, NULL}, *env[] = {NULL};
	_cleanup_config_ struct ap_config cfg = {0};
	struct values v = {0};
	struct ap_error err = {0};

	snprintf(file, sizeof(file), "%s", path);
	if (ap_config_parse(&cfg, &program, &v, 3, argv, env, &err) < 0)
		fail_msg("%s", err.msg);
	assert_string_equal(v.text, want);
}

static void sections_are_added_once_and_read_back(void **state)
{
	static const char hard[] = "a \"quoted\" \\ # : {text}";
	char folder[] = "/tmp/aperture-section-XXXXXX", dir[64], path[96];
	_cleanup_buf_ struct ap_buf body = {0}, file = {0};
	struct ap_error err = {0};

	assert_non_null(mkdtemp(folder));
	snprintf(dir, sizeof(dir), "%s/sub", folder);
	snprintf(path, sizeof(path), "%s/aperture.yaml", dir);
	ap_config_put_key(&body, "text", hard);
	assert_int_equal(ap_config_add_section(path, "agent", ap_buf_view(&body), &err), 0);
	assert_int_equal(
		ap_config_add_section(path, "aggregator", AP_STR("  listen: \"x\"\n"), &err), 0);
	assert_int_equal(ap_config_add_section(path, "agent", AP_STR("  text: \"y\"\n"), &err),
			 -EEXIST);
	assert_non_null(strstr(err.msg, path));
	reads(path, hard);
	assert_int_equal(ap_read_file(-100, path, 4096, &file), 0);
	assert_non_null(memmem(file.p, file.n, "\naggregator:\n", 13));
	unlink(path);
	rmdir(dir);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_are_added_once_and_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

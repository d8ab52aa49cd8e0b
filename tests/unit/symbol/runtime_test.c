/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/runtime.h"

#include "../test.h"
#include "base/macro.h"

static void files_tell_the_runtime(void **state)
{
	static const struct {
		const char *path;
		enum ap_runtime want;
	} files[] = {
		{"/usr/bin/node", AP_RUNTIME_NODE},
		{"/usr/lib/x86_64-linux-gnu/libnode.so.108", AP_RUNTIME_NODE},
		{"/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so", AP_RUNTIME_HOTSPOT},
		{"/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.1/libcoreclr.so",
		 AP_RUNTIME_DOTNET},
		{"/usr/bin/php8.2", AP_RUNTIME_PHP},
		{"/usr/sbin/php-fpm8.2", AP_RUNTIME_PHP},
		{"/usr/lib/x86_64-linux-gnu/libruby-3.1.so.3.1.2", AP_RUNTIME_RUBY},
		{"/usr/lib/erlang/erts-13.1.5/bin/beam.smp", AP_RUNTIME_ERLANG},
		{"libluajit-5.1.so.2", AP_RUNTIME_LUAJIT},
		{"/usr/bin/python3.11", AP_RUNTIME_UNKNOWN},
		{"/srv/node/server", AP_RUNTIME_UNKNOWN},
		{"/usr/bin/node_exporter", AP_RUNTIME_UNKNOWN},
		{"", AP_RUNTIME_UNKNOWN},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(files); i++)
		assert_int_equal(ap_runtime_of_file(ap_str_of(files[i].path)), files[i].want);
}

static void every_hint_is_a_name_of_a_frame(void **state)
{
	for (int r = 0; r <= AP_RUNTIME_COUNT; r++)
		assert_int_equal(strncmp(ap_runtime_hint((enum ap_runtime)r), "[jit", 4), 0);
	assert_string_equal(ap_runtime_hint(AP_RUNTIME_NODE), "[jit: needs --perf-basic-prof]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_tell_the_runtime),
		cmocka_unit_test(every_hint_is_a_name_of_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* For tests against a real store: a temporary data folder, and the reason to skip. The store is the
 * embedded one (libchdb crashes under AddressSanitizer, and may not be installed); with
 * AP_TEST_STORE=server, a ClickHouse server that is started in the folder. */
#ifndef AP_TESTS_ENGINE_H
#define AP_TESTS_ENGINE_H

#include "aggregator/store/store.h"
#include "clickhouse.h"

#define AP_TEST_SKIPPED 77 /* meson's exit status for a skipped test */

static struct clickhouse engine_server;

static inline bool engine_is_server(void)
{
	return ap_str_is(ap_str_of(getenv("AP_TEST_STORE")), "server");
}

/* NULL: run; else why not. */
static inline const char *engine_missing(void)
{
	if (engine_is_server())
		return clickhouse_program() ? NULL : "clickhouse-server is not installed";
#ifdef __SANITIZE_ADDRESS__
	/* volatile: else the compiler sees that nothing of such a test runs, and warns of it. */
	static const char *volatile why = "the embedded engine does not run under AddressSanitizer";

	return why;
#else
	_cleanup_free_ char *path = NULL;

	return ap_store_find_library(NULL, &path, NULL) < 0 ? "libchdb.so is not installed" : NULL;
#endif
}

static inline char *engine_folder(void)
{
	char *path = strdup("/tmp/aperture-test-XXXXXX");

	assert_non_null(path);
	assert_non_null(mkdtemp(path));
	if (engine_is_server())
		clickhouse_start(&engine_server, path);
	return path;
}

static inline void folder_remove(char *path)
{
	char *argv[] = {(char *)"rm", (char *)"-rf", (char *)"--", path, NULL};
	pid_t pid;
	int status;

	assert_int_equal(posix_spawnp(&pid, "rm", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static inline void engine_folder_remove(char *path)
{
	if (engine_is_server())
		clickhouse_stop(&engine_server);
	folder_remove(path);
	free(path);
}

static inline struct ap_store_options engine_options(const char *path)
{
	if (engine_is_server())
		return (struct ap_store_options){
			.driver = "server",
			.path = path,
			.url = engine_server.url,
			.user = CLICKHOUSE_USER,
			.password_file = engine_server.password_file,
			.database = CLICKHOUSE_DATABASE,
		};
	return (struct ap_store_options){.path = path};
}

static inline struct ap_store *engine_open(const char *path)
{
	struct ap_store_options o = engine_options(path);
	struct ap_store *s = NULL;
	struct ap_error err = {0};

	if (ap_store_open(&o, &s, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

#define ENGINE_TESTS_OR_SKIP()                                  \
	do {                                                    \
		const char *_why = engine_missing();            \
		if (_why) {                                     \
			fprintf(stderr, "skipped: %s\n", _why); \
			return AP_TEST_SKIPPED;                 \
		}                                               \
	} while (0)

#endif

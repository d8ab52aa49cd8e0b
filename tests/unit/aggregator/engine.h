/* SPDX-License-Identifier: Apache-2.0 */
/* For tests against the real embedded engine: a temporary data folder, and the reason to skip
 * (libchdb crashes under AddressSanitizer, and may not be installed). */
#ifndef AP_TESTS_ENGINE_H
#define AP_TESTS_ENGINE_H

#include "aggregator/store/store.h"

#define AP_TEST_SKIPPED 77 /* meson's exit status for a skipped test */

/* NULL: run; else why not. */
static inline const char *engine_missing(void)
{
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
	return path;
}

static inline void engine_folder_remove(char *path)
{
	char *argv[] = {(char *)"rm", (char *)"-rf", (char *)"--", path, NULL};
	pid_t pid;
	int status;

	assert_int_equal(posix_spawnp(&pid, "rm", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	free(path);
}

static inline struct ap_store *engine_open(const char *path)
{
	struct ap_store_options o = {.path = path};
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

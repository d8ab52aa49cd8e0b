/* SPDX-License-Identifier: Apache-2.0 */
/* A folder of a test's own with PEM files in it. */
#ifndef AP_TESTS_TLS_FILES_H
#define AP_TESTS_TLS_FILES_H

#include "../test.h"
#include "base/io.h"
#include "tls/authority.h"

static char folder[64];

static inline void folder_make(void)
{
	strcpy(folder, "/tmp/aperture-tls-XXXXXX");
	assert_non_null(mkdtemp(folder));
}

static inline const char *file_put(const char *name, struct ap_str text)
{
	static char paths[8][128];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
	assert_int_equal(ap_write_file_atomic(path, text.p, text.n, 0600, false), 0);
	return path;
}

static inline void folder_remove(const char *const *names)
{
	for (; *names; names++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/%s", folder, *names);
		unlink(path);
	}
	rmdir(folder);
}

#endif

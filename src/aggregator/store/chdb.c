/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/chdb.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static pthread_mutex_t load_lock = PTHREAD_MUTEX_INITIALIZER; /* guards the two below */
static bool loaded;
static struct ap_chdb functions;

static int load(const char *path, struct ap_error *err)
{
	/* RTLD_LOCAL keeps the engine's own copies of common C++ libraries apart from ours. */
	void *h = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);

	if (!h)
		return ap_error_set(err, -ENOENT, "the embedded ClickHouse cannot be loaded: %s",
				    dlerror());
#define LOOK_UP(name, type, params)                                                               \
	functions.name = (type(*) params)dlsym(h, "chdb_" #name);                                 \
	if (!functions.name)                                                                      \
		return ap_error_set(err, -ELIBBAD,                                                \
				    "%s lacks chdb_" #name ": version 26.7.3 or later is needed", \
				    path);
	AP_CHDB_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
	functions.set_signal_handlers_enabled(0);
	return 0;
}

int ap_chdb_load(const char *path, const struct ap_chdb **ret, struct ap_error *err)
{
	int r = 0;

	pthread_mutex_lock(&load_lock);
	if (!loaded) {
		r = load(path, err);
		loaded = r == 0;
	}
	pthread_mutex_unlock(&load_lock);
	if (r == 0)
		*ret = &functions;
	return r;
}

/* The engine's error numbers: src/Common/ErrorCodes.cpp of ClickHouse. */
static int errno_of(unsigned long code)
{
	switch (code) {
	case 159: /* TIMEOUT_EXCEEDED */
	case 160: /* TOO_SLOW */
		return -ETIMEDOUT;
	case 241: /* MEMORY_LIMIT_EXCEEDED */
	case 173: /* CANNOT_ALLOCATE_MEMORY */
		return -ENOMEM;
	case 394: /* QUERY_WAS_CANCELLED */
		return -ECANCELED;
	case 158: /* TOO_MANY_ROWS */
	case 396: /* TOO_MANY_ROWS_OR_BYTES */
		return -E2BIG;
	case 243: /* NOT_ENOUGH_SPACE */
		return -ENOSPC;
	case 76: /* CANNOT_OPEN_FILE */
		return -EBUSY;
	case 36:  /* BAD_ARGUMENTS */
	case 43:  /* ILLEGAL_TYPE_OF_ARGUMENT */
	case 46:  /* UNKNOWN_FUNCTION */
	case 47:  /* UNKNOWN_IDENTIFIER */
	case 60:  /* UNKNOWN_TABLE */
	case 62:  /* SYNTAX_ERROR */
	case 427: /* CANNOT_COMPILE_REGEXP */
		return -EINVAL;
	default:
		return -EIO;
	}
}

int ap_chdb_error(struct ap_error *err, const char *what, const char *text)
{
	const char *code = strstr(text, "Code: ");
	int r = code ? errno_of(strtoul(code + strlen("Code: "), NULL, 10)) : -EIO;

	return ap_error_set(err, r, "%s: %.*s", what, (int)strcspn(text, "\n"), text);
}

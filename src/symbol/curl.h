/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, loaded when it is first needed: it brings some thirty libraries with it, which a profiler
 * that fetches nothing should not have to carry. */
#ifndef AP_SYMBOL_CURL_H
#define AP_SYMBOL_CURL_H

#include <curl/curl.h>

#include "base/error.h"

/* The macro of the header that checks types stands in the way of a member of that name. */
#undef curl_easy_setopt
#undef curl_easy_getinfo

struct ap_curl {
	__typeof__(&curl_easy_init) init;
	__typeof__(&curl_easy_setopt) setopt;
	__typeof__(&curl_easy_perform) perform;
	__typeof__(&curl_easy_getinfo) getinfo;
	__typeof__(&curl_easy_cleanup) cleanup;
};

/* Loads it for the rest of the process's life. -ENOENT: it is not installed, or too old; `err` says
 * what to do. Call it before other threads make use of the same libraries. */
int ap_curl_load(struct ap_curl *ret, struct ap_error *err);

#endif

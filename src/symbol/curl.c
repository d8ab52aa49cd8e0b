/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/curl.h"

#include <dlfcn.h>
#include <string.h>

#include "base/macro.h"

int ap_curl_load(struct ap_curl *ret, struct ap_error *err)
{
	static const char *const names[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};
	__typeof__(&curl_global_init) global_init = NULL;
	void *lib = NULL;
	struct {
		const char *name;
		void *to; /* a pointer to a function */
	} const symbols[] = {
		{"curl_global_init", &global_init},   {"curl_easy_init", &ret->init},
		{"curl_easy_setopt", &ret->setopt},   {"curl_easy_perform", &ret->perform},
		{"curl_easy_getinfo", &ret->getinfo}, {"curl_easy_cleanup", &ret->cleanup},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(names) && !lib; i++)
		lib = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return ap_error_set(err, -ENOENT,
				    "debuginfod servers need libcurl: apt-get install libcurl4");
	for (size_t i = 0; i < AP_ARRAY_SIZE(symbols); i++) {
		void *found = dlsym(lib, symbols[i].name);

		if (!found)
			return ap_error_set(err, -ENOENT, "libcurl lacks %s", symbols[i].name);
		memcpy(symbols[i].to, &found, sizeof(found));
	}
	if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return ap_error_set(err, -ENOMEM, "libcurl cannot be started");
	return 0;
}

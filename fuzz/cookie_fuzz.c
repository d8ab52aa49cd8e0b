/* SPDX-License-Identifier: Apache-2.0 */
/* A Cookie header: what is found lies within it. */
#include "http/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_str header = {(const char *)data, size};
	struct ap_str v = ap_http_cookie_find(header, "aperture_session");

	if (v.p && (v.p < header.p || v.p + v.n > header.p + header.n))
		abort();
	return 0;
}

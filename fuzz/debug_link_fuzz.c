/* SPDX-License-Identifier: Apache-2.0 */
/* Links to separate debug files: never out of bounds, and never a name that leaves its folder. */
#include "symbol/debug_link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_str section = {(const char *)data, size};
	struct ap_debug_link link;
	struct ap_alt_link alt;

	if (ap_debug_link_parse(section, &link) == 0 &&
	    (!link.name[0] || strchr(link.name, '/') || strcmp(link.name, "..") == 0))
		abort();
	if (ap_alt_link_parse(section, &alt) == 0 && (!alt.path[0] || strlen(alt.build_id) < 2))
		abort();
	return 0;
}

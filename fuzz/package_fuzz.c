/* SPDX-License-Identifier: Apache-2.0 */
/* What dpkg and rpm keep of packages: a list of paths, the paragraphs of what is installed, and a header of rpm's. */
#include "agent/dpkg.h"
#include "agent/rpm_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_str text = {(const char *)data, size}, version;

	ap_dpkg_lists(text, "/usr/bin/tool");
	version = ap_dpkg_version_in(text, "tool");
	if (version.n && (version.p < text.p || version.p + version.n > text.p + text.n))
		abort();
	for (uint32_t i = 0; i < 4; i++) {
		_cleanup_free_ char *found = NULL;

		if (ap_rpm_header_version(text, i, "/usr/bin/tool", &found) == 0 && !found)
			abort();
	}
	return 0;
}

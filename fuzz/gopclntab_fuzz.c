/* SPDX-License-Identifier: Apache-2.0 */
/* Go's table of functions, in a file that is as it should be otherwise: no function's addresses are
 * out of order, and all that can be asked about each is answered or refused. */
#include "../tests/unit/unwind/go_image.h"
#include "unwind/gopclntab.h"

#define FUNCTIONS_MAX 200u

static void ask(struct ap_gopclntab *g, uint64_t address)
{
	struct ap_go_level levels[AP_GO_INLINE_MAX];
	int n = ap_gopclntab_levels(g, address, levels);

	for (int i = 0; i < n; i++) {
		_cleanup_buf_ struct ap_buf text = {0};

		ap_gopclntab_name(g, levels[i].name, &text);
		ap_gopclntab_file(g, levels[i].file, &text);
		if (levels[i].line < 0 || text.n > 2 * AP_GO_NAME_MAX)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	_cleanup_(ap_cleanup_gopclntab) struct ap_gopclntab *g = NULL;
	_cleanup_fd_ int fd = go_image(data, size);
	struct ap_go_function f;

	if (fd < 0)
		abort();
	ap_unwind_table_build(fd, &t);
	if (ap_gopclntab_open(fd, &g) < 0)
		return 0;
	for (uint32_t i = 0; i < AP_MIN(ap_gopclntab_count(g), FUNCTIONS_MAX); i++) {
		if (ap_gopclntab_function(g, i, &f) < 0)
			continue;
		if (f.end <= f.entry)
			abort();
		ask(g, f.entry);
		ask(g, f.end - 1);
	}
	return 0;
}

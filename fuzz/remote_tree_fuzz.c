/* SPDX-License-Identifier: Apache-2.0 */
/* What an aggregator answers as a call tree: refused, or drawn. */
#include "cli/remote_tree.h"
#include "cli/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ap_report_style style = {.unit = "nanoseconds", .width = 80};
	json_t *answer = json_loadb((const char *)data, size, JSON_ALLOW_NUL, NULL);
	_cleanup_buf_ struct ap_buf out = {0};
	struct ap_tree *t;

	if (answer && ap_remote_tree(answer, &t) == 0) {
		if (ap_report_tree(&out, t, &style) < 0)
			abort();
		ap_tree_free(t);
	}
	json_decref(answer);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/profiler.h"
#include "base/str.h"

int ap_pids_parse(const struct ap_strings *list, int32_t **ret, struct ap_error *err)
{
	_cleanup_free_ int32_t *pids = calloc(list->n + 1, sizeof(*pids));
	uint64_t v;

	if (!pids)
		return ap_error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < list->n; i++) {
		if (ap_parse_u64(ap_str_of(list->p[i]), &v) < 0 || v < 1 || v > INT32_MAX)
			return ap_error_set(err, -EINVAL, "--pid: '%.40s' is not a process id",
					    list->p[i]);
		pids[i] = (int32_t)v;
	}
	*ret = AP_TAKE_PTR(pids);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a control group's path says: every part must lie within the text that was given. */
#include "agent/cgroup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct ap_str part, const uint8_t *data, size_t size)
{
	const uint8_t *p = (const uint8_t *)part.p;

	if (part.n && (p < data || !ap_range_ok((uint64_t)(p - data), part.n, size)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_cgroup c;
	char uid[36];

	ap_cgroup_parse((struct ap_str){(const char *)data, size}, &c);
	check(c.container_id, data, size);
	check(c.container_name, data, size);
	check(c.pod_uid, data, size);
	check(c.unit, data, size);
	check(c.slice, data, size);
	if (ap_cgroup_pod_uid(&c, uid) > sizeof(uid))
		abort();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's symbols, among them those of modules that anybody may have written: whatever the lines are, an address
 * has one name without a line's end, or none. */
#include <stdio.h>

#include "scratch.h"
#include "symbol/kallsyms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct ap_buf *name)
{
	if (memchr(name->n ? name->p : (const uint8_t *)"", '\n', name->n))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint64_t addresses[] = {1, 0x40, 0xffffffff81000000, UINT64_MAX};
	struct ap_buf names[AP_ARRAY_SIZE(addresses)] = {0};
	_cleanup_(ap_cleanup_kallsyms) struct ap_kallsyms *k = NULL;
	int fd = scratch_file(data, size);
	uint64_t address;
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ap_kallsyms_check(path);
	ap_kallsyms_address(path, "jiffies", &address);
	ap_kallsyms_objects(path, addresses, AP_ARRAY_SIZE(addresses), names);
	for (size_t i = 0; i < AP_ARRAY_SIZE(names); i++) {
		check(&names[i]);
		ap_buf_free(&names[i]);
	}
	for (size_t i = 0; ap_kallsyms_read(path, &k) == 0 && i < AP_ARRAY_SIZE(addresses); i++) {
		_cleanup_buf_ struct ap_buf name = {0};

		ap_kallsyms_find(k, addresses[i], &name);
		check(&name);
		ap_kallsyms_free(AP_TAKE_PTR(k));
	}
	return 0;
}

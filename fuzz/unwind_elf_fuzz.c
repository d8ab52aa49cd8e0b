/* SPDX-License-Identifier: Apache-2.0 */
/* A whole ELF file: a table that holds together, or an error that says why there is none. */
#include "scratch.h"
#include "table_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	int fd = scratch_file(data, size);
	int err;

	err = ap_unwind_table_build(fd, &t);
	if (err == 0)
		table_check(t);
	else if (err != -ENODATA && err != -ENOEXEC && err != -EFBIG)
		abort();
	return 0;
}

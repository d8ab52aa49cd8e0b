/* SPDX-License-Identifier: Apache-2.0 */
/* A whole ELF file: a table that holds together, or an error that says why there is none. */
#include <sys/mman.h>

#include "base/io.h"
#include "table_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	static int fd = -1;
	int err;

	if (fd < 0)
		fd = memfd_create("elf", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    ap_write_all(fd, data, size) < 0)
		abort();
	err = ap_unwind_table_build(fd, &t);
	if (err == 0)
		table_check(t);
	else if (err != -ENODATA && err != -ENOEXEC && err != -EFBIG)
		abort();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The first look at an ELF file: within bounds, and never a false promise about its tables. */
#include "scratch.h"
#include "symbol/elf_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int fd = scratch_file(data, size);
	struct ap_elf e;

	if (ap_elf_read(fd, 1 << 20, AP_ELF_STRANGER, &e) < 0)
		return 0;
	if (!ap_range_ok(e.symtab.offset, e.symtab.size, size) ||
	    !ap_range_ok(e.strtab.offset, e.strtab.size, size) ||
	    !ap_range_ok(e.dynsym.offset, e.dynsym.size, size) ||
	    !ap_range_ok(e.dynstr.offset, e.dynstr.size, size) ||
	    strlen(e.build_id) > 2 * AP_BUILD_ID_MAX)
		abort();
	return 0;
}

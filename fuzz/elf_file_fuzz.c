/* SPDX-License-Identifier: Apache-2.0 */
/* The first look at an ELF file: within bounds, and never a false promise about its tables. */
#include <sys/mman.h>

#include "base/io.h"
#include "symbol/elf_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct ap_elf e;

	if (fd < 0)
		fd = memfd_create("elf", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || lseek(fd, 0, SEEK_SET) < 0 ||
	    ap_write_all(fd, data, size) < 0)
		abort();
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

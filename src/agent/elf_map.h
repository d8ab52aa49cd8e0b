/* SPDX-License-Identifier: Apache-2.0 */
/* The little that mapping an address needs of an ELF file: its loadable segments and its build id.
 * Files are hostile: every offset and size is checked, work and memory are bounded.
 * Source: System V gABI, chapters 4 and 5; the build-id note is GNU's (NT_GNU_BUILD_ID = 3). */
#ifndef AP_AGENT_ELF_MAP_H
#define AP_AGENT_ELF_MAP_H

#include "base/macro.h"

#define AP_ELF_LOADS_MAX    16
#define AP_ELF_BUILD_ID_MAX 32

struct ap_elf_load {
	uint64_t offset, vaddr, filesz;
	bool exec, write;
	uint64_t memsz;
};

struct ap_elf_map {
	uint32_t n_loads; /* segments past AP_ELF_LOADS_MAX are left out */
	uint32_t build_id_bytes;
	struct ap_elf_load loads[AP_ELF_LOADS_MAX];
	uint8_t build_id[AP_ELF_BUILD_ID_MAX]; /* longer ones are cut */
};

/* Reads them from an open file: 0, -ENOEXEC where it is no 64-bit ELF file of this machine's byte
 * order, or the error of reading it. */
int ap_elf_map_read(int fd, struct ap_elf_map *ret);

/* The virtual address of an offset in the file; the offset itself where no segment holds it. */
uint64_t ap_elf_map_vaddr(const struct ap_elf_map *m, uint64_t offset);
/* The same of data, also of what lies in memory alone behind a segment's bytes, as .bss does: 0, or -ENOENT
 * where no writable segment holds it. */
int ap_elf_map_data(const struct ap_elf_map *m, uint64_t offset, uint64_t *ret);

#endif

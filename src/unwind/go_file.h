/* SPDX-License-Identifier: Apache-2.0 */
/* What is read of a Go program's ELF file to find its tables: addresses to places in the file, a
 * search through its data, and the dynamic linker's relocations, which hold the pointers of programs
 * that may lie anywhere. */
#ifndef AP_UNWIND_GO_FILE_H
#define AP_UNWIND_GO_FILE_H

#include "unwind/sections.h"

struct ap_go_file {
	struct ap_unwind_elf elf;
	uint64_t relocs, n_relocs; /* of the dynamic linker, Elf64_Rela, in the file */
};

/* As ap_unwind_elf_read(). */
int ap_go_file_open(int fd, struct ap_go_file *ret);

/* The place in the file of a virtual address, and how many bytes its segment has from there on: 0;
 * -EBADMSG: no segment has it. */
int ap_go_file_offset(const struct ap_go_file *f, uint64_t vaddr, uint64_t *ret,
		      uint64_t *ret_bytes);
/* The virtual address of a place in the file, not in code; -EBADMSG: no segment has it. */
int ap_go_file_vaddr(const struct ap_go_file *f, uint64_t offset, uint64_t *ret);

/* Looks through all segments that are not code, by steps of 8 bytes, for 16 bytes that `match`
 * accepts, at most AP_GO_SCAN_BYTES_MAX: 0 with the place's virtual address; -ENODATA: none. */
#define AP_GO_SCAN_BYTES_MAX (512ull << 20)
int ap_go_file_scan(const struct ap_go_file *f, bool (*match)(const void *arg, const uint8_t *p),
		    const void *arg, uint64_t *ret);

/* Fills in `words[n]`, 8-byte words at the virtual address `at`, from the file and from those
 * relocations that set them: 0; -EBADMSG; or an error of reading. */
int ap_go_file_words(const struct ap_go_file *f, uint64_t at, uint64_t *words, size_t n);
/* The first word that a relocation sets to `value` while another sets the next one to `next`: 0
 * with its virtual address; -ENODATA: none. */
int ap_go_file_find_pair(const struct ap_go_file *f, uint64_t value, uint64_t next, uint64_t *ret);

#endif

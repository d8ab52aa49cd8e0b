/* SPDX-License-Identifier: Apache-2.0 */
/* Where an ELF file has its code and its unwind information. Reads headers and names only, with
 * pread, and believes none of them: what lies outside the file is cut off or left out.
 *
 * Source: System V gABI, chapters 4 and 5; LSB 5.0 core, section 10.6 (.eh_frame_hdr).
 */
#ifndef AP_UNWIND_SECTIONS_H
#define AP_UNWIND_SECTIONS_H

#include "unwind/builder.h"
#include "unwind/stream.h"

enum { AP_UNWIND_SEGMENTS_MAX = 64 };

/* Bytes of the file; n 0: absent. */
struct ap_unwind_section {
	uint64_t vaddr, offset, n; /* n: in the file */
	enum ap_stream_packing packing;
	bool open_ended; /* its size is not known: it ends with an entry of length 0 */
};

struct ap_unwind_elf {
	int fd; /* borrowed */
	uint64_t file_bytes, entry;
	struct ap_unwind_segment segments[AP_UNWIND_SEGMENTS_MAX]; /* executable ones */
	struct ap_unwind_segment data[AP_UNWIND_SEGMENTS_MAX];	   /* the others */
	uint32_t n_segments, n_data;
	struct ap_unwind_section eh_frame, debug_frame, gopclntab, dynamic;
	bool may_be_go; /* has sections that Go's linker makes, or none at all */
};

/* 0; -ENOEXEC: not an ELF file of this machine; -EFBIG: more headers than any real file; -errno of
 * reading. */
int ap_unwind_elf_read(int fd, struct ap_unwind_elf *ret);
/* Bytes of the file at `offset`. 0; -ENOEXEC past its end; -errno. */
int ap_unwind_elf_bytes(const struct ap_unwind_elf *e, uint64_t offset, void *p, size_t n);

#endif

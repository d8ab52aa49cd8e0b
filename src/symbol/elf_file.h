/* SPDX-License-Identifier: Apache-2.0 */
/* The first look at an ELF file from a stranger: what it holds and whether it is safe to parse.
 *
 * Reads only headers, names and notes, with pread, so that a file that shrinks meanwhile is an
 * error and not a signal. Compressed sections are unpacked once, piecemeal, to check that they
 * hold what they declare: the parser behind trusts that figure with memory. That takes as long as
 * the parsing; files that root alone can write, in our own mount namespace, are spared it.
 *
 * Source: System V gABI, chapters 4 and 5; ELF-64 object file format; gABI section compression.
 */
#ifndef AP_SYMBOL_ELF_FILE_H
#define AP_SYMBOL_ELF_FILE_H

#include "base/str.h"

#define AP_BUILD_ID_MAX 64 /* bytes; longer ones are taken as absent */

struct ap_elf_section {
	uint64_t offset, size;
};

struct ap_elf {
	bool is64;
	bool has_debug_info; /* .debug_info */
	bool has_sup;	     /* .debug_sup: shares DWARF with a file that it names by path */
	bool has_bomb; /* a compressed section that is not what it declares, or too large; two links */
	uint64_t symbol_bytes;			/* .symtab and .dynsym */
	uint64_t debug_bytes;			/* DWARF, unpacked */
	struct ap_elf_section symtab, strtab;	/* .symtab and its names; size 0: absent */
	struct ap_elf_section dynsym, dynstr;	/* the same of .dynsym */
	struct ap_elf_section debug_link;	/* .gnu_debuglink */
	struct ap_elf_section alt_link;		/* .gnu_debugaltlink */
	struct ap_elf_section mini;		/* .gnu_debugdata: MiniDebugInfo */
	char build_id[2 * AP_BUILD_ID_MAX + 1]; /* lower-case hex, "" = none */
};

enum ap_elf_trust {
	AP_ELF_STRANGER,
	AP_ELF_OF_SYSTEM, /* found under a path of our own: believed if root alone can write it */
};

/* `max_debug`: the most that compressed sections may unpack to, in all. 0; -ENOEXEC: not a
 * little-endian ELF file, or not a whole one; -EFBIG: more sections than any real file; -errno. */
int ap_elf_read(int fd, uint64_t max_debug, enum ap_elf_trust trust, struct ap_elf *ret);

/* Opens a regular file for reading, never blocking on what is none: the descriptor, -EINVAL for
 * another kind of file, or -errno. */
int ap_open_regular(const char *path);

#endif

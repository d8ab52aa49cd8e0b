/* SPDX-License-Identifier: Apache-2.0 */
/* The separate file that holds a program's symbols and DWARF, wherever it may lie.
 *
 * Looked for in this order, D being each debug directory:
 *	D/.build-id/ab/cdef….debug, then the same in the folder of downloads
 *	the same D/.build-id… in the root of the file's process, where that is another
 *	FOLDER/NAME, FOLDER/.debug/NAME and D/FOLDER/NAME in that root, for a file in FOLDER whose
 *	.gnu_debuglink is NAME
 * A file found counts only if its build-id is that of the program or, where either has none, if its
 * CRC is that of the link. */
#ifndef AP_SYMBOL_DEBUG_FILE_H
#define AP_SYMBOL_DEBUG_FILE_H

#include "symbol/elf_file.h"
#include "symbol/source.h"

struct ap_debug_file {
	int fd;
	struct ap_elf elf;
	bool dwarf; /* to be parsed: it is whole, or what it shares with another file is there */
};

/* `elf` is what the program's open file `fd` holds. 0; -ENOENT: none is found. */
int ap_debug_file_find(const struct ap_source_opts *opts, const struct ap_source_file *file, int fd,
		       const struct ap_elf *elf, struct ap_debug_file *ret);

/* Whether the DWARF of an open file from a stranger may be parsed: a parser follows what it says
 * about other files, so those must be ours or absent. */
bool ap_debug_file_whole(const struct ap_source_opts *opts, int fd, const struct ap_elf *elf);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* MiniDebugInfo: an ELF file of the symbols that are not in .dynsym, packed with xz in the section
 * .gnu_debugdata of a stripped program. Source: GDB's manual, "Debugging information in a special
 * section". */
#ifndef AP_SYMBOL_MINI_DEBUG_H
#define AP_SYMBOL_MINI_DEBUG_H

#include "symbol/elf_file.h"

/* Unpacks it piece by piece into a memory file of its own, at most `max` bytes: the descriptor;
 * -EFBIG: larger, or it asks for more memory than any real one; -EBADMSG: damaged; -errno. */
int ap_mini_debug_open(int fd, const struct ap_elf_section *s, uint64_t max);

#endif

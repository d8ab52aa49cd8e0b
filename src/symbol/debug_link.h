/* SPDX-License-Identifier: Apache-2.0 */
/* What an ELF file says about the files that hold its debug information.
 *
 * Sources: GDB's manual, "Debugging Information in Separate Files" (.gnu_debuglink: a file name,
 * NUL, zeros up to a multiple of four, the CRC-32 of the file); dwz(1) (.gnu_debugaltlink: a path,
 * NUL, the build-id of the file that several debug files share). */
#ifndef AP_SYMBOL_DEBUG_LINK_H
#define AP_SYMBOL_DEBUG_LINK_H

#include <limits.h>

#include "symbol/elf_file.h"

struct ap_debug_link {
	char name[NAME_MAX + 1]; /* of a file in some folder: no slash, not "." or ".." */
	uint32_t crc;
};

struct ap_alt_link {
	char path[PATH_MAX]; /* absolute or relative, never empty */
	char build_id[2 * AP_BUILD_ID_MAX + 1];
};

/* The section's bytes taken apart: 0 or -ENOEXEC. */
int ap_debug_link_parse(struct ap_str section, struct ap_debug_link *ret);
int ap_alt_link_parse(struct ap_str section, struct ap_alt_link *ret);

/* The same of an open file: -ENOENT where it has none; -errno of reading. */
int ap_debug_link_read(int fd, const struct ap_elf *elf, struct ap_debug_link *ret);
int ap_alt_link_read(int fd, const struct ap_elf *elf, struct ap_alt_link *ret);

/* The CRC-32 of a file of at most `max` bytes: 0, -EFBIG or -errno. */
int ap_debug_link_crc(int fd, uint64_t max, uint32_t *ret);

#endif

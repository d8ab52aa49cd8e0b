/* SPDX-License-Identifier: Apache-2.0 */
/* Which variable is at an address of an ELF file: its symbol tables' STT_OBJECT. */
#ifndef AP_SYMBOL_DATA_SYMBOLS_H
#define AP_SYMBOL_DATA_SYMBOLS_H

#include "base/buf.h"
#include "symbol/answers.h"
#include "symbol/elf_file.h"

/* Puts answers of one level, "lock" or within it "table+0x40", for those of `addrs`, sorted, that lie in a
 * variable; of several that overlap the smallest counts. 0 or -ENOMEM. */
int ap_data_symbols_find(int fd, const struct ap_elf *elf, const uint64_t *addrs, size_t n,
			 struct ap_answers *a);

/* Names of variables as C++ and Rust mangle them when they lie in namespaces alone: of "_ZN3foo4lockE"
 * "foo::lock". Appends it; other names as they are. */
void ap_data_symbols_plain(const char *mangled, struct ap_buf *to);

#endif

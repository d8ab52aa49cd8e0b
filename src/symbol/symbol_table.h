/* SPDX-License-Identifier: Apache-2.0 */
/* An ELF file's symbol tables, and the mangled names of functions whose addresses are known, picked out
 * of them in one pass: blazesym gives a name either demangled or not. */
#ifndef AP_SYMBOL_SYMBOL_TABLE_H
#define AP_SYMBOL_SYMBOL_TABLE_H

#include "base/buf.h"
#include "symbol/elf_file.h"

enum { AP_SYMBOL_NAME_BYTES = 4096 }; /* with the NUL; longer names are not read */

struct ap_elf_symbol {
	uint64_t value, size;
	uint32_t name; /* offset in the table's strings; 0: none */
	uint8_t type;  /* STT_* */
};

/* Calls `fn` for each symbol of .symtab, or .dynsym, as long as it returns true. A file that ends early
 * ends the table. 0 or -ENOMEM. */
int ap_symbol_table_each(int fd, const struct ap_elf *elf, bool dynamic,
			 bool (*fn)(void *ctx, const struct ap_elf_symbol *y), void *ctx);
/* The name of one: 0 or -ENOENT. */
int ap_symbol_table_text(int fd, const struct ap_elf *elf, bool dynamic, uint32_t name,
			 char ret[AP_SYMBOL_NAME_BYTES]);

struct ap_symbol_name {
	uint64_t addr;
	uint32_t table; /* offset of the name in its string table, plus 1; 0: not found */
	bool dynamic;	/* in .dynstr */
	uint32_t text;	/* offset in `text`, 0: none */
};

struct ap_symbol_names {
	struct ap_symbol_name *p; /* sorted by address once read */
	size_t n, cap;
	struct ap_buf text;
};

int ap_symbol_names_reserve(struct ap_symbol_names *s, size_t n);
/* Asks for the name at `addr`; within what was reserved. */
int ap_symbol_names_want(struct ap_symbol_names *s, uint64_t addr);
/* Reads them: 0 or -ENOMEM. What cannot be read stays without name. */
int ap_symbol_names_read(struct ap_symbol_names *s, int fd, const struct ap_elf *elf);
/* "" where there is none; valid until the free. */
const char *ap_symbol_names_get(const struct ap_symbol_names *s, uint64_t addr);
void ap_symbol_names_free(struct ap_symbol_names *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* .gopclntab: the table of functions that every Go program carries, stripped or not, since its own
 * runtime unwinds by it. It gives each function's addresses and name, and by address the distance of
 * the stack pointer from the function's entry, the source line, and what was inlined.
 *
 * The layouts of Go 1.2, 1.16, 1.18 and 1.20 (told apart by their magic number) are read, of 64-bit
 * little-endian programs. The table is found by its section, also of another name and in a program
 * without section headers by the magic number at an aligned place of a segment that is not code.
 *
 * Since Go 1.18 functions are offsets from the start of the text; of programs that may lie anywhere
 * the start is known to the dynamic linker's relocations alone, and since 1.26 it is in the runtime's
 * own `moduledata` alone, which is looked for by its pointer to the table.
 *
 * The table of a large program has tens of megabytes; it is read in small windows and never held.
 * Hostile files: every offset is checked; what is damaged is left out; time is bounded by the sizes
 * of the table and of the file's data.
 *
 * Source: Go's debug/gosym, runtime/symtab.go and cmd/link (BSD licence), and golang.org/s/go12symtab.
 */
#ifndef AP_UNWIND_GOPCLNTAB_H
#define AP_UNWIND_GOPCLNTAB_H

#include "base/buf.h"
#include "unwind/builder.h"

struct ap_gopclntab;

/* Looks for the table in an ELF file; `fd` is borrowed. 0; -ENODATA: there is none, or one that is
 * not understood; -ENOEXEC: not a 64-bit little-endian ELF file; -ENOMEM; or the error of reading. */
int ap_gopclntab_open(int fd, struct ap_gopclntab **ret);
void ap_gopclntab_free(struct ap_gopclntab *g);
AP_DEFINE_CLEANUP(gopclntab, struct ap_gopclntab, ap_gopclntab_free)

/* Adds the rows of all functions (x86-64; -ENODATA elsewhere). They describe Go's functions better
 * than .debug_frame does, which knows nothing of switched stacks: where this succeeds leave that
 * section out. -ENODATA: no function could be read; or an error of the builder's. */
int ap_gopclntab_rows(struct ap_gopclntab *g, struct ap_table_builder *b);

/* A function as the table has it. */
struct ap_go_function {
	uint64_t entry, end; /* virtual addresses, half-open */
	uint64_t at;	     /* of its record, in the part of the table that has them */
	uint32_t name;	     /* places in the respective parts of the table; */
	uint32_t pcsp, pcfile, pcln;
	uint32_t cu; /* first entry of its unit in the table of files */
	uint32_t n_pcdata;
	int32_t start_line; /* 0 = unknown (before Go 1.20) */
	uint8_t flags;	    /* AP_GO_F_* */
	uint8_t n_funcdata;
};

enum {
	AP_GO_F_TOP = 1,      /* the outermost frame of its stack */
	AP_GO_F_SP_WRITE = 2, /* loads the stack pointer with what no table says */
	AP_GO_F_ASSEMBLY =
		4, /* written in assembly; before Go 1.18 every function has this alone */
};

uint32_t ap_gopclntab_count(const struct ap_gopclntab *g);
/* Function number i, in the order of addresses. -EBADMSG: damaged; or an error of reading. */
int ap_gopclntab_function(struct ap_gopclntab *g, uint32_t i, struct ap_go_function *ret);
/* The function at a virtual address; -ENOENT: none. */
int ap_gopclntab_find(struct ap_gopclntab *g, uint64_t address, struct ap_go_function *ret);

/* Reads up to `n` bytes of code at a virtual address, fewer near its segment's end; how many. */
size_t ap_gopclntab_code(struct ap_gopclntab *g, uint64_t address, void *p, size_t n);

/* A name, by its place; appended to `out`. At most AP_GO_NAME_MAX bytes are read. */
#define AP_GO_NAME_MAX 4096u
int ap_gopclntab_name(struct ap_gopclntab *g, uint32_t name, struct ap_buf *out);
/* Whether a name is `want`, which has fewer than 64 bytes; as cheap as one reading. */
bool ap_gopclntab_is_named(struct ap_gopclntab *g, uint32_t name, struct ap_str want);

/* Steps through a table of values by address: `value` holds in [begin, end). */
struct ap_go_values {
	struct ap_gopclntab *g;
	uint64_t at; /* of the next value, 0: there is none */
	uint64_t begin, end, limit;
	int32_t value;
	bool begun;
};
void ap_go_values_begin(struct ap_go_values *v, struct ap_gopclntab *g,
			const struct ap_go_function *f, uint32_t table);
/* False: the table is over, or damaged from here on. */
bool ap_go_values_next(struct ap_go_values *v);

/* One function at an address. */
struct ap_go_level {
	uint32_t name;	    /* for ap_gopclntab_name() */
	uint32_t file;	    /* for ap_gopclntab_file(); 0 = unknown */
	int32_t line;	    /* 0 = unknown */
	int32_t start_line; /* 0 = unknown */
};
#define AP_GO_INLINE_MAX 64u
/* The function at `address` and what was inlined there: ret[0] is the innermost, the last one the
 * function that holds the code. Inlined calls are known since Go 1.18; where they are damaged the
 * last one stands alone. Returns how many; -ENOENT: no function; or -EBADMSG. */
int ap_gopclntab_levels(struct ap_gopclntab *g, uint64_t address,
			struct ap_go_level ret[AP_GO_INLINE_MAX]);
/* A source file's path, as a name above. */
int ap_gopclntab_file(struct ap_gopclntab *g, uint32_t file, struct ap_buf *out);

#endif

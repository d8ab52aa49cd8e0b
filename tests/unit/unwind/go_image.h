/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-made tables of Go's, and an ELF file without section headers around one: a page of code, and
 * data that holds the runtime's description of the program and behind it the table. */
#ifndef AP_TESTS_GO_IMAGE_H
#define AP_TESTS_GO_IMAGE_H

#include <elf.h>
#include <string.h>
#include <sys/mman.h>

#include "base/io.h"
#include "unwind/arch.h"

#define GO_TEXT		0x401000ull
#define GO_DATA		0x402000ull
#define GO_TABLE	(GO_DATA + 0x200)
#define GO_MODULE_WORDS 64
#define GO_CODE_AT	0x1000 /* in the file */

/* Parts of a table. */
#define GO_NAMES     0x100u
#define GO_CU	     0x180u
#define GO_FILES     0x1a0u
#define GO_VALUES    0x200u
#define GO_FUNCTIONS 0x280u
#define GO_INLINED   0x400u
#define GO_BYTES     0x480u

#define GO_OTHER_NAME 0x40u /* in the part of names, behind those that it has */

enum go_layout { GO_12, GO_116, GO_118, GO_120, GO_LAYOUTS };

struct go_table {
	enum go_layout layout;
	uint32_t record; /* where the next one goes */
	uint8_t p[GO_BYTES];
};

struct go_record {
	uint32_t entry, name, sp, line; /* places in their parts; 0: no values */
	uint32_t index;			/* of inlined calls, 0: none */
	uint8_t flags;
};

static inline void go_put(struct go_table *t, uint32_t at, uint64_t value, size_t n)
{
	memcpy(t->p + at, &value, n);
}

/* What a place in a part is counted from: before Go 1.16 the table's beginning. */
static inline uint32_t go_place(const struct go_table *t, uint32_t part, uint32_t place)
{
	return t->layout == GO_12 ? part + place : place;
}

static inline void go_put_record(struct go_table *t, uint32_t number, const struct go_record *r)
{
	bool relative = t->layout >= GO_118;
	uint32_t bytes = relative ? 4 : 8, at = t->record;
	uint32_t item = (t->layout == GO_12 ? 16 : GO_FUNCTIONS) + 2 * bytes * number;
	uint64_t entry = r->entry + (relative ? 0 : GO_TEXT);
	const uint32_t words[] = {go_place(t, GO_NAMES, r->name),
				  0,
				  0,
				  r->sp ? go_place(t, GO_VALUES, r->sp) : 0,
				  go_place(t, GO_VALUES, 0x60), /* files */
				  r->line ? go_place(t, GO_VALUES, r->line) : 0,
				  relative ? 3 : 0,
				  0,
				  7};
	size_t n = 4ul * (t->layout == GO_12 ? 7 : t->layout == GO_120 ? 9 : 8);

	go_put(t, item, entry, bytes);
	go_put(t, item + bytes, at - (t->layout == GO_12 ? 0 : GO_FUNCTIONS), bytes);
	go_put(t, at, entry, bytes);
	at += bytes;
	memcpy(t->p + at, words, n);
	at += (uint32_t)n;
	go_put(t, at, (uint64_t)r->flags << 8 | (relative ? 4ull << 24 : 0), 4);
	at += 4;
	if (relative) {
		go_put(t, at + 8, r->index, 4);
		go_put(t, at + 24, r->index ? 0 : UINT32_MAX, 4);
		at += 28;
	}
	t->record = at;
}

/* Pairs of a change of the value, which is -1 before, and how many bytes of code it is good for. */
static inline void go_put_values(struct go_table *t, uint32_t at, const int8_t *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++, at++) {
		int8_t v = pairs[i];

		go_put(t, GO_VALUES + at, (uint8_t)(i % 2 ? v : v < 0 ? -2 * v - 1 : 2 * v), 1);
	}
	go_put(t, GO_VALUES + at, 0, 1);
}

/* Four functions:
 *	main.first	[0, 32)	  its stack pointer goes down by 8 at 4, by 16 more at 8, up at 28
 *	main.second	[32, 96)  main.small is inlined at [48, 64), by line 22
 *	main.outside	[96, 112) has no values
 *	runtime.goexit	[112, 128) */
static inline void go_table_make(struct go_table *t, enum go_layout layout)
{
	static const uint32_t magics[] = {0xfffffffb, 0xfffffffa, 0xfffffff0, 0xfffffff1};
	static const int8_t sp1[] = {1, 4, 8, 4, 16, 20, -24, 4}, sp2[] = {1, 64};
	static const int8_t line1[] = {11, 16, 1, 16}, line2[] = {21, 16, -15, 16, 17, 32};
	static const int8_t index[] = {0, 16, 1, 16, -1, 32}, file[] = {1, 64}, file12[] = {2, 64};
	static const char names[] =
		"\0main.first\0main.second\0main.outside\0runtime.goexit\0main.small";
	const struct go_record records[] = {
		{0, 1, 0x10, 0x30, 0, 0},
		{32, 12, 0x20, 0x40, 0x50, 0},
		{96, 24, 0, 0, 0, 0},
		{112, 37, 0x20, 0, 0, 1},
	};
	uint32_t bytes = layout < GO_118 ? 8 : 4, first = layout == GO_116 ? 24 : 32;
	uint32_t list = layout == GO_12 ? 16 : GO_FUNCTIONS;

	memset(t, 0, sizeof(*t));
	t->layout = layout;
	go_put(t, 0, 0x0801000000000000ull | magics[layout], 8);
	go_put(t, 8, 4, 8);
	if (layout != GO_12) {
		const uint64_t parts[] = {GO_NAMES, GO_CU, GO_FILES, GO_VALUES, GO_FUNCTIONS};

		memcpy(t->p + first, parts, sizeof(parts));
	}
	memcpy(t->p + GO_NAMES, names, sizeof(names));
	memcpy(t->p + GO_FILES, "main.go", 8);
	go_put(t, GO_INLINED + (layout == GO_120 ? 4 : 12), 52, 4);
	go_put(t, GO_INLINED + (layout == GO_120 ? 8 : 16), 32, 4);
	go_put(t, GO_INLINED + (layout == GO_120 ? 12 : 4), 4, 4);
	go_put_values(t, 0x10, sp1, sizeof(sp1));
	go_put_values(t, 0x20, sp2, sizeof(sp2));
	go_put_values(t, 0x30, line1, sizeof(line1));
	go_put_values(t, 0x40, line2, sizeof(line2));
	go_put_values(t, 0x50, index, sizeof(index));
	go_put_values(t, 0x60, layout == GO_12 ? file12 : file, 2);
	t->record = list + 9 * bytes + 8;
	for (uint32_t i = 0; i < 4; i++)
		go_put_record(t, i, &records[i]);
	go_put(t, list + 8 * bytes, 128 + (bytes == 8 ? GO_TEXT : 0), bytes);
	if (layout == GO_12) { /* a list of files, counted from 1 */
		go_put(t, list + 9 * bytes, GO_CU, 4);
		go_put(t, GO_CU + 4, GO_FILES, 4);
	}
}

/* Another name, of up to 62 bytes, for one of the functions; from layout GO_118 on. */
static inline void go_put_name(struct go_table *t, uint32_t number, const char *name)
{
	uint64_t record = 0;

	memcpy(&record, t->p + GO_FUNCTIONS + 8ul * number + 4, 4);
	memcpy(t->p + GO_NAMES + GO_OTHER_NAME, name, strlen(name) + 1);
	go_put(t, (uint32_t)(GO_FUNCTIONS + record + 4), GO_OTHER_NAME, 4);
}

/* A descriptor of the file, or -errno. */
static inline int go_image(const void *table, size_t n)
{
	struct {
		Elf64_Ehdr e;
		Elf64_Phdr p[2];
		uint8_t pad[0x1000 - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr)];
		uint8_t code[0x1000];
		uint64_t module[GO_MODULE_WORDS];
	} image = {
		.e = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		      .e_type = ET_EXEC,
		      .e_machine = AP_ELF_MACHINE,
		      .e_version = EV_CURRENT,
		      .e_phoff = sizeof(Elf64_Ehdr),
		      .e_phentsize = sizeof(Elf64_Phdr),
		      .e_phnum = 2},
		.p = {{.p_type = PT_LOAD,
		       .p_flags = PF_R | PF_X,
		       .p_offset = GO_CODE_AT,
		       .p_vaddr = GO_TEXT,
		       .p_filesz = 0x1000},
		      {.p_type = PT_LOAD,
		       .p_flags = PF_R,
		       .p_offset = 0x2000,
		       .p_vaddr = GO_DATA,
		       .p_filesz = 0x200 + n}},
		/* The table, its names, text, and what inlined calls are counted from. */
		.module = {[0] = GO_TABLE,
			   [1] = GO_TABLE + GO_NAMES,
			   [22] = GO_TEXT,
			   [38] = GO_TABLE + GO_INLINED,
			   [40] = GO_TABLE + GO_INLINED},
	};
	int fd = memfd_create("go", MFD_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = ap_write_all(fd, &image, sizeof(image));
	if (err == 0)
		err = ap_write_all(fd, table, n);
	if (err == 0)
		return fd;
	close(fd);
	return err;
}

#endif

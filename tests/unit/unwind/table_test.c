/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files made by hand: where unwind information is found, and what lies lead to. */
#include "../test.h"

#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "base/io.h"
#include "unwind/arch.h"
#include "unwind/table.h"

#ifndef ELFCOMPRESS_ZSTD
#define ELFCOMPRESS_ZSTD 2
#endif

enum {
	CODE = 0x401000, /* virtual address of the executable segment */
	CODE_AT = 0x1000,
	CODE_BYTES = 0x1000,
	DATA = 0x600000, /* of the segment that has .eh_frame */
	DATA_AT = 0x200,
	SECTION_AT = 0x800,
	ENTRY = CODE + 0x800,
	FILE_BYTES = 0x2000,
};

enum { EMPTY, NAMES, FRAME, SECTIONS };

/* The file's first bytes; its code is at the end. */
struct image {
	union {
		struct {
			Elf64_Ehdr file;
			Elf64_Phdr segments[3];
		};
		uint8_t front[DATA_AT];
	};
	uint8_t data[SECTION_AT - DATA_AT];
	Elf64_Shdr sections[SECTIONS];
	char names[64];
	uint8_t code[FILE_BYTES - SECTION_AT - SECTIONS * sizeof(Elf64_Shdr) - 64];
};
_Static_assert(sizeof(struct image) == FILE_BYTES, "laid out without gaps");

/* One CIE and one FDE of 0x100 bytes at CODE: CFA = `reg` + 8, 16 after its first byte. */
static size_t frame(uint8_t *p, bool eh, uint8_t reg)
{
	const uint8_t cie[] = {1, 0, 1, 0x78, 16, 0x0c, reg, 8, 0x90, 1};
	const uint32_t lengths[] = {4 + sizeof(cie), 4 + 16 + 3};
	const uint32_t ids[] = {eh ? 0 : UINT32_MAX, eh ? 4 + lengths[0] + 4 : 0};
	const uint64_t range[] = {CODE, 0x100};
	const uint8_t program[] = {0x41, 0x0e, 16};
	struct ap_buf b = {0};
	size_t n;

	ap_buf_append(&b, &lengths[0], 4);
	ap_buf_append(&b, &ids[0], 4);
	ap_buf_append(&b, cie, sizeof(cie));
	ap_buf_append(&b, &lengths[1], 4);
	ap_buf_append(&b, &ids[1], 4);
	ap_buf_append(&b, range, sizeof(range));
	ap_buf_append(&b, program, sizeof(program));
	memcpy(p, b.p, n = b.n);
	ap_buf_free(&b);
	return n;
}

/* An executable with one section of call frame information called `name`. */
static struct image *image(const char *name)
{
	static struct image i;

	memset(&i, 0, sizeof(i));
	memcpy(i.file.e_ident, ELFMAG "\2\1\1", 7);
	i.file.e_type = ET_EXEC;
	i.file.e_machine = AP_ELF_MACHINE;
	i.file.e_entry = ENTRY;
	i.file.e_phoff = offsetof(struct image, segments);
	i.file.e_phentsize = sizeof(Elf64_Phdr);
	i.file.e_phnum = 2;
	i.file.e_shoff = offsetof(struct image, sections);
	i.file.e_shentsize = sizeof(Elf64_Shdr);
	i.file.e_shnum = SECTIONS;
	i.file.e_shstrndx = NAMES;
	i.segments[0] = (Elf64_Phdr){.p_type = PT_LOAD,
				     .p_flags = PF_R | PF_X,
				     .p_offset = CODE_AT,
				     .p_vaddr = CODE,
				     .p_filesz = CODE_BYTES};
	i.segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
				     .p_flags = PF_R,
				     .p_offset = DATA_AT,
				     .p_vaddr = DATA,
				     .p_filesz = sizeof(i.data)};
	i.sections[NAMES] = (Elf64_Shdr){.sh_name = 1,
					 .sh_type = SHT_STRTAB,
					 .sh_offset = offsetof(struct image, names),
					 .sh_size = sizeof(i.names)};
	i.sections[FRAME] = (Elf64_Shdr){
		.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_addr = DATA, .sh_offset = DATA_AT};
	snprintf(i.names + 1, sizeof(i.names) - 1, "%s", name);
	i.sections[FRAME].sh_size = frame(i.data, strcmp(name, ".eh_frame") == 0, 7);
	return &i;
}

static int build(const struct image *i, size_t n, struct ap_unwind_table **ret)
{
	_cleanup_fd_ int fd = memfd_create("elf", MFD_CLOEXEC);

	*ret = NULL;
	assert_int_equal(ap_write_all(fd, i, n), 0);
	return ap_unwind_table_build(fd, ret);
}

#define TABLE _cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table

static int cfa_at(const struct ap_unwind_table *t, uint64_t offset)
{
	return ap_unwind_table_find(t, offset)->cfa;
}

static void is_whole(const struct ap_unwind_table *t)
{
	assert_int_equal(ap_unwind_table_find(t, CODE_AT)->cfa_offset, 8);
	assert_int_equal(ap_unwind_table_find(t, CODE_AT + 0xff)->cfa_offset, 16);
	assert_int_equal(cfa_at(t, CODE_AT + 0x100), AP_CFA_NONE);
	assert_int_equal(cfa_at(t, CODE_AT - 1), AP_CFA_NONE);
}

static void expect_whole(const struct image *i)
{
	TABLE *t = NULL;

	assert_int_equal(build(i, sizeof(*i), &t), 0);
	is_whole(t);
}

static void finds_sections(void **state)
{
	expect_whole(image(".eh_frame"));
	expect_whole(image(".debug_frame"));
}

static void ends_at_start_code(void **state)
{
	struct image *i = image(".eh_frame");
	TABLE *t = NULL, *covered = NULL;

	assert_int_equal(build(i, sizeof(*i), &t), 0);
	assert_int_equal(cfa_at(t, CODE_AT + 0x7ff), AP_CFA_NONE);
	assert_int_equal(cfa_at(t, CODE_AT + 0x800), AP_CFA_END);
	assert_int_equal(cfa_at(t, CODE_AT + 0x83f), AP_CFA_END);
	assert_int_equal(cfa_at(t, CODE_AT + 0x840), AP_CFA_NONE);
	i->file.e_entry = CODE + 0x80; /* a function says what is there */
	assert_int_equal(build(i, sizeof(*i), &covered), 0);
	is_whole(covered);
}

static void unpacks_sections(void **state)
{
	struct image *i;
	uint8_t plain[256], *to;
	Elf64_Chdr h = {.ch_addralign = 1};
	uLongf n;
	size_t bytes;

	for (uint32_t type = ELFCOMPRESS_ZLIB; type <= ELFCOMPRESS_ZSTD; type++) {
		i = image(".debug_frame");
		bytes = frame(plain, false, 7);
		h.ch_type = type;
		h.ch_size = bytes;
		memcpy(i->data, &h, sizeof(h));
		to = i->data + sizeof(h);
		n = sizeof(i->data) - sizeof(h);
		if (type == ELFCOMPRESS_ZLIB)
			assert_int_equal(compress(to, &n, plain, bytes), Z_OK);
		else
			n = ZSTD_compress(to, n, plain, bytes, 1);
		i->sections[FRAME].sh_flags = SHF_COMPRESSED;
		i->sections[FRAME].sh_size = sizeof(h) + n;
		expect_whole(i);
		/* Cut off within the header, and of a kind that nobody knows. */
		i->file.e_entry = 0;
		i->sections[FRAME].sh_size = sizeof(h) - 1;
		TABLE *t = NULL;
		assert_int_equal(build(i, sizeof(*i), &t), -ENODATA);
		i->sections[FRAME].sh_size = sizeof(h) + n;
		i->data[0] = 9;
		assert_int_equal(build(i, sizeof(*i), &t), -ENODATA);
	}
	i = image(".zdebug_frame");
	bytes = frame(plain, false, 7);
	memcpy(i->data, "ZLIB\0\0\0\0\0\0\0\1", 12);
	n = sizeof(i->data) - 12;
	assert_int_equal(compress(i->data + 12, &n, plain, bytes), Z_OK);
	i->sections[FRAME].sh_size = 12 + n;
	expect_whole(i);
}

/* .eh_frame_hdr at the data's end points to .eh_frame at its beginning. */
static void finds_unwind_information_without_sections(void **state)
{
	const uint8_t encodings[] = {0x1b, 0x3b, 0x00, 0x04, 0x1c};

	for (size_t k = 0; k < sizeof(encodings); k++) {
		struct image *i = image(".eh_frame");
		uint64_t at = DATA + sizeof(i->data) - 16, pointer = DATA;
		uint8_t *header = i->data + sizeof(i->data) - 16;

		i->file.e_shoff = i->file.e_shnum = 0;
		i->file.e_phnum = 3;
		i->segments[2] = (Elf64_Phdr){.p_type = PT_GNU_EH_FRAME, .p_vaddr = at};
		header[0] = 1;
		header[1] = encodings[k];
		pointer -= encodings[k] >> 4 == 1 ? at + 4 : encodings[k] >> 4 == 3 ? at : 0;
		memcpy(header + 4, &pointer, 8);
		expect_whole(i);
		/* Bytes that cannot be: another version, a pointer to nowhere, a segment of none. */
		i->file.e_entry = 0;
		TABLE *t = NULL;
		header[0] = 2;
		assert_int_equal(build(i, sizeof(*i), &t), -ENODATA);
		header[0] = 1;
		memset(header + 4, 0x7f, 8);
		assert_int_equal(build(i, sizeof(*i), &t), -ENODATA);
		i->segments[2].p_vaddr = 0x7000;
		assert_int_equal(build(i, sizeof(*i), &t), -ENODATA);
	}
}

static void follows_the_tracked_register(void **state)
{
	struct image *i = image(".eh_frame");
	uint8_t *program = i->data + frame(i->data, true, AP_REG_SP);
	TABLE *t = NULL;

	memcpy(program, "\x83\x03", 2); /* saved at CFA - 24 */
	i->data[18] += 2;
	i->sections[FRAME].sh_size += 2;
	assert_int_equal(build(i, sizeof(*i), &t), 0);
	assert_int_equal(ap_unwind_table_find(t, CODE_AT + 1)->fp_tracked >> 4, AP_SAVED_CFA);
}

static void refuses_what_is_no_program_of_this_machine(void **state)
{
	static const struct {
		size_t offset;
		uint8_t value;
	} cases[] = {
		{0, 'E'},
		{EI_CLASS, ELFCLASS32},
		{EI_DATA, ELFDATA2MSB},
		{offsetof(Elf64_Ehdr, e_machine), EM_386},
		{offsetof(Elf64_Ehdr, e_type), ET_REL},
	};

	for (size_t k = 0; k < AP_ARRAY_SIZE(cases); k++) {
		struct image *i = image(".eh_frame");
		TABLE *t = NULL;

		i->front[cases[k].offset] = cases[k].value;
		assert_int_equal(build(i, sizeof(*i), &t), -ENOEXEC);
	}
}

static void survives_lies(void **state)
{
	struct image *i = image(".eh_frame");
	TABLE *t = NULL;

	i->sections[FRAME].sh_size = 1ull << 32;
	i->file.e_entry = 0;
	assert_int_equal(build(i, sizeof(*i), &t), -ENODATA);
	i = image(".eh_frame");
	i->sections[FRAME].sh_size = UINT64_MAX - 1;
	i->file.e_entry = UINT64_MAX;
	assert_int_equal(build(i, sizeof(*i), &t), -ENODATA);
	i = image(".eh_frame");
	i->segments[0].p_filesz = UINT64_MAX; /* up to the end of the file */
	expect_whole(i);
	i->segments[0].p_offset = 1ull << 62;
	assert_int_equal(build(i, sizeof(*i), &t), -ENODATA);
	i = image(".eh_frame");
	i->sections[NAMES].sh_size = UINT64_MAX;
	i->file.e_entry = 0;
	assert_int_equal(build(i, sizeof(*i), &t), -ENODATA);
	i->file.e_shstrndx = 77;
	assert_int_equal(build(i, sizeof(*i), &t), -ENODATA);
	/* As many headers as 32 bits can say. */
	i = image(".eh_frame");
	i->file.e_shnum = 0;
	i->sections[EMPTY].sh_size = UINT32_MAX;
	assert_int_equal(build(i, sizeof(*i), &t), -EFBIG);
	i = image(".eh_frame");
	i->file.e_phnum = PN_XNUM;
	i->sections[EMPTY].sh_info = UINT32_MAX;
	assert_int_equal(build(i, sizeof(*i), &t), -EFBIG);
}

static void survives_truncation(void **state)
{
	struct image *i = image(".eh_frame");

	for (size_t n = 0; n < sizeof(*i); n += n < SECTION_AT + 512 ? 1 : 97) {
		TABLE *t = NULL;
		int err = build(i, n, &t);

		if (err == 0)
			assert_true(n > CODE_AT);
		else
			assert_true(err == -ENOEXEC || err == -ENODATA);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_sections),
		cmocka_unit_test(ends_at_start_code),
		cmocka_unit_test(unpacks_sections),
		cmocka_unit_test(finds_unwind_information_without_sections),
		cmocka_unit_test(follows_the_tracked_register),
		cmocka_unit_test(refuses_what_is_no_program_of_this_machine),
		cmocka_unit_test(survives_lies),
		cmocka_unit_test(survives_truncation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/sections.h"

#include <sys/stat.h>

#include "base/io.h"
#include "base/str.h"
#include "unwind/arch.h"
#include "unwind/encoding.h"

#ifndef ELFCOMPRESS_ZSTD
#define ELFCOMPRESS_ZSTD 2 /* gABI, newer than Debian 12's elf.h */
#endif
#ifndef SHT_X86_64_UNWIND
#define SHT_X86_64_UNWIND 0x70000001
#endif

enum {
	SEGMENTS_MAX = 1024,
	SECTIONS_MAX = 1 << 16,
	NAMES_MAX = 1 << 20, /* bytes of section names that are looked at */
};

struct headers {
	Elf64_Ehdr file;
	Elf64_Phdr *segments;
	Elf64_Shdr *sections;
	char *names; /* NUL-terminated */
	uint32_t n_segments, n_sections, names_section;
	size_t names_bytes;
};

int ap_unwind_elf_bytes(const struct ap_unwind_elf *e, uint64_t offset, void *p, size_t n)
{
	int r = ap_range_ok(offset, n, e->file_bytes) ? ap_read_at(e->fd, offset, p, n) : -ENODATA;

	return r == -ENODATA ? -ENOEXEC : r;
}

static void free_headers(struct headers *h)
{
	free(h->segments);
	free(h->sections);
	free(h->names);
}

static int read_table(const struct ap_unwind_elf *e, uint64_t offset, size_t n, void **ret)
{
	_cleanup_free_ void *p = NULL;
	int err;

	if (!ap_range_ok(offset, n, e->file_bytes))
		return -ENOEXEC;
	p = malloc(n + 1);
	if (!p)
		return -ENOMEM;
	err = ap_unwind_elf_bytes(e, offset, p, n);
	if (err == 0)
		*ret = AP_TAKE_PTR(p);
	return err;
}

static int read_file_header(struct ap_unwind_elf *e, struct headers *h)
{
	const Elf64_Ehdr *f = &h->file;
	Elf64_Shdr first;
	int err = ap_unwind_elf_bytes(e, 0, &h->file, sizeof(h->file));

	if (err < 0)
		return err;
	if (memcmp(f->e_ident, ELFMAG, SELFMAG) != 0 || f->e_ident[EI_CLASS] != ELFCLASS64 ||
	    f->e_ident[EI_DATA] != ELFDATA2LSB || f->e_machine != AP_ELF_MACHINE ||
	    (f->e_type != ET_EXEC && f->e_type != ET_DYN))
		return -ENOEXEC;
	e->entry = f->e_entry;
	h->n_segments = f->e_phentsize == sizeof(Elf64_Phdr) ? f->e_phnum : 0;
	/* Counts that do not fit into 16 bits are in the first section header. */
	if (f->e_shoff && f->e_shentsize == sizeof(first) &&
	    ap_unwind_elf_bytes(e, f->e_shoff, &first, sizeof(first)) == 0) {
		h->n_sections =
			f->e_shnum ? f->e_shnum : (uint32_t)AP_MIN(first.sh_size, UINT32_MAX);
		h->names_section = f->e_shstrndx == SHN_XINDEX ? first.sh_link : f->e_shstrndx;
		if (f->e_phnum == PN_XNUM)
			h->n_segments = first.sh_info;
	}
	return h->n_segments > SEGMENTS_MAX || h->n_sections > SECTIONS_MAX ? -EFBIG : 0;
}

static int read_segments(struct ap_unwind_elf *e, struct headers *h)
{
	int err = read_table(e, h->file.e_phoff, h->n_segments * sizeof(Elf64_Phdr),
			     (void **)&h->segments);

	for (uint32_t i = 0; err == 0 && i < h->n_segments; i++) {
		const Elf64_Phdr *p = &h->segments[i];
		struct ap_unwind_segment found = {p->p_vaddr, p->p_offset, 0};

		if (p->p_offset >= e->file_bytes)
			continue;
		found.bytes = AP_MIN(p->p_filesz, e->file_bytes - p->p_offset);
		if (p->p_type == PT_DYNAMIC)
			e->dynamic = (struct ap_unwind_section){
				.vaddr = p->p_vaddr, .offset = p->p_offset, .n = found.bytes};
		if (p->p_type != PT_LOAD)
			continue;
		if ((p->p_flags & PF_X) && e->n_segments < AP_UNWIND_SEGMENTS_MAX)
			e->segments[e->n_segments++] = found;
		if (!(p->p_flags & PF_X) && e->n_data < AP_UNWIND_SEGMENTS_MAX)
			e->data[e->n_data++] = found;
	}
	return err;
}

/* Section headers serve tools only, and may be cut off or wrong where the file still runs: then the
 * file counts as having none. */
static int read_sections(struct ap_unwind_elf *e, struct headers *h)
{
	const Elf64_Shdr *names;
	int err = read_table(e, h->file.e_shoff, h->n_sections * sizeof(Elf64_Shdr),
			     (void **)&h->sections);

	if (err == 0 && h->names_section < h->n_sections) {
		names = &h->sections[h->names_section];
		h->names_bytes = AP_MIN(names->sh_size, (size_t)NAMES_MAX);
		err = read_table(e, names->sh_offset, h->names_bytes, (void **)&h->names);
	}
	if (err == 0 && h->names) {
		h->names[h->names_bytes] = 0;
		return 0;
	}
	h->n_sections = 0;
	return err == -ENOEXEC ? 0 : err;
}

/* What a compressed section says of itself. False: nothing that can be used. */
static bool unpack(const struct ap_unwind_elf *e, struct ap_unwind_section *s, bool gnu)
{
	Elf64_Chdr c;
	char magic[12]; /* "ZLIB" and the size, of .zdebug_* */
	size_t header = gnu ? sizeof(magic) : sizeof(c);

	if (s->n < header)
		return false;
	if (gnu) {
		if (ap_unwind_elf_bytes(e, s->offset, magic, sizeof(magic)) < 0 ||
		    memcmp(magic, "ZLIB", 4) != 0)
			return false;
		s->packing = AP_STREAM_ZLIB;
	} else {
		if (ap_unwind_elf_bytes(e, s->offset, &c, sizeof(c)) < 0)
			return false;
		if (c.ch_type != ELFCOMPRESS_ZLIB && c.ch_type != ELFCOMPRESS_ZSTD)
			return false;
		s->packing = c.ch_type == ELFCOMPRESS_ZLIB ? AP_STREAM_ZLIB : AP_STREAM_ZSTD;
	}
	s->offset += header;
	s->n -= header;
	return true;
}

static void note_section(struct ap_unwind_elf *e, const struct headers *h, const Elf64_Shdr *s)
{
	struct ap_str name =
		s->sh_name < h->names_bytes ? ap_str_of(h->names + s->sh_name) : AP_STR("");
	bool gnu = ap_str_is(name, ".zdebug_frame");
	struct ap_unwind_section found = {
		.vaddr = s->sh_addr, .offset = s->sh_offset, .n = s->sh_size};

	e->may_be_go |= ap_str_is(name, ".go.buildinfo") || ap_str_is(name, ".note.go.buildid");
	if ((s->sh_type != SHT_PROGBITS && s->sh_type != SHT_X86_64_UNWIND) ||
	    !ap_range_ok(s->sh_offset, s->sh_size, e->file_bytes))
		return;
	if (ap_str_is(name, ".eh_frame") && !(s->sh_flags & SHF_COMPRESSED))
		e->eh_frame = found;
	if (ap_str_is(name, ".gopclntab") || ap_str_is(name, ".data.rel.ro.gopclntab"))
		e->gopclntab = found;
	if ((gnu || ap_str_is(name, ".debug_frame")) &&
	    (!(gnu || (s->sh_flags & SHF_COMPRESSED)) || unpack(e, &found, gnu)))
		e->debug_frame = found;
}

/* The bytes of the file from an address on, up to the end of their segment. */
static bool find_address(const struct ap_unwind_elf *e, const struct headers *h, uint64_t vaddr,
			 struct ap_unwind_section *ret)
{
	for (uint32_t i = 0; i < h->n_segments; i++) {
		const Elf64_Phdr *p = &h->segments[i];
		uint64_t at = vaddr - p->p_vaddr;

		if (p->p_type != PT_LOAD || vaddr < p->p_vaddr || at >= p->p_filesz ||
		    !ap_range_ok(p->p_offset, p->p_filesz, e->file_bytes))
			continue;
		*ret = (struct ap_unwind_section){
			.vaddr = vaddr, .offset = p->p_offset + at, .n = p->p_filesz - at};
		return true;
	}
	return false;
}

/* A file without section headers: .eh_frame_hdr has a segment, and points to .eh_frame. */
static void find_by_header(struct ap_unwind_elf *e, const struct headers *h)
{
	struct ap_unwind_section at;
	struct ap_cursor c;
	uint8_t bytes[4 + 8 + 8]; /* version, three encodings, an aligned pointer */
	uint64_t vaddr;
	uint32_t i = 0;
	size_t n;

	while (i < h->n_segments && h->segments[i].p_type != PT_GNU_EH_FRAME)
		i++;
	if (i == h->n_segments || !find_address(e, h, h->segments[i].p_vaddr, &at))
		return;
	n = AP_MIN(at.n, sizeof(bytes));
	if (n < 4 || ap_unwind_elf_bytes(e, at.offset, bytes, n) < 0 || bytes[0] != 1)
		return;
	c = ap_cursor_over(bytes + 4, n - 4);
	if (!ap_encoded_pointer(&c, bytes[1], at.vaddr + 4, at.vaddr, &vaddr) ||
	    !find_address(e, h, vaddr, &e->eh_frame))
		return;
	e->eh_frame.open_ended = true;
}

int ap_unwind_elf_read(int fd, struct ap_unwind_elf *ret)
{
	_cleanup_(free_headers) struct headers h = {0};
	struct ap_unwind_elf e = {.fd = fd};
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	e.file_bytes = (uint64_t)st.st_size;
	err = read_file_header(&e, &h);
	if (err == 0)
		err = read_segments(&e, &h);
	if (err == 0)
		err = read_sections(&e, &h);
	e.may_be_go = h.n_sections == 0;
	for (uint32_t i = 1; err == 0 && i < h.n_sections; i++)
		note_section(&e, &h, &h.sections[i]);
	if (err == 0 && e.eh_frame.n == 0)
		find_by_header(&e, &h);
	if (err == 0)
		*ret = e;
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/io.h"
#include "symbol/inflate.h"

#ifndef ELFCOMPRESS_ZSTD
#define ELFCOMPRESS_ZSTD 2 /* gABI, newer than Debian 12's elf.h */
#endif

#define SECTIONS_MAX (1u << 18)
#define NAMES_MAX    (8u << 20)
#define NOTE_MAX     4096u

/* What both classes' section headers have in common. */
struct section {
	uint32_t name, type, link;
	uint64_t flags, offset, size, entsize;
};

struct reader {
	int fd;
	uint64_t file_size;
	bool believed; /* what its compressed sections declare */
	bool is64;
	uint64_t shoff;
	uint32_t shnum, shentsize, shstrndx;
	char *names;
	size_t names_size;
};

int ap_open_regular(const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	return AP_TAKE_FD(fd);
}

static int read_at(const struct reader *r, uint64_t off, void *p, size_t n)
{
	int result = ap_range_ok(off, n, r->file_size) ? ap_read_at(r->fd, off, p, n) : -ENODATA;

	return result == -ENODATA ? -ENOEXEC : result;
}

static int read_section(const struct reader *r, uint32_t i, struct section *ret)
{
	uint64_t off = r->shoff + (uint64_t)i * r->shentsize;
	int err;

	if (r->is64) {
		Elf64_Shdr h;

		err = read_at(r, off, &h, sizeof(h));
		*ret = (struct section){h.sh_name,   h.sh_type, h.sh_link,   h.sh_flags,
					h.sh_offset, h.sh_size, h.sh_entsize};
	} else {
		Elf32_Shdr h;

		err = read_at(r, off, &h, sizeof(h));
		*ret = (struct section){h.sh_name,   h.sh_type, h.sh_link,   h.sh_flags,
					h.sh_offset, h.sh_size, h.sh_entsize};
	}
	if (err < 0)
		return err;
	if (ret->type != SHT_NOBITS && !ap_range_ok(ret->offset, ret->size, r->file_size))
		return -ENOEXEC;
	return 0;
}

static int read_header(struct reader *r)
{
	unsigned char ident[EI_NIDENT];
	int err = read_at(r, 0, ident, sizeof(ident));

	if (err < 0)
		return err;
	if (memcmp(ident, ELFMAG, SELFMAG) != 0 || ident[EI_DATA] != ELFDATA2LSB)
		return -ENOEXEC;
	r->is64 = ident[EI_CLASS] == ELFCLASS64;
	if (r->is64) {
		Elf64_Ehdr h;

		err = read_at(r, 0, &h, sizeof(h));
		r->shoff = h.e_shoff;
		r->shnum = h.e_shnum;
		r->shentsize = h.e_shentsize;
		r->shstrndx = h.e_shstrndx;
	} else {
		Elf32_Ehdr h;

		if (ident[EI_CLASS] != ELFCLASS32)
			return -ENOEXEC;
		err = read_at(r, 0, &h, sizeof(h));
		r->shoff = h.e_shoff;
		r->shnum = h.e_shnum;
		r->shentsize = h.e_shentsize;
		r->shstrndx = h.e_shstrndx;
	}
	if (err < 0)
		return err;
	if (r->shoff && r->shentsize != (r->is64 ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr)))
		return -ENOEXEC;
	return 0;
}

/* Past 65,279 sections the true numbers are in the first section header. */
static int read_layout(struct reader *r)
{
	_cleanup_free_ char *names = NULL;
	struct section s;
	int err;

	if (!r->shoff) {
		r->shnum = 0;
		return 0;
	}
	err = read_section(r, 0, &s);
	if (err < 0)
		return err;
	if (r->shnum == 0) {
		if (s.size > SECTIONS_MAX)
			return -EFBIG;
		r->shnum = (uint32_t)s.size;
	}
	if (r->shstrndx == SHN_XINDEX)
		r->shstrndx = s.link;
	if (r->shnum == 0)
		return 0;
	if (r->shstrndx >= r->shnum)
		return -ENOEXEC;
	err = read_section(r, r->shstrndx, &s);
	if (err < 0)
		return err;
	if (s.type == SHT_NOBITS || (s.flags & SHF_COMPRESSED))
		return -ENOEXEC;
	if (s.size > NAMES_MAX)
		return -EFBIG;
	names = malloc(s.size + 1);
	if (!names)
		return -ENOMEM;
	err = read_at(r, s.offset, names, s.size);
	if (err < 0)
		return err;
	names[s.size] = 0;
	r->names = AP_TAKE_PTR(names);
	r->names_size = s.size;
	return 0;
}

static int read_build_id(const struct reader *r, const struct section *s, struct ap_elf *e)
{
	uint8_t note[NOTE_MAX];
	size_t n = AP_MIN(s->size, sizeof(note)), at = 0;
	int err = read_at(r, s->offset, note, n);

	if (err < 0)
		return err;
	while (n - at >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr h;
		size_t name, desc;

		memcpy(&h, note + at, sizeof(h));
		at += sizeof(h);
		name = ((size_t)h.n_namesz + 3) & ~(size_t)3;
		desc = ((size_t)h.n_descsz + 3) & ~(size_t)3;
		if (!ap_range_ok(at, name, n) || !ap_range_ok(at + name, h.n_descsz, n))
			return 0;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 &&
		    memcmp(note + at, "GNU", 4) == 0 && h.n_descsz <= AP_BUILD_ID_MAX) {
			for (size_t i = 0; i < h.n_descsz; i++)
				sprintf(e->build_id + 2 * i, "%02x", note[at + name + i]);
			return 0;
		}
		if (!ap_range_ok(at + name, desc, n))
			return 0;
		at += name + desc;
	}
	return 0;
}

/* The unpacked size of a section; a stranger's compressed one is tried first. */
static int unpacked_size(const struct reader *r, const struct section *s, uint64_t room,
			 struct ap_elf *e, uint64_t *ret)
{
	uint32_t type;
	uint64_t size, header = r->is64 ? sizeof(Elf64_Chdr) : sizeof(Elf32_Chdr);
	int err;

	*ret = s->size;
	if (!(s->flags & SHF_COMPRESSED) || s->type == SHT_NOBITS)
		return 0;
	if (r->is64) {
		Elf64_Chdr h;

		err = s->size < header ? -ENOEXEC : read_at(r, s->offset, &h, sizeof(h));
		type = h.ch_type;
		size = h.ch_size;
	} else {
		Elf32_Chdr h;

		err = s->size < header ? -ENOEXEC : read_at(r, s->offset, &h, sizeof(h));
		type = h.ch_type;
		size = h.ch_size;
	}
	if (err < 0)
		return err;
	*ret = size;
	if (size > room)
		e->has_bomb = true;
	if (size > room || r->believed)
		return 0;
	err = ap_inflate_check(r->fd, s->offset + header, s->size - header,
			       type == ELFCOMPRESS_ZSTD, size);
	if (err == -EBADMSG)
		e->has_bomb = true;
	return err == -EBADMSG ? 0 : err;
}

static int note_symbols(const struct reader *r, const struct section *s, struct ap_elf *e)
{
	bool dynamic = s->type == SHT_DYNSYM;
	struct section str;
	int err;

	if (s->link >= r->shnum || s->entsize != (r->is64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym)))
		return -ENOEXEC;
	err = read_section(r, s->link, &str);
	if (err < 0 || str.type == SHT_NOBITS || ((s->flags | str.flags) & SHF_COMPRESSED))
		return err;
	e->symbol_bytes += s->size;
	*(dynamic ? &e->dynsym : &e->symtab) = (struct ap_elf_section){s->offset, s->size};
	*(dynamic ? &e->dynstr : &e->strtab) = (struct ap_elf_section){str.offset, str.size};
	return 0;
}

static int note_section(const struct reader *r, const struct section *s, uint64_t max_debug,
			struct ap_elf *e)
{
	struct ap_str name = s->name < r->names_size ? ap_str_of(r->names + s->name) : AP_STR("");
	bool dwarf =
		ap_str_starts(name, AP_STR(".debug_")) || ap_str_starts(name, AP_STR(".zdebug_"));
	const struct {
		const char *name;
		struct ap_elf_section *to;
	} kept[] = {{".gnu_debuglink", &e->debug_link},
		    {".gnu_debugaltlink", &e->alt_link},
		    {".gnu_debugdata", &e->mini}};
	uint64_t size;
	int err;

	if (ap_str_starts(name, AP_STR(".zdebug_")))
		e->has_bomb = true;
	if (s->type == SHT_NOTE && !e->build_id[0])
		return read_build_id(r, s, e);
	if (s->type == SHT_NOBITS)
		return 0;
	err = unpacked_size(r, s, max_debug - AP_MIN(max_debug, e->debug_bytes), e, &size);
	if (err < 0)
		return err;
	if (dwarf && __builtin_add_overflow(e->debug_bytes, size, &e->debug_bytes))
		return -EFBIG;
	if (ap_str_is(name, ".debug_info"))
		e->has_debug_info = true;
	if (ap_str_is(name, ".debug_sup"))
		e->has_sup = true;
	for (size_t i = 0; i < AP_ARRAY_SIZE(kept); i++) {
		if (!ap_str_is(name, kept[i].name))
			continue;
		/* Only one that the parser behind reads the same way. */
		if (kept[i].to->size || (s->flags & SHF_COMPRESSED))
			e->has_bomb = true;
		*kept[i].to = (struct ap_elf_section){s->offset, s->size};
	}
	return s->type == SHT_SYMTAB || s->type == SHT_DYNSYM ? note_symbols(r, s, e) : 0;
}

int ap_elf_read(int fd, uint64_t max_debug, enum ap_elf_trust trust, struct ap_elf *ret)
{
	struct reader r = {.fd = fd};
	struct ap_elf e = {0};
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	r.file_size = (uint64_t)st.st_size;
	r.believed =
		trust == AP_ELF_OF_SYSTEM && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
	err = read_header(&r);
	if (err == 0)
		err = read_layout(&r);
	e.is64 = r.is64;
	for (uint32_t i = 1; err == 0 && i < r.shnum; i++) {
		struct section s;

		err = read_section(&r, i, &s);
		if (err == 0)
			err = note_section(&r, &s, max_debug, &e);
	}
	free(r.names);
	if (err == 0)
		*ret = e;
	return err;
}

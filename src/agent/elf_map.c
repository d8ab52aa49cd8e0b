/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/elf_map.h"

#include <elf.h>
#include <string.h>

#include "base/io.h"

#define PHDRS_MAX  128
#define NOTES_MAX  4096 /* bytes of a note segment that are searched */
#define PAGE_BYTES 4096

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define HOST_DATA ELFDATA2LSB
#else
#define HOST_DATA ELFDATA2MSB
#endif

/* All of it or -ENOEXEC: a file that ends early is no use. */
static int read_exact(int fd, void *p, size_t n, uint64_t offset)
{
	int r = ap_read_at(fd, offset, p, n);

	return r == -ENODATA ? -ENOEXEC : r;
}

static size_t align_up(size_t n, size_t to)
{
	return (n + to - 1) & ~(to - 1);
}

static void find_build_id(const uint8_t *p, size_t n, size_t align, struct ap_elf_map *m)
{
	size_t at = 0;

	while (ap_range_ok(at, sizeof(Elf64_Nhdr), n)) {
		Elf64_Nhdr h;
		size_t name, desc;

		memcpy(&h, p + at, sizeof(h));
		name = at + sizeof(h);
		if (!ap_range_ok(name, h.n_namesz, n))
			return;
		desc = align_up(name + h.n_namesz, align);
		if (!ap_range_ok(desc, h.n_descsz, n))
			return;
		if (h.n_type == NT_GNU_BUILD_ID && h.n_namesz == 4 &&
		    memcmp(p + name, ELF_NOTE_GNU, 4) == 0) {
			m->build_id_bytes = (uint32_t)AP_MIN(h.n_descsz, sizeof(m->build_id));
			memcpy(m->build_id, p + desc, m->build_id_bytes);
			return;
		}
		at = align_up(desc + h.n_descsz, align);
	}
}

static void read_notes(int fd, const Elf64_Phdr *ph, struct ap_elf_map *m)
{
	uint8_t notes[NOTES_MAX];
	size_t n = AP_MIN(ph->p_filesz, sizeof(notes));

	if (m->build_id_bytes == 0 && read_exact(fd, notes, n, ph->p_offset) == 0)
		find_build_id(notes, n, ph->p_align == 8 ? 8 : 4, m);
}

int ap_elf_map_read(int fd, struct ap_elf_map *ret)
{
	struct ap_elf_map m = {0};
	Elf64_Phdr ph[PHDRS_MAX];
	Elf64_Ehdr eh;
	size_t n;
	int r;

	r = read_exact(fd, &eh, sizeof(eh), 0);
	if (r < 0)
		return r;
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != HOST_DATA || eh.e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	n = AP_MIN(eh.e_phnum, PHDRS_MAX);
	r = read_exact(fd, ph, n * sizeof(*ph), eh.e_phoff);
	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (ph[i].p_type == PT_NOTE)
			read_notes(fd, &ph[i], &m);
		if (ph[i].p_type != PT_LOAD || m.n_loads == AP_ELF_LOADS_MAX)
			continue;
		m.loads[m.n_loads++] = (struct ap_elf_load){
			.offset = ph[i].p_offset,
			.vaddr = ph[i].p_vaddr,
			.filesz = ph[i].p_filesz,
			.exec = ph[i].p_flags & PF_X,
			.write = ph[i].p_flags & PF_W,
			.memsz = ph[i].p_memsz,
		};
	}
	*ret = m;
	return 0;
}

static uint64_t first_page(const struct ap_elf_load *l)
{
	return l->offset & ~(uint64_t)(PAGE_BYTES - 1);
}

/* Segments are mapped in whole pages, so that one page of the file may be mapped by two of them:
 * what is executed lies in the executable one. */
static const struct ap_elf_load *find_load(const struct ap_elf_map *m, uint64_t offset, bool exec)
{
	for (uint32_t i = 0; i < m->n_loads; i++) {
		const struct ap_elf_load *l = &m->loads[i];

		if (l->exec == exec && offset >= first_page(l) &&
		    (offset < l->offset || offset - l->offset < l->filesz))
			return l;
	}
	return NULL;
}

uint64_t ap_elf_map_vaddr(const struct ap_elf_map *m, uint64_t offset)
{
	const struct ap_elf_load *l = find_load(m, offset, true);

	if (!l)
		l = find_load(m, offset, false);
	return l ? offset - l->offset + l->vaddr : offset;
}

int ap_elf_map_data(const struct ap_elf_map *m, uint64_t offset, uint64_t *ret)
{
	const struct ap_elf_load *best = NULL;

	for (uint32_t i = 0; i < m->n_loads; i++) {
		const struct ap_elf_load *l = &m->loads[i];

		if (l->write && offset >= first_page(l) &&
		    (offset < l->offset || offset - l->offset < l->memsz) &&
		    (!best || l->offset > best->offset))
			best = l;
	}
	if (!best)
		return -ENOENT;
	*ret = offset - best->offset + best->vaddr;
	return 0;
}

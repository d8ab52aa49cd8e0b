/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/elf_map.h"

#include <elf.h>
#include <string.h>

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
	ssize_t r;

	if (offset > INT64_MAX - n)
		return -ENOEXEC;
	do
		r = pread(fd, p, n, (off_t)offset);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return (size_t)r == n ? 0 : -ENOEXEC;
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
		};
	}
	*ret = m;
	return 0;
}

/* Segments are mapped in whole pages, so that one page of the file may be mapped by two of them:
 * what is executed lies in the executable one. */
static const struct ap_elf_load *find_load(const struct ap_elf_map *m, uint64_t offset, bool exec)
{
	for (uint32_t i = 0; i < m->n_loads; i++) {
		const struct ap_elf_load *l = &m->loads[i];
		uint64_t begin = l->offset & ~(uint64_t)(PAGE_BYTES - 1);

		if (l->exec == exec && offset >= begin &&
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

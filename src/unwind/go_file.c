/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/go_file.h"

#include <elf.h>

#define DYNAMIC_MAX 1024ull
#define CHUNK_BYTES (64u << 10)

static const struct ap_unwind_segment *find_segment(const struct ap_unwind_segment *s, uint32_t n,
						    uint64_t vaddr)
{
	for (uint32_t i = 0; i < n; i++)
		if (vaddr >= s[i].vaddr && vaddr - s[i].vaddr < s[i].bytes)
			return &s[i];
	return NULL;
}

int ap_go_file_offset(const struct ap_go_file *f, uint64_t vaddr, uint64_t *ret,
		      uint64_t *ret_bytes)
{
	const struct ap_unwind_segment *s = find_segment(f->elf.data, f->elf.n_data, vaddr);

	if (!s)
		s = find_segment(f->elf.segments, f->elf.n_segments, vaddr);
	if (!s)
		return -EBADMSG;
	*ret = s->offset + (vaddr - s->vaddr);
	*ret_bytes = s->bytes - (vaddr - s->vaddr);
	return 0;
}

int ap_go_file_vaddr(const struct ap_go_file *f, uint64_t offset, uint64_t *ret)
{
	for (uint32_t i = 0; i < f->elf.n_data; i++) {
		const struct ap_unwind_segment *s = &f->elf.data[i];

		if (offset >= s->offset && offset - s->offset < s->bytes) {
			*ret = s->vaddr + (offset - s->offset);
			return 0;
		}
	}
	return -EBADMSG;
}

static int read_dynamic(struct ap_go_file *f)
{
	const struct ap_unwind_section *s = &f->elf.dynamic;
	uint64_t at = 0, bytes = 0, room;

	for (uint64_t i = 0; i < AP_MIN(s->n / sizeof(Elf64_Dyn), DYNAMIC_MAX); i++) {
		Elf64_Dyn d;
		int err = ap_unwind_elf_bytes(&f->elf, s->offset + i * sizeof(d), &d, sizeof(d));

		if (err < 0)
			return err;
		if (d.d_tag == DT_NULL)
			break;
		if (d.d_tag == DT_RELA)
			at = d.d_un.d_ptr;
		if (d.d_tag == DT_RELASZ)
			bytes = d.d_un.d_val;
	}
	if (bytes && ap_go_file_offset(f, at, &f->relocs, &room) == 0)
		f->n_relocs = AP_MIN(bytes, room) / sizeof(Elf64_Rela);
	return 0;
}

int ap_go_file_open(int fd, struct ap_go_file *ret)
{
	struct ap_go_file f = {0};
	int err = ap_unwind_elf_read(fd, &f.elf);

	if (err == 0)
		err = read_dynamic(&f);
	if (err == 0)
		*ret = f;
	return err;
}

/* A chunk overlaps the next by a word, so that a pair of words is seen whole. */
static int scan_segment(const struct ap_go_file *f, const struct ap_unwind_segment *s,
			uint8_t *chunk, uint64_t *left,
			bool (*match)(const void *arg, const uint8_t *p), const void *arg,
			uint64_t *ret)
{
	uint64_t at = -s->vaddr & 7;

	while (at + 16 <= s->bytes && *left > 0) {
		size_t n = (size_t)AP_MIN((uint64_t)CHUNK_BYTES, s->bytes - at);
		int err = ap_unwind_elf_bytes(&f->elf, s->offset + at, chunk, n);

		if (err < 0)
			return err;
		for (size_t i = 0; i + 16 <= n; i += 8)
			if (match(arg, chunk + i)) {
				*ret = s->vaddr + at + i;
				return 0;
			}
		*left -= AP_MIN(*left, n);
		if (n < CHUNK_BYTES)
			break;
		at += n - 8;
	}
	return -ENODATA;
}

int ap_go_file_scan(const struct ap_go_file *f, bool (*match)(const void *arg, const uint8_t *p),
		    const void *arg, uint64_t *ret)
{
	_cleanup_free_ uint8_t *chunk = malloc(CHUNK_BYTES);
	uint64_t left = AP_GO_SCAN_BYTES_MAX;
	int err = chunk ? -ENODATA : -ENOMEM;

	for (uint32_t i = 0; i < f->elf.n_data && err == -ENODATA; i++)
		err = scan_segment(f, &f->elf.data[i], chunk, &left, match, arg, ret);
	return err;
}

/* Calls `visit` with the relocations that set words, each with the one before it, until it returns
 * true: 0; -ENODATA: it never did; or an error of reading. */
static int each_reloc(const struct ap_go_file *f,
		      bool (*visit)(void *arg, const Elf64_Rela *r, const Elf64_Rela *before),
		      void *arg)
{
	const uint64_t per_chunk = CHUNK_BYTES / sizeof(Elf64_Rela);
	_cleanup_free_ Elf64_Rela *chunk = malloc(per_chunk * sizeof(*chunk));
	Elf64_Rela before = {0};

	if (!chunk)
		return -ENOMEM;
	for (uint64_t i = 0; i < f->n_relocs; i += per_chunk) {
		uint64_t n = AP_MIN(per_chunk, f->n_relocs - i);
		int err = ap_unwind_elf_bytes(&f->elf, f->relocs + i * sizeof(*chunk), chunk,
					      n * sizeof(*chunk));

		if (err < 0)
			return err;
		for (uint64_t k = 0; k < n; k++) {
			if (visit(arg, &chunk[k], &before))
				return 0;
			before = chunk[k];
		}
	}
	return -ENODATA;
}

/* Relative relocations alone: R_X86_64_RELATIVE and R_AARCH64_RELATIVE. */
static bool is_relative(const Elf64_Rela *r)
{
	uint64_t type = ELF64_R_TYPE(r->r_info);

	return type == R_X86_64_RELATIVE || type == R_AARCH64_RELATIVE;
}

struct pair {
	uint64_t value, next;
	uint64_t at;
};

static bool visit_pair(void *arg, const Elf64_Rela *r, const Elf64_Rela *before)
{
	struct pair *p = arg;

	p->at = before->r_offset;
	return is_relative(r) && is_relative(before) && r->r_offset == before->r_offset + 8 &&
	       (uint64_t)before->r_addend == p->value && (uint64_t)r->r_addend == p->next;
}

int ap_go_file_find_pair(const struct ap_go_file *f, uint64_t value, uint64_t next, uint64_t *ret)
{
	struct pair p = {value, next, 0};
	int err = each_reloc(f, visit_pair, &p);

	if (err == 0)
		*ret = p.at;
	return err;
}

struct words {
	uint64_t at, *words;
	size_t n;
};

static bool visit_word(void *arg, const Elf64_Rela *r, const Elf64_Rela *before)
{
	struct words *w = arg;
	uint64_t distance = r->r_offset - w->at;

	(void)before;
	if (is_relative(r) && r->r_offset >= w->at && distance % 8 == 0 && distance / 8 < w->n)
		w->words[distance / 8] = (uint64_t)r->r_addend;
	return false;
}

int ap_go_file_words(const struct ap_go_file *f, uint64_t at, uint64_t *words, size_t n)
{
	struct words w = {at, words, n};
	uint64_t offset, bytes;
	int err = ap_go_file_offset(f, at, &offset, &bytes);

	if (err == 0)
		err = ap_unwind_elf_bytes(&f->elf, offset, words, n * sizeof(*words));
	if (err == 0)
		err = each_reloc(f, visit_word, &w);
	return err == -ENODATA ? 0 : err;
}

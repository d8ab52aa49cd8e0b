/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/symbol_table.h"

#include <elf.h>

#define CHUNK_SYMBOLS  2048u
#define NAME_MAX_BYTES 4096u
#define FILTER_BITS    16384u /* a power of two */

/* One pass through the tables. */
struct search {
	struct ap_symbol_names *names;
	size_t left;  /* addresses without name yet */
	bool dynamic; /* which table it is in */
	uint8_t filter[FILTER_BITS / 8];
};

int ap_symbol_names_reserve(struct ap_symbol_names *s, size_t n)
{
	s->p = calloc(n ? n : 1, sizeof(*s->p));
	s->cap = n;
	return s->p ? 0 : -ENOMEM;
}

int ap_symbol_names_want(struct ap_symbol_names *s, uint64_t addr)
{
	if (s->n == s->cap)
		return -ENOMEM;
	s->p[s->n++] = (struct ap_symbol_name){.addr = addr};
	return 0;
}

static int by_addr(const void *a, const void *b)
{
	uint64_t x = ((const struct ap_symbol_name *)a)->addr;
	uint64_t y = ((const struct ap_symbol_name *)b)->addr;

	return x < y ? -1 : x > y;
}

static struct ap_symbol_name *find(const struct ap_symbol_names *s, uint64_t addr)
{
	struct ap_symbol_name key = {.addr = addr};

	return s->n ? bsearch(&key, s->p, s->n, sizeof(key), by_addr) : NULL;
}

static size_t filter_bit(uint64_t addr)
{
	return addr >> 4 & (FILTER_BITS - 1);
}

/* Large programs have a million symbols, of which a few are wanted. */
static void match(struct search *q, uint64_t value, uint8_t info, uint32_t name)
{
	struct ap_symbol_name *w;
	uint8_t type = ELF64_ST_TYPE(info);
	size_t bit = filter_bit(value);

	if (!(q->filter[bit / 8] & 1 << bit % 8))
		return;
	if (name == 0 || (type != STT_FUNC && type != STT_GNU_IFUNC))
		return;
	w = find(q->names, value);
	if (!w || w->table)
		return;
	w->table = name + 1;
	w->dynamic = q->dynamic;
	q->left--;
}

static void scan(struct search *q, int fd, const struct ap_elf *elf, uint8_t *buf)
{
	const struct ap_elf_section *t = q->dynamic ? &elf->dynsym : &elf->symtab;
	size_t entry = elf->is64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);

	for (uint64_t at = 0; q->left && at + entry <= t->size;) {
		size_t want = AP_MIN(t->size - at, CHUNK_SYMBOLS * entry);
		ssize_t got = pread(fd, buf, want - want % entry, (off_t)(t->offset + at));

		if (got < (ssize_t)entry)
			return;
		got -= got % (ssize_t)entry;
		for (size_t i = 0; i < (size_t)got; i += entry) {
			if (elf->is64) {
				Elf64_Sym y;

				memcpy(&y, buf + i, sizeof(y));
				match(q, y.st_value, y.st_info, y.st_name);
			} else {
				Elf32_Sym y;

				memcpy(&y, buf + i, sizeof(y));
				match(q, y.st_value, y.st_info, y.st_name);
			}
		}
		at += (uint64_t)got;
	}
}

static void read_text(struct ap_symbol_names *s, struct ap_symbol_name *w, int fd,
		      const struct ap_elf *elf)
{
	const struct ap_elf_section *t = w->dynamic ? &elf->dynstr : &elf->strtab;
	char name[NAME_MAX_BYTES];
	uint64_t at = w->table - 1;
	ssize_t got;

	if (w->table == 0 || at >= t->size)
		return;
	got = pread(fd, name, AP_MIN(t->size - at, sizeof(name)), (off_t)(t->offset + at));
	if (got <= 0 || !memchr(name, 0, (size_t)got))
		return;
	w->text = (uint32_t)s->text.n;
	ap_buf_append(&s->text, name, strlen(name) + 1);
}

int ap_symbol_names_read(struct ap_symbol_names *s, int fd, const struct ap_elf *elf)
{
	struct search q = {.names = s};
	_cleanup_free_ uint8_t *buf = NULL;

	if (s->n == 0)
		return 0;
	qsort(s->p, s->n, sizeof(*s->p), by_addr);
	buf = malloc(CHUNK_SYMBOLS * sizeof(Elf64_Sym));
	if (!buf)
		return -ENOMEM;
	for (size_t i = 0; i < s->n; i++) {
		size_t bit = filter_bit(s->p[i].addr);

		q.filter[bit / 8] |= (uint8_t)(1 << bit % 8);
		q.left += i == 0 || s->p[i].addr != s->p[i - 1].addr;
	}
	scan(&q, fd, elf, buf);
	q.dynamic = true;
	scan(&q, fd, elf, buf);
	ap_buf_byte(&s->text, 0);
	for (size_t i = 0; i < s->n; i++)
		read_text(s, &s->p[i], fd, elf);
	return ap_buf_error(&s->text);
}

const char *ap_symbol_names_get(const struct ap_symbol_names *s, uint64_t addr)
{
	const struct ap_symbol_name *w = find(s, addr);

	return w && w->text ? (const char *)s->text.p + w->text : "";
}

void ap_symbol_names_free(struct ap_symbol_names *s)
{
	free(s->p);
	ap_buf_free(&s->text);
}

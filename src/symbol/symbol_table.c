/* SPDX-License-Identifier: Apache-2.0 */
#include "symbol/symbol_table.h"

#include <elf.h>

#define CHUNK_SYMBOLS 2048u
#define FILTER_BITS   16384u /* a power of two */

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
static bool match(void *ctx, const struct ap_elf_symbol *y)
{
	struct search *q = ctx;
	struct ap_symbol_name *w;
	size_t bit = filter_bit(y->value);

	if (!(q->filter[bit / 8] & 1 << bit % 8))
		return true;
	if (y->name == 0 || (y->type != STT_FUNC && y->type != STT_GNU_IFUNC))
		return true;
	w = find(q->names, y->value);
	if (!w || w->table)
		return true;
	w->table = y->name + 1;
	w->dynamic = q->dynamic;
	return --q->left > 0;
}

static struct ap_elf_symbol symbol_at(const uint8_t *p, bool is64)
{
	Elf64_Sym y;
	Elf32_Sym y32;

	if (is64) {
		memcpy(&y, p, sizeof(y));
		return (struct ap_elf_symbol){y.st_value, y.st_size, y.st_name,
					      ELF64_ST_TYPE(y.st_info)};
	}
	memcpy(&y32, p, sizeof(y32));
	return (struct ap_elf_symbol){y32.st_value, y32.st_size, y32.st_name,
				      ELF32_ST_TYPE(y32.st_info)};
}

int ap_symbol_table_each(int fd, const struct ap_elf *elf, bool dynamic,
			 bool (*fn)(void *ctx, const struct ap_elf_symbol *y), void *ctx)
{
	const struct ap_elf_section *t = dynamic ? &elf->dynsym : &elf->symtab;
	size_t entry = elf->is64 ? sizeof(Elf64_Sym) : sizeof(Elf32_Sym);
	_cleanup_free_ uint8_t *buf = malloc(CHUNK_SYMBOLS * sizeof(Elf64_Sym));

	if (!buf)
		return -ENOMEM;
	for (uint64_t at = 0; at + entry <= t->size;) {
		size_t want = AP_MIN(t->size - at, CHUNK_SYMBOLS * entry);
		ssize_t got = pread(fd, buf, want - want % entry, (off_t)(t->offset + at));

		if (got < (ssize_t)entry)
			return 0;
		got -= got % (ssize_t)entry;
		for (size_t i = 0; i < (size_t)got; i += entry) {
			struct ap_elf_symbol y = symbol_at(buf + i, elf->is64);

			if (!fn(ctx, &y))
				return 0;
		}
		at += (uint64_t)got;
	}
	return 0;
}

int ap_symbol_table_text(int fd, const struct ap_elf *elf, bool dynamic, uint32_t name,
			 char ret[AP_SYMBOL_NAME_BYTES])
{
	const struct ap_elf_section *t = dynamic ? &elf->dynstr : &elf->strtab;
	ssize_t got;

	if (name >= t->size)
		return -ENOENT;
	got = pread(fd, ret, AP_MIN(t->size - name, (uint64_t)AP_SYMBOL_NAME_BYTES),
		    (off_t)(t->offset + name));
	return got > 0 && memchr(ret, 0, (size_t)got) ? 0 : -ENOENT;
}

static void read_text(struct ap_symbol_names *s, struct ap_symbol_name *w, int fd,
		      const struct ap_elf *elf)
{
	char name[AP_SYMBOL_NAME_BYTES];

	if (w->table == 0 || ap_symbol_table_text(fd, elf, w->dynamic, w->table - 1, name) < 0)
		return;
	w->text = (uint32_t)s->text.n;
	ap_buf_append(&s->text, name, strlen(name) + 1);
}

int ap_symbol_names_read(struct ap_symbol_names *s, int fd, const struct ap_elf *elf)
{
	struct search q = {.names = s};
	int err;

	if (s->n == 0)
		return 0;
	qsort(s->p, s->n, sizeof(*s->p), by_addr);
	for (size_t i = 0; i < s->n; i++) {
		size_t bit = filter_bit(s->p[i].addr);

		q.filter[bit / 8] |= (uint8_t)(1 << bit % 8);
		q.left += i == 0 || s->p[i].addr != s->p[i - 1].addr;
	}
	err = ap_symbol_table_each(fd, elf, false, match, &q);
	q.dynamic = true;
	if (err == 0 && q.left)
		err = ap_symbol_table_each(fd, elf, true, match, &q);
	if (err < 0)
		return err;
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

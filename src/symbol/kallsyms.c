/* SPDX-License-Identifier: Apache-2.0 */
/* Symbols have no size here: a function ends where the next symbol of any kind begins. So of every
 * run of other symbols after a function one entry without name is kept, to end it. */
#include "symbol/kallsyms.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/intern.h"
#include "base/vec.h"

#define CHUNK_BYTES    16384	   /* read at once; stdio takes 1 KiB by itself */
#define LINE_MAX_BYTES 1024	   /* the kernel's names are at most 512 bytes */
#define OBJECT_MAX     (64u << 10) /* the same for data */
#define DATA_TYPES     "bBdDrR"
/* Data that any kernel has: where it is not among the symbols, the few data that are say little. */
#define ANY_OBJECT "init_task"
/* Past this a last symbol of a region (a module, a BPF program) no longer holds an address. */
#define FUNCTION_MAX (1u << 20)

struct entry {
	uint64_t addr;
	uint32_t name; /* offset in `names`: NUL-terminated; 0: not a function */
	uint16_t module;
	uint8_t rank; /* of names at one address the highest is shown */
};

struct ap_kallsyms {
	AP_VEC(struct entry) entries; /* sorted by address */
	struct ap_buf names;
	struct ap_intern *modules;
};

void ap_kallsyms_free(struct ap_kallsyms *k)
{
	if (!k)
		return;
	ap_vec_free(&k->entries);
	ap_buf_free(&k->names);
	ap_intern_free(k->modules);
	free(k);
}

size_t ap_kallsyms_bytes(const struct ap_kallsyms *k)
{
	return sizeof(*k) + k->entries.cap * sizeof(struct entry) + k->names.cap +
	       ap_intern_bytes(k->modules);
}

/* Global before weak and local, then the fewer leading underscores. */
static uint8_t rank_of(char type, struct ap_str name)
{
	uint8_t under = 0;

	while (under < 15 && under < name.n && name.p[under] == '_')
		under++;
	return (uint8_t)((type == 'T' ? 32 : 16) + 15 - under);
}

static int add_line(struct ap_kallsyms *k, struct ap_str line, bool *ret_nonzero)
{
	struct ap_str addr = ap_str_cut(&line, ' '), type = ap_str_cut(&line, ' ');
	struct ap_str name = ap_str_cut(&line, '\t'), module = line;
	struct entry e = {0};
	uint32_t id = 0;
	char hex[17];

	if (addr.n == 0 || addr.n > 16 || type.n != 1 || name.n == 0)
		return 0;
	memcpy(hex, addr.p, addr.n);
	hex[addr.n] = 0;
	e.addr = strtoull(hex, NULL, 16);
	if (e.addr == 0)
		return 0;
	*ret_nonzero = true;
	if (module.n > 2 && module.p[0] == '[') {
		module = (struct ap_str){module.p + 1, module.n - 2};
		if (ap_intern_add(k->modules, module, &id, NULL) < 0)
			return -ENOMEM;
	}
	e.module = (uint16_t)AP_MIN(id, (uint32_t)UINT16_MAX);
	if (strchr("tTwW", type.p[0])) {
		e.rank = rank_of(type.p[0], name);
		e.name = (uint32_t)k->names.n;
		ap_buf_str(&k->names, name);
		ap_buf_byte(&k->names, 0);
	} else if (k->entries.n && k->entries.p[k->entries.n - 1].name == 0 &&
		   k->entries.p[k->entries.n - 1].addr <= e.addr) {
		return 0;
	}
	return ap_vec_push(&k->entries, e);
}

static int by_addr(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return (int)x->rank - (int)y->rank;
}

/* What is shown of equal addresses is the last. */
static void sort_entries(struct ap_kallsyms *k)
{
	size_t n = 0;

	qsort(k->entries.p, k->entries.n, sizeof(struct entry), by_addr);
	for (size_t i = 0; i < k->entries.n; i++) {
		if (i + 1 < k->entries.n && k->entries.p[i + 1].addr == k->entries.p[i].addr)
			continue;
		k->entries.p[n++] = k->entries.p[i];
	}
	k->entries.n = n;
}

/* Growth by doubling leaves up to half unused, for as long as the agent runs. */
static void shrink(struct ap_kallsyms *k)
{
	void *entries =
		realloc(k->entries.p, AP_MAX(k->entries.n, (size_t)1) * sizeof(struct entry));
	void *names = realloc(k->names.p, k->names.n);

	if (entries) {
		k->entries.p = entries;
		k->entries.cap = AP_MAX(k->entries.n, (size_t)1);
	}
	if (names) {
		k->names.p = names;
		k->names.cap = k->names.n;
	}
}

static int read_lines(struct ap_kallsyms *k, FILE *f, bool *ret_nonzero)
{
	char line[LINE_MAX_BYTES];

	while (fgets(line, sizeof(line), f)) {
		int err = add_line(k, ap_str_trim(ap_str_of(line)), ret_nonzero);

		if (err < 0)
			return err;
	}
	return ferror(f) ? -EIO : ap_buf_error(&k->names);
}

int ap_kallsyms_check(const char *path)
{
	char line[LINE_MAX_BYTES];
	FILE *f = fopen(path, "re");
	bool shown = false;

	if (!f)
		return -errno;
	while (!shown && fgets(line, sizeof(line), f))
		shown = strtoull(line, NULL, 16) != 0;
	fclose(f);
	return shown ? 0 : -EACCES;
}

int ap_kallsyms_read(const char *path, struct ap_kallsyms **ret)
{
	_cleanup_(ap_cleanup_kallsyms) struct ap_kallsyms *k = calloc(1, sizeof(*k));
	char chunk[CHUNK_BYTES];
	bool nonzero = false;
	FILE *f;
	int err;

	if (!k || !(k->modules = ap_intern_new()))
		return -ENOMEM;
	ap_buf_byte(&k->names, 0);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	setvbuf(f, chunk, _IOFBF, sizeof(chunk));
	err = read_lines(k, f, &nonzero);
	fclose(f);
	if (err < 0)
		return err;
	if (!nonzero)
		return -EACCES;
	sort_entries(k);
	shrink(k);
	*ret = AP_TAKE_PTR(k);
	return 0;
}

int ap_kallsyms_find(const struct ap_kallsyms *k, uint64_t addr, struct ap_buf *out)
{
	size_t after = ap_first(k->entries.p, k->entries.n, x, x->addr > addr);
	const struct entry *e;

	if (after == 0)
		return -ENOENT;
	e = &k->entries.p[after - 1];
	if (!e->name || addr - e->addr >= FUNCTION_MAX)
		return -ENOENT;
	ap_buf_puts(out, (const char *)k->names.p + e->name);
	if (e->module)
		ap_buf_printf(out, " [%s]", ap_intern_get(k->modules, e->module).p);
	return ap_buf_error(out);
}

int ap_kallsyms_address(const char *path, const char *name, uint64_t *ret)
{
	char line[LINE_MAX_BYTES];
	FILE *f = fopen(path, "re");
	int err = -ENOENT;

	if (!f)
		return -errno;
	while (err == -ENOENT && fgets(line, sizeof(line), f)) {
		struct ap_str rest = ap_str_trim(ap_str_of(line));
		uint64_t address = strtoull(ap_str_cut(&rest, ' ').p, NULL, 16);

		ap_str_cut(&rest, ' ');
		if (!ap_str_is(ap_str_cut(&rest, '\t'), name))
			continue;
		*ret = address;
		err = address ? 0 : -EACCES;
	}
	fclose(f);
	return err;
}

/* The symbol nearest to an address, from below. */
struct nearest {
	uint64_t at;
	struct ap_buf name; /* empty: no data */
};

/* The first of `addrs` that is not below `address`. */
static size_t first_from(const uint64_t *addrs, size_t n, uint64_t address)
{
	return ap_first(addrs, n, a, *a >= address);
}

static void note_nearest(const uint64_t *addrs, size_t n, struct nearest *nearest,
			 struct ap_str line, bool *ret_any)
{
	uint64_t at = strtoull(ap_str_cut(&line, ' ').p, NULL, 16);
	struct ap_str type = ap_str_cut(&line, ' '), name = ap_str_cut(&line, '\t');
	bool data = type.n == 1 && strchr(DATA_TYPES, type.p[0]);
	size_t i = first_from(addrs, n, at);

	*ret_any |= data && ap_str_is(name, ANY_OBJECT);
	if (i == n || at == 0 || at < nearest[i].at || (at == nearest[i].at && !data))
		return;
	nearest[i].at = at;
	ap_buf_clear(&nearest[i].name);
	if (!data)
		return;
	ap_buf_str(&nearest[i].name, name);
	ap_buf_byte(&nearest[i].name, 0);
	ap_buf_str(&nearest[i].name, line); /* the module */
}

static void name_object(const struct nearest *nearest, uint64_t address, struct ap_buf *name)
{
	struct ap_str module = ap_buf_view(&nearest->name), text = ap_str_cut(&module, '\0');
	uint64_t offset = address - nearest->at;

	if (!text.n || offset >= OBJECT_MAX)
		return;
	ap_buf_str(name, text);
	if (offset)
		ap_buf_printf(name, "+0x%llx", (unsigned long long)offset);
	if (module.n)
		ap_buf_printf(name, " %.*s", AP_STR_ARG(module));
}

int ap_kallsyms_objects(const char *path, const uint64_t *addrs, size_t n, struct ap_buf *names)
{
	_cleanup_free_ struct nearest *nearest = calloc(n + 1, sizeof(*nearest));
	char line[LINE_MAX_BYTES];
	bool any = false;
	FILE *f;
	int err = 0;

	if (!nearest)
		return -ENOMEM;
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		note_nearest(addrs, n, nearest, ap_str_trim(ap_str_of(line)), &any);
	fclose(f);
	for (size_t i = 0, k = 0; i < n; i++) {
		if (nearest[i].at)
			k = i;
		if (any)
			name_object(&nearest[k], addrs[i], &names[i]);
		err = err ?: ap_buf_error(&nearest[i].name) ?: ap_buf_error(&names[i]);
	}
	for (size_t i = 0; i < n; i++)
		ap_buf_free(&nearest[i].name);
	return err;
}

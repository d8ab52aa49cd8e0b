/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/gopclntab.h"

#include "unwind/go_file.h"

#define FUNCTIONS_MAX (1u << 24)
#define PAGE_BYTES    4096u
#define PAGES	      64u /* kept, by their number modulo this */
#define FILE_NONE     0xffffffffu
#define INLINE_INDEX  2 /* PCDATA_InlTreeIndex */
#define INLINE_TREE   3 /* FUNCDATA_InlTree, both since Go 1.18 at the latest */

/* Words of struct moduledata: the table's address, text and gofunc. */
#define MODULE_WORDS	 41
#define MODULE_TEXT	 22
#define MODULE_GOFUNC118 38
#define MODULE_GOFUNC120 40

enum version { GO_12, GO_116, GO_118, GO_120 };

/* How the versions differ; places of header words are in words after the first 8 bytes. */
static const struct layout {
	uint32_t magic;
	uint8_t entry_bytes;  /* of addresses in the list of functions and in records */
	uint8_t record_bytes; /* of a function */
	uint8_t names, cu, files, values, functions; /* header words; 0: the table's beginning */
	uint8_t gofunc; /* word of moduledata; 0: inlined calls are not read */
	uint8_t inline_bytes, inline_name, inline_parent, inline_line; /* of an inlined call */
} layouts[] = {
	[GO_12] = {.magic = 0xfffffffb, .entry_bytes = 8, .record_bytes = 40},
	[GO_116] = {.magic = 0xfffffffa,
		    .entry_bytes = 8,
		    .record_bytes = 44,
		    .names = 2,
		    .cu = 3,
		    .files = 4,
		    .values = 5,
		    .functions = 6},
	[GO_118] = {.magic = 0xfffffff0,
		    .entry_bytes = 4,
		    .record_bytes = 40,
		    .names = 3,
		    .cu = 4,
		    .files = 5,
		    .values = 6,
		    .functions = 7,
		    .gofunc = MODULE_GOFUNC118,
		    .inline_bytes = 20,
		    .inline_name = 12,
		    .inline_parent = 16},
	[GO_120] = {.magic = 0xfffffff1,
		    .entry_bytes = 4,
		    .record_bytes = 44,
		    .names = 3,
		    .cu = 4,
		    .files = 5,
		    .values = 6,
		    .functions = 7,
		    .gofunc = MODULE_GOFUNC120,
		    .inline_bytes = 16,
		    .inline_name = 4,
		    .inline_parent = 8,
		    .inline_line = 12},
};

struct page {
	uint64_t number; /* in the file, plus 1; 0: empty */
	uint32_t n;
	uint8_t bytes[PAGE_BYTES];
};

struct ap_gopclntab {
	struct ap_go_file file;
	const struct layout *layout;
	uint64_t at, bytes; /* of the table in the file */
	uint64_t text;	    /* entries are relative to it */
	uint64_t gofunc;    /* virtual address; 0: unknown */
	uint32_t n;
	uint8_t quantum;			      /* addresses advance by this */
	uint64_t names, cu, files, values, functions; /* places in the table */
	uint64_t list; /* of functions: entries and places of their records */
	struct page *pages;
};

static const struct page *page_of(struct ap_gopclntab *g, uint64_t number)
{
	struct page *p = &g->pages[number % PAGES];
	uint64_t offset = number * PAGE_BYTES;

	if (p->number == number + 1)
		return p;
	if (offset >= g->file.elf.file_bytes)
		return NULL;
	p->n = (uint32_t)AP_MIN((uint64_t)PAGE_BYTES, g->file.elf.file_bytes - offset);
	p->number = ap_unwind_elf_bytes(&g->file.elf, offset, p->bytes, p->n) == 0 ? number + 1 : 0;
	return p->number ? p : NULL;
}

/* Reads at a place in the file. */
static bool get_raw(struct ap_gopclntab *g, uint64_t offset, void *to, size_t n)
{
	uint8_t *out = to;

	while (n > 0) {
		const struct page *p = page_of(g, offset / PAGE_BYTES);
		size_t from = offset % PAGE_BYTES, k;

		if (!p || from >= p->n)
			return false;
		k = AP_MIN(n, p->n - from);
		memcpy(out, p->bytes + from, k);
		out += k;
		offset += k;
		n -= k;
	}
	return true;
}

/* Reads at a place in the table. */
static bool get(struct ap_gopclntab *g, uint64_t at, void *to, size_t n)
{
	return ap_range_ok(at, n, g->bytes) && get_raw(g, g->at + at, to, n);
}

static bool get_u32(struct ap_gopclntab *g, uint64_t at, uint32_t *ret)
{
	return get(g, at, ret, sizeof(*ret));
}

static const struct layout *layout_of(const uint8_t header[16])
{
	uint32_t magic;

	memcpy(&magic, header, sizeof(magic));
	/* Two zeros, the least length of an instruction, and that of a pointer. */
	if (header[4] || header[5] || (header[6] != 1 && header[6] != 4) || header[7] != 8)
		return NULL;
	for (size_t i = 0; i < AP_ARRAY_SIZE(layouts); i++)
		if (layouts[i].magic == magic)
			return &layouts[i];
	return NULL;
}

static bool is_header(const void *arg, const uint8_t *p)
{
	uint64_t n;

	(void)arg;
	memcpy(&n, p + 8, sizeof(n));
	return layout_of(p) && n > 0 && n <= FUNCTIONS_MAX;
}

/* Where the table has no section of its own, its segment's end bounds it. */
static int find_table(struct ap_gopclntab *g, uint64_t *ret_vaddr)
{
	const struct ap_unwind_section *s = &g->file.elf.gopclntab;
	int err;

	g->at = s->offset;
	g->bytes = s->n;
	if (s->n)
		return ap_go_file_vaddr(&g->file, s->offset, ret_vaddr);
	if (!g->file.elf.may_be_go)
		return -ENODATA;
	err = ap_go_file_scan(&g->file, is_header, NULL, ret_vaddr);
	return err < 0 ? err : ap_go_file_offset(&g->file, *ret_vaddr, &g->at, &g->bytes);
}

struct module {
	uint64_t table, names;
};

static bool is_module(const void *arg, const uint8_t *p)
{
	return memcmp(p, arg, sizeof(struct module)) == 0;
}

/* The runtime's description of the program begins with pointers to the table and to its names. */
static int read_module(struct ap_gopclntab *g, uint64_t vaddr)
{
	const struct module m = {vaddr, vaddr + g->names};
	uint64_t words[MODULE_WORDS], at;
	int err = ap_go_file_find_pair(&g->file, m.table, m.names, &at);

	if (err == -ENODATA)
		err = ap_go_file_scan(&g->file, is_module, &m, &at);
	if (err == 0)
		err = ap_go_file_words(&g->file, at, words, MODULE_WORDS);
	if (err < 0)
		return err;
	g->text = words[MODULE_TEXT];
	g->gofunc = words[g->layout->gofunc];
	return 0;
}

static bool header_word(struct ap_gopclntab *g, uint8_t word, uint64_t *ret)
{
	*ret = 0;
	return word == 0 || (get(g, 8 + 8ull * word, ret, sizeof(*ret)) && *ret < g->bytes);
}

static int read_header(struct ap_gopclntab *g, uint64_t vaddr)
{
	const struct layout *l;
	uint8_t header[16];
	uint64_t n, list_bytes;

	if (!get(g, 0, header, sizeof(header)) || !(l = layout_of(header)))
		return -ENODATA;
	g->layout = l;
	g->quantum = header[6];
	memcpy(&n, header + 8, sizeof(n));
	if (n == 0 || n > FUNCTIONS_MAX || !header_word(g, l->names, &g->names) ||
	    !header_word(g, l->cu, &g->cu) || !header_word(g, l->files, &g->files) ||
	    !header_word(g, l->values, &g->values) || !header_word(g, l->functions, &g->functions))
		return -ENODATA;
	g->n = (uint32_t)n;
	g->list = l->functions ? g->functions : sizeof(header);
	list_bytes = (2 * n + 1) * l->entry_bytes;
	if (!ap_range_ok(g->list, list_bytes, g->bytes))
		return -ENODATA;
	if (!l->functions) {
		uint32_t files;

		if (!get_u32(g, g->list + list_bytes, &files))
			return -ENODATA;
		g->files = files;
	}
	if (!l->gofunc)
		return 0;
	/* Up to Go 1.25 the header has the start of the text too, unless it may lie anywhere. */
	if (read_module(g, vaddr) == -ENOMEM)
		return -ENOMEM;
	if (!g->text && !get(g, 24, &g->text, sizeof(g->text)))
		return -ENODATA;
	return g->text ? 0 : -ENODATA;
}

int ap_gopclntab_open(int fd, struct ap_gopclntab **ret)
{
	_cleanup_(ap_cleanup_gopclntab) struct ap_gopclntab *g = calloc(1, sizeof(*g));
	uint64_t vaddr = 0;
	int err;

	if (!g)
		return -ENOMEM;
	err = ap_go_file_open(fd, &g->file);
	if (err < 0)
		return err;
	err = find_table(g, &vaddr);
	if (err == 0 && !(g->pages = calloc(PAGES, sizeof(*g->pages))))
		err = -ENOMEM;
	if (err == 0)
		err = read_header(g, vaddr);
	if (err == 0)
		*ret = AP_TAKE_PTR(g);
	return err == -EBADMSG || err == -ENOEXEC ? -ENODATA : err;
}

void ap_gopclntab_free(struct ap_gopclntab *g)
{
	if (!g)
		return;
	free(g->pages);
	free(g);
}

uint32_t ap_gopclntab_count(const struct ap_gopclntab *g)
{
	return g->n;
}

size_t ap_gopclntab_code(struct ap_gopclntab *g, uint64_t address, void *p, size_t n)
{
	uint64_t offset, bytes;

	if (ap_go_file_offset(&g->file, address, &offset, &bytes) < 0)
		return 0;
	n = AP_MIN(n, bytes);
	return get_raw(g, offset, p, n) ? n : 0;
}

/* Item `i` of the list: entries and places of records take turns, an entry comes last. */
static bool list_item(struct ap_gopclntab *g, uint64_t i, uint64_t *ret)
{
	*ret = 0;
	return get(g, g->list + i * g->layout->entry_bytes, ret, g->layout->entry_bytes);
}

int ap_gopclntab_function(struct ap_gopclntab *g, uint32_t i, struct ap_go_function *ret)
{
	const struct layout *l = g->layout;
	uint32_t w[11] = {0};
	uint64_t entry, next, at, own = 0;
	const uint8_t *tail;
	const uint32_t *k;

	if (i >= g->n || !list_item(g, 2ull * i, &entry) || !list_item(g, 2ull * i + 1, &at) ||
	    !list_item(g, 2ull * i + 2, &next) || at > g->bytes ||
	    !get(g, g->functions + at, w, l->record_bytes))
		return -EBADMSG;
	memcpy(&own, w, l->entry_bytes);
	k = w + l->entry_bytes / 4;
	tail = (const uint8_t *)w + l->record_bytes - 4;
	entry += g->text;
	next += g->text;
	if (own + g->text != entry || next <= entry)
		return -EBADMSG;
	*ret = (struct ap_go_function){
		.entry = entry,
		.end = next,
		.at = g->functions + at,
		.name = k[0],
		.pcsp = k[3],
		.pcfile = k[4],
		.pcln = k[5],
		.n_pcdata = k[6],
		.cu = l->cu ? k[7] : 0,
		.start_line = l->magic == layouts[GO_120].magic ? (int32_t)k[8] : 0,
		.flags = l->gofunc ? tail[1] : AP_GO_F_ASSEMBLY,
		.n_funcdata = tail[3],
	};
	return 0;
}

int ap_gopclntab_find(struct ap_gopclntab *g, uint64_t address, struct ap_go_function *ret)
{
	uint32_t low = 0, high = g->n;
	uint64_t entry;
	int err;

	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (!list_item(g, 2ull * middle, &entry))
			return -ENOENT;
		if (g->text + entry <= address)
			low = middle;
		else
			high = middle;
	}
	err = ap_gopclntab_function(g, low, ret);
	if (err < 0)
		return err;
	return address >= ret->entry && address < ret->end ? 0 : -ENOENT;
}

static int get_text(struct ap_gopclntab *g, uint64_t at, struct ap_buf *out)
{
	char c = 0;

	for (uint32_t n = 0; n < AP_GO_NAME_MAX; n++) {
		if (!get(g, at + n, &c, 1))
			return -EBADMSG;
		if (c == 0)
			break;
		ap_buf_byte(out, (uint8_t)c);
	}
	return ap_buf_error(out);
}

int ap_gopclntab_name(struct ap_gopclntab *g, uint32_t name, struct ap_buf *out)
{
	return get_text(g, g->names + name, out);
}

bool ap_gopclntab_is_named(struct ap_gopclntab *g, uint32_t name, struct ap_str want)
{
	char c[64];

	return want.n < sizeof(c) && get(g, g->names + name, c, want.n + 1) &&
	       memcmp(c, want.p, want.n) == 0 && c[want.n] == 0;
}

int ap_gopclntab_file(struct ap_gopclntab *g, uint32_t file, struct ap_buf *out)
{
	return file ? get_text(g, (g->layout->cu ? g->files : 0) + file - 1, out) : -EBADMSG;
}

void ap_go_values_begin(struct ap_go_values *v, struct ap_gopclntab *g,
			const struct ap_go_function *f, uint32_t table)
{
	*v = (struct ap_go_values){
		.g = g,
		.at = table ? g->values + table : 0,
		.end = f->entry,
		.limit = f->end,
		.value = -1,
	};
}

static bool values_varint(struct ap_go_values *v, uint32_t *ret)
{
	uint32_t n = 0;
	uint8_t byte;

	*ret = 0;
	do {
		if (!get(v->g, v->at, &byte, 1))
			return false;
		v->at++;
		*ret |= (uint32_t)(byte & 0x7f) << n;
		n += 7;
	} while ((byte & 0x80) && n < 32);
	return !(byte & 0x80);
}

bool ap_go_values_next(struct ap_go_values *v)
{
	uint32_t change, distance;

	if (!v->at || v->end >= v->limit || !values_varint(v, &change) ||
	    (change == 0 && v->begun) || !values_varint(v, &distance) || distance == 0)
		return false;
	v->begun = true;
	v->value = (int32_t)((uint32_t)v->value + (-(change & 1) ^ (change >> 1)));
	v->begin = v->end;
	v->end = AP_MIN(v->begin + (uint64_t)distance * v->g->quantum, v->limit);
	return true;
}

static int32_t value_at(struct ap_gopclntab *g, const struct ap_go_function *f, uint32_t table,
			uint64_t address)
{
	struct ap_go_values v;

	ap_go_values_begin(&v, g, f, table);
	while (ap_go_values_next(&v))
		if (address < v.end)
			return v.value;
	return -1;
}

static uint32_t file_of(struct ap_gopclntab *g, const struct ap_go_function *f, int32_t number)
{
	uint64_t at = g->layout->cu ? g->cu + ((uint64_t)f->cu + (uint32_t)number) * 4
				    : g->files + (uint64_t)(uint32_t)number * 4;
	uint32_t file;

	return number >= 0 && get_u32(g, at, &file) && file != FILE_NONE ? file + 1 : 0;
}

/* The list of what was inlined into `f`, in the file; 0: none. */
static uint64_t inline_tree(struct ap_gopclntab *g, const struct ap_go_function *f)
{
	uint64_t at = f->at + g->layout->record_bytes + 4ull * f->n_pcdata + 4ull * INLINE_TREE;
	uint64_t offset, bytes;
	uint32_t distance;

	if (!g->gofunc || f->n_pcdata <= INLINE_INDEX || f->n_funcdata <= INLINE_TREE ||
	    !get_u32(g, at, &distance) || distance == FILE_NONE)
		return 0;
	return ap_go_file_offset(&g->file, g->gofunc + distance, &offset, &bytes) == 0 ? offset : 0;
}

/* Turns a level into the call inlined there, number `i` of the tree; `*address` becomes that of the
 * place it was inlined at. */
static bool inlined_call(struct ap_gopclntab *g, const struct ap_go_function *f, uint64_t tree,
			 int32_t i, struct ap_go_level *level, uint64_t *address)
{
	const struct layout *l = g->layout;
	uint64_t call = tree + (uint64_t)(uint32_t)i * l->inline_bytes;
	uint32_t parent;

	level->start_line = 0;
	if (!get_raw(g, call + l->inline_name, &level->name, 4) ||
	    !get_raw(g, call + l->inline_parent, &parent, 4) ||
	    (l->inline_line && !get_raw(g, call + l->inline_line, &level->start_line, 4)))
		return false;
	*address = f->entry + parent;
	return true;
}

static struct ap_go_level level_at(struct ap_gopclntab *g, const struct ap_go_function *f,
				   uint64_t address)
{
	return (struct ap_go_level){
		.name = f->name,
		.file = file_of(g, f, value_at(g, f, f->pcfile, address)),
		.line = AP_MAX(value_at(g, f, f->pcln, address), 0),
		.start_line = f->start_line,
	};
}

int ap_gopclntab_levels(struct ap_gopclntab *g, uint64_t address,
			struct ap_go_level ret[AP_GO_INLINE_MAX])
{
	struct ap_go_function f;
	uint32_t indices = 0;
	uint64_t tree, at = address;
	int err = ap_gopclntab_find(g, address, &f);

	if (err < 0)
		return err;
	tree = inline_tree(g, &f);
	if (tree && !get_u32(g, f.at + g->layout->record_bytes + 4ull * INLINE_INDEX, &indices))
		indices = 0;
	for (int n = 0; n < (int)AP_GO_INLINE_MAX; n++) {
		int32_t i = value_at(g, &f, indices, at);

		ret[n] = level_at(g, &f, at);
		if (i < 0)
			return n + 1;
		if (!inlined_call(g, &f, tree, i, &ret[n], &at))
			break;
	}
	ret[0] = level_at(g, &f, address);
	return 1;
}

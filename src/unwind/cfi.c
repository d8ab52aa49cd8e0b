/* SPDX-License-Identifier: Apache-2.0 */
/* A linker leaves a few distinct CIEs in .eh_frame, but one per compilation unit, all alike, in
 * .debug_frame: each is parsed once by content, and only its place is noted every time. FDEs come
 * after their CIE, so that one pass in order is enough. */
#include "unwind/cfi.h"

#include "base/intern.h"
#include "base/vec.h"
#include "unwind/cfa.h"
#include "unwind/encoding.h"

enum {
	CIE_BYTES_MAX = 4096,
	CIES_MAX = 4096,     /* distinct ones */
	PLACES_MAX = 1 << 20 /* of CIEs */
};

/* Lengths in the first four bytes of an entry that are none. */
#define RESERVED 0xfffffff0u
#define WIDE	 0xffffffffu /* 64-bit DWARF: the length follows */

struct entry {
	uint64_t header, n; /* bytes of the length, and after it */
	size_t id_bytes;
};

/* Where a CIE begins in the section. */
struct place {
	uint64_t offset;
	uint32_t cie;
};

struct ap_cfi {
	struct ap_cfi_options o;
	struct ap_table_builder *b;
	uint64_t offset; /* in the section, of what is fed next */
	struct ap_intern *bodies;
	AP_VEC(struct ap_cie) cies; /* by the id of their body; code_align 0: not understood */
	AP_VEC(struct place) places;
	uint32_t last; /* in `places`: the one used last */
};

struct ap_cfi *ap_cfi_new(const struct ap_cfi_options *o, struct ap_table_builder *b)
{
	_cleanup_(ap_cleanup_cfi) struct ap_cfi *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->o = *o;
	c->b = b;
	c->bodies = ap_intern_new();
	/* Id 0 is the empty body's. */
	if (!c->bodies || ap_vec_push(&c->cies, (struct ap_cie){0}) < 0)
		return NULL;
	return AP_TAKE_PTR(c);
}

void ap_cfi_free(struct ap_cfi *c)
{
	if (!c)
		return;
	ap_intern_free(c->bodies);
	ap_vec_free(&c->cies);
	ap_vec_free(&c->places);
	free(c);
}

/* The address of the cursor, from that of its end. */
static uint64_t address(const struct ap_cursor *c, uint64_t end)
{
	return end - ap_cursor_left(c);
}

/* The letters of an augmentation and their data. False: a letter that nobody knows. */
static bool parse_augmentation(struct ap_cie *cie, const char *letters, struct ap_cursor *c,
			       uint64_t end)
{
	uint64_t unused;
	uint8_t encoding;

	for (; *letters; letters++) {
		switch (*letters) {
		case 'L':
			ap_cursor_u8(c);
			break;
		case 'P':
			encoding = ap_cursor_u8(c);
			if (encoding != AP_PE_OMIT)
				ap_encoded_pointer(c, encoding, address(c, end), 0, &unused);
			break;
		case 'R':
			cie->encoding = ap_cursor_u8(c);
			break;
		case 'S':
			cie->signal = true;
			break;
		case 'B': /* arm64: return addresses are signed */
		case 'G': /* arm64: memory tagging */
			break;
		default:
			return false;
		}
	}
	return true;
}

/* `c` is over what follows the CIE's id, `end` the address of its end. False: not understood. */
static bool parse_cie(struct ap_cursor c, uint64_t end, struct ap_cie *cie)
{
	uint8_t version = ap_cursor_u8(&c);
	const char *letters = (const char *)c.p;
	const uint8_t *nul = memchr(c.p, 0, ap_cursor_left(&c)), *data;
	struct ap_cursor known;
	uint64_t n;

	if (!nul || (version != 1 && version != 3 && version != 4))
		return false;
	ap_cursor_take(&c, (uint64_t)(nul + 1 - c.p));
	cie->augmented = letters[0] == 'z';
	if (strcmp(letters, "eh") == 0) {
		ap_cursor_take(&c, sizeof(uint64_t));
		letters = "";
	}
	/* Addresses of another size, or in segments, are of another machine. */
	if (version == 4 && ap_cursor_uint(&c, 2) != sizeof(uint64_t))
		return false;
	cie->code_align = ap_cursor_uleb(&c);
	cie->data_align = ap_cursor_sleb(&c);
	cie->ra = version == 1 ? ap_cursor_u8(&c) : ap_cursor_uleb(&c);
	if (cie->augmented) {
		/* What follows an unknown letter can be left alone: it is known where it ends. */
		n = ap_cursor_uleb(&c);
		data = ap_cursor_take(&c, n);
		if (!data)
			return false;
		known = ap_cursor_over(data, (size_t)n);
		parse_augmentation(cie, letters + 1, &known, address(&c, end));
	} else if (!parse_augmentation(cie, letters, &c, end)) {
		return false;
	}
	return !c.bad && cie->code_align > 0 && ap_cfa_run_initial(cie, c);
}

/* `offset`: of the entry, `at`: the address of `p`, what follows the id. */
static int add_cie(struct ap_cfi *c, uint64_t offset, uint64_t at, const uint8_t *p, size_t n)
{
	struct ap_cie cie = {0};
	uint8_t key[CIE_BYTES_MAX + 1];
	uint32_t id;
	bool is_new;
	int err;

	if (n > CIE_BYTES_MAX || c->places.n >= PLACES_MAX || c->cies.n >= CIES_MAX)
		return 0;
	/* Aligned pointers make the meaning of the bytes depend on where they are. */
	key[0] = at & 7;
	memcpy(key + 1, p, n);
	err = ap_intern_add(c->bodies, (struct ap_str){(char *)key, n + 1}, &id, &is_new);
	if (err < 0)
		return err;
	if (is_new && !parse_cie(ap_cursor_over(p, n), at + n, &cie))
		cie = (struct ap_cie){0};
	if (is_new && ap_vec_push(&c->cies, cie) < 0)
		return -ENOMEM;
	return ap_vec_push(&c->places, ((struct place){offset, id}));
}

static const struct ap_cie *find_cie(struct ap_cfi *c, uint64_t offset)
{
	size_t i = c->last;

	if (i >= c->places.n || c->places.p[i].offset != offset)
		i = ap_first(c->places.p, c->places.n, place, place->offset >= offset);
	if (i >= c->places.n || c->places.p[i].offset != offset)
		return NULL;
	c->last = (uint32_t)i;
	return &c->cies.p[c->places.p[i].cie];
}

/* `at`: the address of `p`, what follows the pointer to the CIE. */
static int add_fde(struct ap_cfi *c, const struct ap_cie *cie, uint64_t at, const uint8_t *p,
		   size_t n)
{
	struct ap_cursor cur = ap_cursor_over(p, n);
	uint64_t begin, bytes, end;
	int err;

	if (!ap_encoded_pointer(&cur, cie->encoding, at, 0, &begin))
		return 0;
	bytes = ap_encoded_number(&cur, cie->encoding);
	if (cie->augmented)
		ap_cursor_take(&cur, ap_cursor_uleb(&cur));
	/* Nothing is at address 0 but the functions that a linker has thrown away. */
	if (cur.bad || begin == 0 || __builtin_add_overflow(begin, bytes, &end))
		return 0;
	err = ap_table_builder_function(c->b, begin, end);
	if (err == 0)
		err = ap_cfa_run(cie, cur, address(&cur, at + n), begin, end, c->b);
	return err == -EINVAL ? 0 : err;
}

/* The header of an entry at the cursor. 0; 1: no more entries; -EAGAIN: not whole. */
static int read_header(const struct ap_cfi *c, struct ap_cursor *cur, struct entry *ret)
{
	uint64_t n = ap_cursor_uint(cur, 4);

	*ret = (struct entry){.id_bytes = 4};
	if (cur->bad)
		return -EAGAIN;
	if (n == WIDE) {
		n = ap_cursor_uint(cur, 8);
		ret->id_bytes = c->o.eh ? 4 : 8;
	} else if (n >= RESERVED || (n == 0 && c->o.stop_at_zero)) {
		return 1;
	}
	ret->n = n;
	return cur->bad ? -EAGAIN : 0;
}

static int add_entry(struct ap_cfi *c, const struct entry *e, uint64_t offset, const uint8_t *p)
{
	struct ap_cursor cur = ap_cursor_over(p, (size_t)e->n);
	uint64_t id = ap_cursor_uint(&cur, e->id_bytes), body = offset + e->header;
	uint64_t cie_id = c->o.eh ? 0 : e->id_bytes == 8 ? UINT64_MAX : UINT32_MAX;
	uint64_t at = c->o.vaddr + body + e->id_bytes;
	const struct ap_cie *cie;

	if (cur.bad)
		return 0;
	if (id == cie_id)
		return add_cie(c, offset, at, cur.p, ap_cursor_left(&cur));
	cie = find_cie(c, c->o.eh ? body - id : id);
	return cie && cie->code_align > 0 ? add_fde(c, cie, at, cur.p, ap_cursor_left(&cur)) : 0;
}

int ap_cfi_feed(struct ap_cfi *c, const uint8_t *p, size_t n, uint64_t *ret_used)
{
	struct ap_cursor cur = ap_cursor_over(p, n);
	uint64_t used = 0;
	int err = 0;

	while (err == 0 && used < n) {
		struct entry e;
		const uint8_t *begin = cur.p;

		err = read_header(c, &cur, &e);
		if (err != 0)
			break;
		e.header = (uint64_t)(cur.p - begin);
		if (e.n > AP_CFI_ENTRY_MAX) {
			err = __builtin_add_overflow(used + e.header, e.n, &used);
			ap_cursor_take(&cur, e.n);
			continue;
		}
		begin = ap_cursor_take(&cur, e.n);
		if (!begin)
			break;
		if (e.n > 0)
			err = add_entry(c, &e, c->offset + used, begin);
		used += e.header + e.n;
	}
	c->offset += used;
	*ret_used = used;
	return err == -EAGAIN ? 0 : err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Functions and their rows are kept as they come, the rows behind each other in memory and the
 * functions with the number of their first. At the end the functions are sorted and walked twice:
 * once to count the rows that remain, which decides the size of the pages, and once to write them. */
#include "unwind/builder.h"

#include <string.h>

#include "base/vec.h"

enum {
	SLOTS = 2 * AP_TABLE_RULES_MAX,
	/* A page has at least so many rows on average, and at most twice as many: the directory is small
	 * beside them, and a search touches one or two cache lines. */
	ROWS_PER_PAGE = 12,
	/* Of the largest size: what a file with code at both ends of nowhere can cost. */
	PAGES_MAX = 1 << 16,
	/* Between functions there is less than this of padding. */
	PADDING = 16,
	FUNCTIONS_MAX = 4 << 20,
	OFFSET_BITS_MAX = 40, /* of code in the file: its page is a 32-bit number */
};

struct function {
	uint64_t begin; /* file offset */
	uint32_t bytes, first_row;
};

struct row {
	uint32_t delta; /* from the function's beginning */
	uint16_t rule;
	uint16_t last; /* of its function */
};

struct ap_table_builder {
	struct ap_unwind_segment *segments;
	uint32_t n_segments, last_segment;
	uint64_t vaddr, end; /* of the function that rows belong to; end 0: there is none */
	bool cut;
	AP_VEC(struct function) functions;
	AP_VEC(struct row) rows;
	AP_VEC(struct ap_rule) rules;
	uint16_t slots[SLOTS]; /* rule numbers by hash; 0: free */
};

/* Takes the rows in the order of the file and drops those that say nothing new. */
struct sink {
	uint32_t *words; /* NULL: only counted */
	uint32_t n_rows, n_unsupported, rule;
	uint64_t first_page;
	uint32_t shift, n_pages, filled; /* entries of the directory */
};

struct ap_table_builder *ap_table_builder_new(const struct ap_unwind_segment *segments, uint32_t n)
{
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->segments = calloc(AP_MAX(n, 1u), sizeof(*segments));
	if (!b->segments)
		return NULL;
	for (uint32_t i = 0; i < n; i++) {
		const struct ap_unwind_segment *s = &segments[i];
		uint64_t end;

		if (s->bytes > 0 && !__builtin_add_overflow(s->offset, s->bytes, &end) &&
		    !__builtin_add_overflow(s->vaddr, s->bytes, &end))
			b->segments[b->n_segments++] = *s;
	}
	return AP_TAKE_PTR(b);
}

static void reset(struct ap_table_builder *b)
{
	ap_vec_free(&b->functions);
	ap_vec_free(&b->rows);
	ap_vec_free(&b->rules);
	memset(b->slots, 0, sizeof(b->slots));
	b->end = 0;
	b->cut = false;
}

void ap_table_builder_free(struct ap_table_builder *b)
{
	if (!b)
		return;
	reset(b);
	free(b->segments);
	free(b);
}

static const struct ap_unwind_segment *find_segment(struct ap_table_builder *b, uint64_t vaddr)
{
	for (uint32_t i = 0; i < b->n_segments; i++) {
		uint32_t k = (b->last_segment + i) % b->n_segments;
		const struct ap_unwind_segment *s = &b->segments[k];

		if (vaddr >= s->vaddr && vaddr - s->vaddr < s->bytes) {
			b->last_segment = k;
			return s;
		}
	}
	return NULL;
}

int ap_table_builder_function(struct ap_table_builder *b, uint64_t begin, uint64_t end)
{
	const struct ap_unwind_segment *s = find_segment(b, begin);
	uint64_t bytes;

	b->end = 0;
	if (begin >= end)
		return -EINVAL;
	if (!s)
		return 0;
	bytes = AP_MIN(end - begin, s->bytes - (begin - s->vaddr));
	bytes = AP_MIN(bytes, UINT32_MAX);
	if (b->functions.n >= FUNCTIONS_MAX || b->rows.n >= AP_TABLE_ROWS_MAX) {
		b->cut = true;
		return -EFBIG;
	}
	if (ap_vec_push(&b->functions, ((struct function){s->offset + (begin - s->vaddr),
							  (uint32_t)bytes, (uint32_t)b->rows.n})) <
	    0)
		return -ENOMEM;
	b->vaddr = begin;
	b->end = begin + bytes;
	/* In force should no row come. */
	return ap_vec_push(&b->rows, ((struct row){.last = 1}));
}

static size_t hash(const struct ap_rule *r)
{
	uint64_t w[2];

	memcpy(w, r, sizeof(w));
	w[0] = (w[0] ^ (w[1] >> 32 | w[1] << 32)) * 0x9e3779b97f4a7c15u;
	return (size_t)(w[0] >> 40);
}

/* The rule's number. Past the limit of distinct ones it is that of AP_CFA_UNSUPPORTED, for which the
 * last number is kept. -ENOMEM. */
static int rule_number(struct ap_table_builder *b, const struct ap_rule *rule)
{
	static const struct ap_rule none, unsupported = {.cfa = AP_CFA_UNSUPPORTED};
	size_t at = hash(rule) % SLOTS;
	int err = b->rules.n == 0 ? ap_vec_push(&b->rules, none) : 0;

	if (err < 0 || memcmp(rule, &none, sizeof(none)) == 0)
		return err < 0 ? err : (int)AP_RULE_NONE;
	while (b->slots[at]) {
		if (memcmp(&b->rules.p[b->slots[at]], rule, sizeof(*rule)) == 0)
			return b->slots[at];
		at = (at + 1) % SLOTS;
	}
	if (b->rules.n >= AP_TABLE_RULES_MAX - 1 &&
	    memcmp(rule, &unsupported, sizeof(*rule)) != 0) {
		b->cut = true;
		return rule_number(b, &unsupported);
	}
	if (ap_vec_push(&b->rules, *rule) < 0)
		return -ENOMEM;
	b->slots[at] = (uint16_t)(b->rules.n - 1);
	return b->slots[at];
}

int ap_table_builder_row(struct ap_table_builder *b, uint64_t address, const struct ap_rule *rule)
{
	struct row *before = b->rows.n ? &b->rows.p[b->rows.n - 1] : NULL;
	uint64_t delta = address - b->vaddr;
	int number;

	if (!b->end)
		return 0;
	if (address < b->vaddr || delta < before->delta)
		return -EINVAL;
	if (address >= b->end)
		return 0;
	number = rule_number(b, rule);
	if (number < 0)
		return number;
	if (delta == before->delta) {
		before->rule = (uint16_t)number;
		return 0;
	}
	if (before->rule == number)
		return 0;
	if (b->rows.n >= AP_TABLE_ROWS_MAX) {
		b->functions.p[b->functions.n - 1].bytes = (uint32_t)delta;
		b->end = 0;
		b->cut = true;
		return -EFBIG;
	}
	before->last = 0;
	return ap_vec_push(&b->rows, ((struct row){(uint32_t)delta, (uint16_t)number, 1}));
}

bool ap_table_builder_covers(struct ap_table_builder *b, uint64_t address)
{
	const struct ap_unwind_segment *s = find_segment(b, address);
	uint64_t offset;

	if (!s)
		return false;
	offset = s->offset + (address - s->vaddr);
	AP_VEC_FOREACH(&b->functions, f)
		if (offset >= f->begin && offset - f->begin < f->bytes)
			return true;
	return false;
}

/* In the order of the file; of those that begin at one place, the one that came first. */
static int compare(const void *a, const void *b)
{
	const struct function *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (x->first_row > y->first_row) - (x->first_row < y->first_row);
}

static void sort(struct ap_table_builder *b)
{
	size_t i = 1;

	while (i < b->functions.n && compare(&b->functions.p[i - 1], &b->functions.p[i]) < 0)
		i++;
	if (i < b->functions.n)
		qsort(b->functions.p, b->functions.n, sizeof(*b->functions.p), compare);
}

static void put(struct sink *s, uint64_t offset, uint32_t rule, bool unsupported)
{
	if (rule == s->rule)
		return;
	s->rule = rule;
	if (s->words) {
		uint64_t page = (offset >> s->shift) - s->first_page;

		while (s->filled <= page && s->filled <= s->n_pages)
			s->words[s->filled++] = s->n_pages + 1 + s->n_rows;
		s->words[s->n_pages + 1 + s->n_rows] = (uint32_t)(offset & 0xffff) | rule << 16;
	}
	s->n_rows++;
	s->n_unsupported += unsupported;
}

/* What a function leaves free before the next one is code that nobody describes, or padding, which
 * never runs: there the rule goes on, which saves its row. */
static bool is_padding(uint64_t begin, uint64_t end)
{
	return end - begin < PADDING && end % PADDING == 0;
}

/* Puts all rows below `limit` and tells where the last function ends. */
static uint64_t walk(const struct ap_table_builder *b, uint64_t limit, struct sink *s)
{
	const struct function *f = b->functions.p, *all_end = f + b->functions.n, *next;
	uint64_t before = 0, end;

	for (; f < all_end && f->begin < limit; f = next) {
		for (next = f; next < all_end && next->begin == f->begin;)
			next++;
		end = AP_MIN(f->begin + f->bytes, limit);
		if (next < all_end)
			end = AP_MIN(end, next->begin);
		if (!is_padding(before, f->begin))
			put(s, before, AP_RULE_NONE, false);
		for (const struct row *r = &b->rows.p[f->first_row]; f->begin + r->delta < end;
		     r++) {
			put(s, f->begin + r->delta, r->rule,
			    b->rules.p[r->rule].cfa == AP_CFA_UNSUPPORTED);
			if (r->last)
				break;
		}
		before = end;
	}
	put(s, before, AP_RULE_NONE, false);
	return before;
}

/* The smallest pages that have enough rows. */
static uint32_t choose_shift(uint64_t begin, uint64_t end, uint32_t n_rows, uint32_t *ret_pages)
{
	uint32_t shift = AP_PAGE_SHIFT_MIN;
	uint64_t pages;

	for (;; shift++) {
		pages = ((end - 1) >> shift) - (begin >> shift) + 1;
		if (shift == AP_PAGE_SHIFT_MAX || pages * ROWS_PER_PAGE <= n_rows)
			break;
	}
	*ret_pages = (uint32_t)pages;
	return shift;
}

static int make_table(struct ap_table_builder *b, struct ap_unwind_table *t)
{
	uint64_t begin = b->functions.p[0].begin, end;
	uint64_t limit = ((begin >> AP_PAGE_SHIFT_MAX) + PAGES_MAX) << AP_PAGE_SHIFT_MAX;
	struct sink s = {0};

	limit = AP_MIN(limit, 1ull << OFFSET_BITS_MAX);
	end = walk(b, limit, &s);
	if (s.n_rows == 0)
		return -ENODATA;
	t->shift = choose_shift(begin, end, s.n_rows, &t->n_pages);
	t->first_page = (uint32_t)(begin >> t->shift);
	t->n_rows = s.n_rows;
	t->n_unsupported = s.n_unsupported;
	t->n_words = t->n_pages + 1 + t->n_rows;
	t->words = calloc(t->n_words, sizeof(*t->words));
	if (!t->words)
		return -ENOMEM;
	s = (struct sink){.words = t->words,
			  .first_page = t->first_page,
			  .shift = t->shift,
			  .n_pages = t->n_pages};
	walk(b, limit, &s);
	while (s.filled <= s.n_pages)
		s.words[s.filled++] = s.n_pages + 1 + s.n_rows;
	t->n_rules = (uint32_t)b->rules.n;
	t->rules = b->rules.p;
	b->rules.p = NULL;
	t->n_functions = (uint32_t)b->functions.n;
	t->cut = b->cut || b->functions.p[b->functions.n - 1].begin >= limit;
	return 0;
}

int ap_table_builder_finish(struct ap_table_builder *b, struct ap_unwind_table **ret)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = calloc(1, sizeof(*t));
	int err = -ENODATA;

	if (!t)
		return -ENOMEM;
	if (b->functions.n > 0 && b->rules.n > 0) {
		sort(b);
		err = make_table(b, t);
	}
	reset(b);
	if (err == 0)
		*ret = AP_TAKE_PTR(t);
	return err;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* readelf_check FILE <OUTPUT: compares the unwind table of a file with what `readelf -wF FILE` says, at
 * the first and the last address of each of its rows, and beside each function, where there must be
 * nothing. Prints one JSON line of counts, and the first differences to standard error. 0: no
 * difference, 1: differences, 2: no table. */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/vec.h"
#include "unwind/arch.h"
#include "unwind/sections.h"
#include "unwind/table.h"

enum {
	COLUMNS_MAX = 40,
	TEXT = 32,
	SHOWN_MAX = 10,
	PADDING = 16,
	ENTRY_BYTES = 64,
	INIT_BYTES_MAX = 128
};

/* Of a row: the registers that tables know. */
enum column { CFA, RA, FP, TRACKED, COLUMNS };

struct expected {
	char text[COLUMNS][TEXT]; /* "" where readelf has no such column */
};

struct range {
	uint64_t begin, end;
};

struct cie {
	uint64_t offset;
	struct expected initial;
};

static struct check {
	const struct ap_unwind_table *table;
	struct ap_unwind_elf elf;
	int columns[COLUMNS_MAX];
	uint32_t n_columns;
	AP_VEC(struct cie) cies;
	AP_VEC(struct range) ranges;
	size_t n_sorted; /* ranges of sections before this one, sorted */
	/* The entry being read, and its row that is not compared yet. */
	uint64_t begin, end, row_at, cie_offset;
	bool in_fde, in_cie, has_row, skipped;
	struct expected row;
	uint64_t rows, functions, differences, unsupported, fp_lost, gaps, outside;
} c;

static const char *const names[] = {"rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp",
				    "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};

static const struct ap_rule *rule_at(uint64_t vaddr)
{
	for (uint32_t i = 0; i < c.elf.n_segments; i++) {
		const struct ap_unwind_segment *s = &c.elf.segments[i];

		if (vaddr >= s->vaddr && vaddr - s->vaddr < s->bytes)
			return ap_unwind_table_find(c.table, s->offset + (vaddr - s->vaddr));
	}
	return NULL;
}

static void differ(uint64_t vaddr, const char *what, const char *theirs, const char *ours)
{
	if (c.differences++ < SHOWN_MAX)
		fprintf(stderr, "%#" PRIx64 " %s: readelf %s, the table %s\n", vaddr, what, theirs,
			ours);
}

/* As readelf writes it; unchanged and unspecified are both "". */
static const char *saved_text(unsigned int saved, int offset, char *buf)
{
	switch (saved) {
	case AP_SAVED_SAME:
		return "";
	case AP_SAVED_CFA:
		snprintf(buf, TEXT, "c%+d", offset);
		return buf;
	case AP_SAVED_FP:
	case AP_SAVED_SP:
		return "exp";
	case AP_SAVED_REGISTER:
		snprintf(buf, TEXT, "r%d", offset);
		return buf;
	default:
		return "lost";
	}
}

static const char *cfa_text(const struct ap_rule *r, char *buf)
{
	if (r->cfa == AP_CFA_NONE)
		return "none";
	if (r->cfa != AP_CFA_REGISTER)
		return "exp";
	snprintf(buf, TEXT, "%s%+d", names[r->cfa_register], r->cfa_offset);
	return buf;
}

static void compare_register(uint64_t vaddr, enum column column, unsigned int saved, int offset)
{
	static const char *const what[] = {"CFA", "RA", "FP", "tracked"};
	const char *theirs = c.row.text[column], *ours;
	char buf[TEXT];

	if (strcmp(theirs, "u") == 0 || strcmp(theirs, "s") == 0)
		theirs = "";
	ours = saved_text(saved, offset, buf);
	if (saved == AP_SAVED_UNDEFINED && (theirs[0] == 0 || strstr(theirs, "exp")))
		c.fp_lost += theirs[0] != 0;
	else if (strcmp(theirs, ours) != 0)
		differ(vaddr, what[column], theirs, ours);
}

static void compare(uint64_t vaddr)
{
	const struct ap_rule *r = rule_at(vaddr);
	char buf[TEXT];

	if (!r) {
		c.outside++;
	} else if (r->cfa == AP_CFA_UNSUPPORTED) {
		if (c.unsupported++ < SHOWN_MAX)
			fprintf(stderr, "%#" PRIx64 " unsupported: CFA %s, RA %s\n", vaddr,
				c.row.text[CFA], c.row.text[RA]);
	} else if (r->cfa == AP_CFA_END) {
		if (strcmp(c.row.text[RA], "u") != 0)
			differ(vaddr, "RA", c.row.text[RA], "the end");
	} else if (r->cfa == AP_CFA_SIGNAL) {
		for (int i = 0; i < FP; i++)
			if (strcmp(c.row.text[i], "exp") != 0)
				differ(vaddr, "signal frame", c.row.text[i], "exp");
	} else {
		if (strcmp(cfa_text(r, buf), c.row.text[CFA]) != 0)
			differ(vaddr, "CFA", c.row.text[CFA], buf[0] ? cfa_text(r, buf) : "?");
		if (r->cfa == AP_CFA_NONE)
			return;
		compare_register(vaddr, RA, r->ra, r->ra_offset);
		compare_register(vaddr, FP, r->fp_tracked & 15, r->fp_offset);
		compare_register(vaddr, TRACKED, r->fp_tracked >> 4, r->tracked_offset);
	}
}

/* The row that came before holds up to `next`. */
static void end_row(uint64_t next)
{
	if (c.has_row && c.in_fde && !c.skipped && next > c.row_at && c.row_at < c.end) {
		c.rows++;
		compare(c.row_at);
		if (next - 1 > c.row_at)
			compare(AP_MIN(next, c.end) - 1);
	}
	c.has_row = false;
}

static void end_entry(void)
{
	if (c.in_cie && c.has_row)
		if (ap_vec_push(&c.cies, ((struct cie){c.cie_offset, c.row})) < 0)
			abort();
	if (c.in_fde && !c.has_row) {
		AP_VEC_FOREACH(&c.cies, cie)
			if (cie->offset == c.cie_offset)
				c.row = cie->initial;
		c.has_row = true;
		c.row_at = c.begin;
	}
	end_row(c.end);
	c.in_fde = c.in_cie = false;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->begin > y->begin) - (x->begin < y->begin);
}

/* The range among the first `n`, sorted, that begins last at or before the address. */
static const struct range *range_before(uint64_t vaddr, size_t n)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (c.ranges.p[middle].begin <= vaddr)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 ? &c.ranges.p[low - 1] : NULL;
}

static void begin_section(void)
{
	end_entry();
	c.cies.n = 0;
	if (c.ranges.n > 0)
		qsort(c.ranges.p, c.ranges.n, sizeof(*c.ranges.p), compare_ranges);
	c.n_sorted = c.ranges.n;
}

static void begin_fde(const char *line, const char *fde)
{
	const struct range *before;

	end_entry();
	if (sscanf(fde, "FDE cie=%" SCNx64 " pc=%" SCNx64 "..%" SCNx64, &c.cie_offset, &c.begin,
		   &c.end) != 3)
		differ(0, "output", line, "");
	before = range_before(c.begin, c.n_sorted);
	/* What two sections describe is taken from the first one; nothing is at address 0. */
	c.skipped = c.begin == 0 || c.end <= c.begin || (before && before->end > c.begin);
	c.in_fde = true;
	if (c.skipped)
		return;
	c.functions++;
	if (ap_vec_push(&c.ranges, ((struct range){c.begin, c.end})) < 0)
		abort();
}

static void read_columns(char *line)
{
	char *save, *word = strtok_r(line, " \n", &save);

	for (c.n_columns = 0; word && c.n_columns < COLUMNS_MAX;
	     word = strtok_r(NULL, " \n", &save))
		c.columns[c.n_columns++] = strcmp(word, "CFA") == 0		      ? CFA
					   : strcmp(word, "ra") == 0		      ? RA
					   : strcmp(word, names[AP_REG_FP]) == 0      ? FP
					   : strcmp(word, names[AP_REG_TRACKED]) == 0 ? TRACKED
										      : COLUMNS;
}

static void read_row(char *line)
{
	char *save, *word = strtok_r(line, " \n", &save);
	uint64_t at = strtoull(word, NULL, 16);
	uint32_t i = 1;

	end_row(at);
	memset(&c.row, 0, sizeof(c.row));
	while (i < c.n_columns && (word = strtok_r(NULL, " \n", &save))) {
		if (word[0] == '(') /* "r5 (rdi)" is one column */
			continue;
		if (c.columns[i] < COLUMNS)
			snprintf(c.row.text[c.columns[i]], TEXT, "%s", word);
		i++;
	}
	c.row_at = at;
	c.has_row = true;
}

static void read_line(char *line)
{
	const char *fde = strstr(line, " FDE cie="), *cie = strstr(line, " CIE ");

	if (strncmp(line, "Contents of the ", 16) == 0) {
		begin_section();
	} else if (fde) {
		begin_fde(line, fde + 1);
	} else if (cie) {
		end_entry();
		c.in_cie = true;
		c.cie_offset = strtoull(line, NULL, 16);
	} else if (strncmp(line, "   LOC", 6) == 0) {
		read_columns(line);
	} else if (isxdigit((unsigned char)line[0]) && (c.in_cie || c.in_fde) &&
		   line[strspn(line, "0123456789abcdef")] == ' ' && !strstr(line, "ZERO")) {
		read_row(line);
	}
}

/* Beside functions there is nothing but padding; but a Go program's own table knows more. */
static void check_gap(uint64_t begin, uint64_t end)
{
	uint64_t at[] = {begin, begin + (end - begin) / 2, end - 1};

	if (begin >= end || (end - begin < PADDING && end % PADDING == 0))
		return;
	c.gaps++;
	for (size_t i = 0; i < AP_ARRAY_SIZE(at); i++) {
		const struct ap_rule *r = rule_at(at[i]);

		if (r && r->cfa != AP_CFA_NONE)
			differ(at[i], "gap", "nothing", "a rule");
	}
}

static bool is_described(uint64_t vaddr)
{
	AP_VEC_FOREACH(&c.ranges, range)
		if (vaddr >= range->begin && vaddr < range->end)
			return true;
	return false;
}

/* _init and _fini have rules by their code. */
static void note_init_and_fini(void)
{
	Elf64_Dyn d;

	for (uint64_t at = 0; at + sizeof(d) <= c.elf.dynamic.n; at += sizeof(d)) {
		if (ap_unwind_elf_bytes(&c.elf, c.elf.dynamic.offset + at, &d, sizeof(d)) < 0 ||
		    d.d_tag == DT_NULL)
			return;
		if ((d.d_tag == DT_INIT || d.d_tag == DT_FINI) && !is_described(d.d_un.d_ptr) &&
		    ap_vec_push(&c.ranges,
				((struct range){d.d_un.d_ptr, d.d_un.d_ptr + INIT_BYTES_MAX})) < 0)
			abort();
	}
}

/* Start code that nothing describes is the end of a stack. */
static void check_entry(void)
{
	const struct ap_rule *r = c.elf.entry ? rule_at(c.elf.entry) : NULL;

	if (!r || is_described(c.elf.entry))
		return;
	if (r->cfa != AP_CFA_END)
		differ(c.elf.entry, "start code", "nothing", "not the end");
	if (ap_vec_push(&c.ranges, ((struct range){c.elf.entry, c.elf.entry + ENTRY_BYTES})) < 0)
		abort();
}

static void check_gaps(void)
{
	uint64_t end = 0;

	end_entry();
	if (c.elf.gopclntab.n > 0 || c.elf.may_be_go)
		return;
	check_entry();
	note_init_and_fini();
	begin_section();
	AP_VEC_FOREACH(&c.ranges, r) {
		if (end)
			check_gap(end, r->begin);
		end = AP_MAX(end, r->end);
	}
	if (end)
		check_gap(end, end + PADDING - 1);
}

int main(int argc, char **argv)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *t = NULL;
	_cleanup_fd_ int fd = argc == 2 ? open(argv[1], O_RDONLY | O_CLOEXEC) : -1;
	static struct ap_rule none;
	const struct ap_unwind_table nothing = {.rules = &none};
	_cleanup_free_ char *line = NULL;
	size_t room = 0;
	int err = fd < 0 ? -errno : ap_unwind_table_build(fd, &t);

	if (err == 0 || err == -ENODATA)
		err = ap_unwind_elf_read(fd, &c.elf);
	if (err < 0) {
		fprintf(stderr, "%s: %s\n", argc == 2 ? argv[1] : "usage: readelf_check FILE",
			strerror(-err));
		return 2;
	}
	c.table = t ? t : &nothing;
	while (getline(&line, &room, stdin) > 0)
		read_line(line);
	check_gaps();
	printf("{\"functions\":%" PRIu64 ",\"rows\":%" PRIu64 ",\"gaps\":%" PRIu64
	       ",\"differences\":%" PRIu64 ",\"unsupported\":%" PRIu64 ",\"fp_lost\":%" PRIu64
	       ",\"outside\":%" PRIu64 ",\"table_rows\":%" PRIu32 ",\"table_bytes\":%zu"
	       ",\"rules\":%" PRIu32 ",\"cut\":%s}\n",
	       c.functions, c.rows, c.gaps, c.differences, c.unsupported, c.fp_lost, c.outside,
	       c.table->n_rows, c.table->n_words * sizeof(uint32_t), c.table->n_rules,
	       c.table->cut ? "true" : "false");
	ap_vec_free(&c.cies);
	ap_vec_free(&c.ranges);
	return c.differences > 0;
}

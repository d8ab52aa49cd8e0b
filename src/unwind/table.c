/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/table.h"

#include <string.h>

#include "unwind/arch.h"
#include "unwind/cfi.h"
#include "unwind/gopclntab.h"
#include "unwind/sections.h"
#include "unwind/startup.h"

enum { WINDOW = 1 << 20 };

_Static_assert(WINDOW >= AP_CFI_FEED_MIN, "an entry fits into the window");

/* Of what a section unpacks to; libLLVM's takes 8 MiB, Chromium's 20. */
#define SECTION_MAX (128ull << 20)

void ap_unwind_table_free(struct ap_unwind_table *t)
{
	if (!t)
		return;
	free(t->rules);
	free(t->words);
	free(t);
}

/* Feeds the section to the parser. A damaged one counts up to the damage. */
static int feed(struct ap_cfi *c, struct ap_stream *s, uint8_t *window)
{
	uint64_t used, total = 0;
	size_t n = 0, more;
	int err;

	for (;;) {
		err = ap_stream_read(s, window + n, WINDOW - n, &more);
		if (err < 0)
			return err == -EBADMSG ? 0 : err;
		n += more;
		err = ap_cfi_feed(c, window, n, &used);
		if (err != 0 || used == 0)
			return AP_MIN(err, 0);
		if (used > SECTION_MAX - total)
			return -EFBIG;
		total += used;
		err = used > n ? ap_stream_skip(s, used - n) : 0;
		if (err < 0)
			return err == -EBADMSG ? 0 : err;
		more = (size_t)AP_MIN(used, n);
		n -= more;
		memmove(window, window + more, n);
	}
}

static int add_section(const struct ap_unwind_elf *e, const struct ap_unwind_section *s,
		       struct ap_table_builder *b)
{
	_cleanup_(ap_cleanup_stream) struct ap_stream *stream = NULL;
	_cleanup_(ap_cleanup_cfi) struct ap_cfi *c = NULL;
	_cleanup_free_ uint8_t *window = NULL;
	struct ap_cfi_options options = {
		.eh = s == &e->eh_frame,
		.stop_at_zero = s->open_ended,
		.vaddr = s->vaddr,
	};
	int err;

	if (s->n == 0)
		return 0;
	window = malloc(WINDOW);
	c = ap_cfi_new(&options, b);
	if (!window || !c)
		return -ENOMEM;
	err = ap_stream_open(e->fd, s->offset, s->n, s->packing, &stream);
	return err < 0 ? err : feed(c, stream, window);
}

/* -ENODATA: this is no Go program. */
static int add_go(const struct ap_unwind_elf *e, struct ap_table_builder *b)
{
	_cleanup_(ap_cleanup_gopclntab) struct ap_gopclntab *g = NULL;
	int err;

	if (!e->gopclntab.n && !e->may_be_go)
		return -ENODATA;
	err = ap_gopclntab_open(e->fd, &g);
	return err < 0 ? err : ap_gopclntab_rows(g, b);
}

static int build(const struct ap_unwind_elf *e, struct ap_unwind_table **ret)
{
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b =
		ap_table_builder_new(e->segments, e->n_segments);
	bool cut, go;
	int err;

	if (!b)
		return -ENOMEM;
	err = add_go(e, b);
	go = err == 0;
	if (err == 0 || err == -ENODATA)
		err = add_section(e, &e->eh_frame, b);
	if (err == 0 && !go)
		err = add_section(e, &e->debug_frame, b);
	if (err == 0)
		err = ap_unwind_add_startup(e, b);
	cut = err == -EFBIG;
	if (err < 0 && !cut)
		return err;
	err = ap_table_builder_finish(b, ret);
	if (err == 0)
		(*ret)->cut |= cut;
	return err;
}

int ap_unwind_table_build(int fd, struct ap_unwind_table **ret)
{
	struct ap_unwind_elf e;
	int err = ap_unwind_elf_read(fd, &e);

	return err < 0 ? err : build(&e, ret);
}

const struct ap_rule *ap_unwind_table_find(const struct ap_unwind_table *t, uint64_t offset)
{
	uint64_t page = (offset >> t->shift) - t->first_page;
	uint32_t low, high, rows = t->n_pages + 1;

	if (page >= t->n_pages)
		return &t->rules[AP_RULE_NONE];
	low = t->words[page];
	high = t->words[page + 1];
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if ((t->words[middle] & 0xffff) <= (offset & 0xffff))
			low = middle + 1;
		else
			high = middle;
	}
	return &t->rules[low > rows ? t->words[low - 1] >> 16 : AP_RULE_NONE];
}

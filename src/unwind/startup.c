/* SPDX-License-Identifier: Apache-2.0 */
#include "unwind/startup.h"

#include <elf.h>
#include <string.h>

#include "unwind/arch.h"

enum {
	START_BYTES = 64,
	PIECES_MAX = 128, /* bytes of _init */
	DYNAMIC_MAX = 1024,
};

/* A stack ends where a program starts. */
static int add_start(const struct ap_unwind_elf *e, struct ap_table_builder *b)
{
	struct ap_rule end = {.cfa = AP_CFA_END};
	int err;

	if (e->entry == 0 || e->entry > UINT64_MAX - START_BYTES ||
	    ap_table_builder_covers(b, e->entry))
		return 0;
	err = ap_table_builder_function(b, e->entry, e->entry + START_BYTES);
	return err < 0 ? err : ap_table_builder_row(b, e->entry, &end);
}

#if defined(__x86_64__)
static const uint8_t enter[] = {0x48, 0x83, 0xec, 0x08};	 /* sub $8,%rsp */
static const uint8_t leave[] = {0x48, 0x83, 0xc4, 0x08, 0xc3};	 /* add $8,%rsp; ret */
static const uint8_t branch_target[] = {0xf3, 0x0f, 0x1e, 0xfa}; /* endbr64 */

static int add_pieces(struct ap_table_builder *b, uint64_t begin, const uint8_t *code, size_t n)
{
	size_t entered = 0, left;
	struct ap_rule rule = {.cfa = AP_CFA_REGISTER,
			       .cfa_register = AP_REG_SP,
			       .cfa_offset = 8,
			       .ra = AP_SAVED_CFA,
			       .ra_offset = -8};
	int err;

	if (n >= sizeof(branch_target) && memcmp(code, branch_target, sizeof(branch_target)) == 0)
		entered = sizeof(branch_target);
	if (n < entered + sizeof(enter) || memcmp(code + entered, enter, sizeof(enter)) != 0)
		return 0;
	entered += sizeof(enter);
	for (left = entered; left + sizeof(leave) <= n; left++)
		if (memcmp(code + left, leave, sizeof(leave)) == 0)
			break;
	if (left + sizeof(leave) > n)
		return 0;
	err = ap_table_builder_function(b, begin, begin + left + sizeof(leave));
	if (err == 0)
		err = ap_table_builder_row(b, begin, &rule);
	rule.cfa_offset = 16;
	if (err == 0)
		err = ap_table_builder_row(b, begin + entered, &rule);
	rule.cfa_offset = 8;
	return err < 0 ? err : ap_table_builder_row(b, begin + left + sizeof(enter), &rule);
}
#else
/* Its frame begins with the frame pointer, which is enough. */
static int add_pieces(struct ap_table_builder *b, uint64_t begin, const uint8_t *code, size_t n)
{
	return 0;
}
#endif

static int add_function(const struct ap_unwind_elf *e, uint64_t begin, struct ap_table_builder *b)
{
	uint8_t code[PIECES_MAX];

	for (uint32_t i = 0; i < e->n_segments; i++) {
		const struct ap_unwind_segment *s = &e->segments[i];
		uint64_t at = begin - s->vaddr, n;

		if (begin < s->vaddr || at >= s->bytes)
			continue;
		n = AP_MIN(s->bytes - at, (uint64_t)sizeof(code));
		if (ap_table_builder_covers(b, begin) ||
		    ap_unwind_elf_bytes(e, s->offset + at, code, (size_t)n) < 0)
			return 0;
		return add_pieces(b, begin, code, (size_t)n);
	}
	return 0;
}

int ap_unwind_add_startup(const struct ap_unwind_elf *e, struct ap_table_builder *b)
{
	int err = add_start(e, b);
	Elf64_Dyn entry;

	for (uint64_t i = 0; err == 0 && i < DYNAMIC_MAX; i++) {
		if (!ap_range_ok(i * sizeof(entry), sizeof(entry), e->dynamic.n) ||
		    ap_unwind_elf_bytes(e, e->dynamic.offset + i * sizeof(entry), &entry,
					sizeof(entry)) < 0 ||
		    entry.d_tag == DT_NULL)
			break;
		if (entry.d_tag == DT_INIT || entry.d_tag == DT_FINI)
			err = add_function(e, entry.d_un.d_ptr, b);
	}
	return err;
}

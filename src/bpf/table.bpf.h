/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Look-ups in the store of unwind tables (abi/unwind.h), compiled for BPF and for the host. What
 * the words say is trusted for nothing but the answer: any content ends in a rule or in none.
 *
 * Before including it, define
 *	uint32_t ap_table_word(uint32_t i)	word i of the store, 0 past its end
 */
#ifndef AP_BPF_TABLE_BPF_H
#define AP_BPF_TABLE_BPF_H

#include "abi/unwind.h"

#define AP_INLINE static inline __attribute__((always_inline))
#ifdef __bpf__
/* Global: the verifier checks it once and not at each call. */
#define AP_WALK_FUNCTION __attribute__((noinline))
#else
#define AP_WALK_FUNCTION static inline
#endif

/* The rule for the low 16 bits of a file offset in page `page` of the table at `at`. */
AP_WALK_FUNCTION uint32_t ap_table_search(uint32_t at, uint32_t n_pages, uint32_t page,
					  uint32_t low)
{
	uint32_t first = ap_table_word(at + page), end = ap_table_word(at + page + 1);

	/* 2^16 rows at most: as many as there are offsets. */
	for (int i = 0; i < 17; i++) {
		uint32_t middle = first + (end - first) / 2;

		if (first >= end)
			break;
		if ((ap_table_word(at + middle) & 0xffff) <= low)
			first = middle + 1;
		else
			end = middle;
	}
	/* The last row that does not begin after the offset; maybe one of an earlier page. */
	if (first <= n_pages + 1)
		return AP_RULE_NONE;
	return ap_table_word(at + first - 1) >> 16;
}

AP_INLINE uint32_t ap_table_find(const struct ap_file_ref *f, uint64_t offset)
{
	uint64_t page = (offset >> (f->shift & 31)) - f->first_page;

	if (f->at == 0 || page >= f->n_pages)
		return AP_RULE_NONE;
	return ap_table_search(f->at, f->n_pages, (uint32_t)page, offset & 0xffff);
}

AP_INLINE void ap_table_rule(uint32_t number, struct ap_rule *ret)
{
	uint32_t at = (number & (AP_RULES_MAX - 1)) * AP_RULE_WORDS;
	uint32_t words[AP_RULE_WORDS];

	for (int i = 0; i < AP_RULE_WORDS; i++)
		words[i] = ap_table_word(at + i);
	__builtin_memcpy(ret, words, sizeof(*ret));
}

#endif

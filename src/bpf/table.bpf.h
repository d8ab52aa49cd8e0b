/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Look-ups in the store of unwind tables (abi/unwind.h), compiled for BPF and for the host. What
 * the words say is trusted for nothing but the answer: any content ends in a rule or in none.
 *
 * Before including it, define
 *	uint32_t ap_table_word(uint32_t i)		word i of the store, 0 past its end
 *	struct ap_rule_memo *ap_rule_memo(uint32_t i)	memo i < AP_RULE_MEMOS, NULL: there are none
 *
 * A look-up reads three or four cache lines that are far from one another, and at 99 Hz none of them
 * is in any cache. So its answer is noted under the frame that it is for, where it takes one line. All
 * CPUs share the memos without a lock: `check` is the frame and the rule mixed, so that a memo which two
 * have written at once is nobody's. A file's number stands for the same content as long as it is used,
 * and comes again after 500 others of its slot at the earliest, so memos never have to be forgotten.
 */
#ifndef AP_BPF_TABLE_BPF_H
#define AP_BPF_TABLE_BPF_H

#include "abi/unwind.h"
#include "bpf/function.bpf.h"

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

/* The memos of one group lie in one page of memory: groups are for what is looked up together. */
AP_INLINE uint32_t ap_rule_memo_number(uint32_t group, uint64_t frame)
{
	uint32_t in_group = (uint32_t)(frame * AP_MIX_1 >> (64 - AP_RULE_GROUP_BITS));

	return (group << AP_RULE_GROUP_BITS | in_group) & (AP_RULE_MEMOS - 1);
}

/* The rule for the file offset that is in `frame`. */
AP_INLINE void ap_table_rule_of(const struct ap_file_ref *f, uint64_t frame, uint32_t group,
				struct ap_rule *ret)
{
	struct ap_rule_memo *memo = ap_rule_memo(ap_rule_memo_number(group, frame));
	uint64_t rule[2];

	if (memo) {
		rule[0] = memo->rule[0];
		rule[1] = memo->rule[1];
		if ((memo->check ^ rule[0] * AP_MIX_1 ^ rule[1] * AP_MIX_2) == frame) {
			__builtin_memcpy(ret, rule, sizeof(*ret));
			return;
		}
	}
	ap_table_rule(ap_table_find(f, frame & AP_FRAME_OFFSET_MASK), ret);
	/* What has no rule now may be given one. */
	if (!memo || ret->cfa == AP_CFA_NONE || ret->cfa == AP_CFA_UNSUPPORTED)
		return;
	__builtin_memcpy(rule, ret, sizeof(rule));
	memo->check = frame ^ rule[0] * AP_MIX_1 ^ rule[1] * AP_MIX_2;
	memo->rule[0] = rule[0];
	memo->rule[1] = rule[1];
}

#endif

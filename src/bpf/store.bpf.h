/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The store of unwind tables on the BPF side: an arena (Linux 6.9), whose memory comes page by page as
 * it is used and is read with a plain load, or an array of leaves, which is there from the start.
 *
 * The arena's addresses begin at a multiple of 4 GiB in user space (src/agent/capture.c), so that the
 * address of a word within 32 bits is its number times four. */
#ifndef AP_BPF_STORE_BPF_H
#define AP_BPF_STORE_BPF_H

#include "bpf/kernel.bpf.h"

#include "abi/unwind.h"

const volatile bool use_arena = false;
const volatile uint32_t store_words = 0;

struct {
	__uint(type, AP_MAP_TYPE_ARENA);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
} arena SEC(".maps");

struct leaf {
	uint32_t words[AP_LEAF_WORDS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct leaf);
} leaves SEC(".maps");

/* A program has an arena if it mentions it; the loads below do not. */
static inline __attribute__((always_inline)) void use_store(void)
{
	void *map = &arena;

	if (use_arena)
		asm volatile("" : : "r"(map));
}

static inline __attribute__((always_inline)) uint32_t ap_table_word(uint32_t i)
{
	uint32_t number = i / AP_LEAF_WORDS;
	struct leaf *leaf;

	if (i >= store_words)
		return 0;
	if (use_arena)
		return *(__attribute__((address_space(1))) uint32_t *)(uint64_t)(i * 4);
	leaf = bpf_map_lookup_elem(&leaves, &number);
	return leaf ? leaf->words[i % AP_LEAF_WORDS] : 0;
}

/* Can be mapped for its alignment alone: a memo lies in one cache line. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, AP_RULE_MEMOS);
	__type(key, uint32_t);
	__type(value, struct ap_rule_memo);
} rule_memos SEC(".maps");

static inline __attribute__((always_inline)) struct ap_rule_memo *ap_rule_memo(uint32_t i)
{
	return bpf_map_lookup_elem(&rule_memos, &i);
}

#endif

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Searches in the trees in which kernels keep the mappings of a process, compiled for BPF and for the
 * host. They take no lock, while others change the tree, so they end after a bounded number of steps
 * whatever they read, and what they find is a guess that the caller has to check.
 *
 * Since Linux 6.1 it is a maple tree (lib/maple_tree.c). Nodes are freed after an RCU grace period, and BPF
 * programs run in an RCU read-side section: memory stays what it was, but a node may have been replaced (it
 * is dead then: it is its own parent). Layout of a node: 256-byte aligned; word 0 the parent; then 15 pivots
 * and 16 slots, of type arange 9 pivots and 10 slots. A slot holds addresses up to and including its
 * pivot; unused pivots are 0. A pointer to a node carries its type in bits 3 to 6, and the root has bit
 * 1 set where it is one.
 *
 * Before, it was a red-black tree whose nodes lie in the mappings (lib/rbtree.c). Those are freed at once:
 * a search in the midst of a change may go astray, which the check of what it found shows.
 *
 * Before including it, define
 *	uint64_t kernel_word(uint64_t address)	the word there, 0 where there is no memory
 */
#ifndef AP_BPF_TREE_BPF_H
#define AP_BPF_TREE_BPF_H

#include "bpf/function.bpf.h"

#define AP_MAPLE_LEVELS 10
#define AP_MAPLE_LEAF	1
#define AP_MAPLE_ARANGE 3
#define AP_RB_LEVELS	40 /* 65,530 mappings, the default limit, have at most 32 */
#define AP_RB_RIGHT	8  /* of struct rb_node: its color and parent, right and left child */
#define AP_RB_LEFT	16

/* The entry of a node for the address, 0 = none. */
AP_INLINE uint64_t maple_slot(uint64_t entry, uint64_t address)
{
	uint64_t node = entry & ~255ull, type = entry >> 3 & 15, slots;
	int n = type == AP_MAPLE_ARANGE ? 9 : 15, i;

	for (i = 0; i < 15; i++) {
		uint64_t pivot;

		if (i >= n)
			break;
		pivot = kernel_word(node + 8 + 8 * i);
		if (pivot >= address || (pivot == 0 && i > 0))
			break;
	}
	slots = node + (type == AP_MAPLE_ARANGE ? 80 : 128);
	entry = kernel_word(slots + 8 * i);
	return (kernel_word(node) & ~255ull) == node ? 0 : entry; /* a dead node tells nothing */
}

/* The address of the vm_area_struct that may hold `address`, 0 = none. */
AP_WALK_FUNCTION uint64_t ap_maple_find(uint64_t root, uint64_t address)
{
	uint64_t entry = root;

	if ((root & 3) != 2)
		return 0;
	for (int level = 0; level < AP_MAPLE_LEVELS; level++) {
		uint64_t type = entry >> 3 & 15;

		if (entry <= 4096)
			return 0;
		entry = maple_slot(entry, address);
		if (type == AP_MAPLE_LEAF)
			return entry & 3 || entry <= 4096 ? 0 : entry;
	}
	return 0;
}

/* The rb_node of the mapping that may hold `address`, 0 = none. The mapping's start and end are so many
 * bytes away from the node. */
AP_WALK_FUNCTION uint64_t ap_rb_find(uint64_t root, uint64_t address, int64_t start, int64_t end)
{
	uint64_t node = root;

	for (int level = 0; level < AP_RB_LEVELS && node > 4096; level++) {
		if (address >= kernel_word(node + (uint64_t)end))
			node = kernel_word(node + AP_RB_RIGHT);
		else if (address < kernel_word(node + (uint64_t)start))
			node = kernel_word(node + AP_RB_LEFT);
		else
			return node;
	}
	return 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which file is mapped at an address of a process: found in the kernel's own tree of
 * mappings (bpf/tree.bpf.h), so that a process is known from its first instruction, without user
 * space having heard of it.
 *
 * The tree is read without its lock, while others change it, and a mapping that was found may have become
 * another one of this or another process. So it must say itself, after it was found, that it is this
 * process's and holds the address; else the search begins anew, AP_MAP_TRIES times.
 *
 * A search reads some 20 cache lines, so what it found is noted, under all that could change it: the
 * address space (which may be a former one's memory, so the process's start and the random place of
 * its stack belong to it), the count of changes to its mappings that the kernel keeps (mm_lock_seq,
 * Linux 6.4) and of those to the files that user space has told of. CPUs share the memos without a lock,
 * as those of rules (bpf/table.bpf.h).
 */
#ifndef AP_BPF_MAPPING_BPF_H
#define AP_BPF_MAPPING_BPF_H

#include "bpf/kernel.bpf.h"
#include "bpf/unwind.bpf.h"
#include "bpf/word.bpf.h"

#include "bpf/tree.bpf.h"

#define AP_MAP_TRIES  3
#define AP_VM_EXEC    4 /* linux/mm.h */
#define AP_PAGE_SHIFT 12

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AP_FILES_MAX);
	__type(key, struct ap_file_key);
	__type(value, struct ap_file_ref);
} files SEC(".maps");

struct map_memo {
	uint64_t check;
	struct ap_mapped map;
};

_Static_assert(sizeof(struct map_memo) == 64, "one cache line");

#define MAP_MEMOS_BITS 10
#define MAP_MEMO_SHIFT 16 /* one memo for so many bits of addresses of a process */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* for its alignment alone */
	__uint(max_entries, 1 << MAP_MEMOS_BITS);
	__type(key, uint32_t);
	__type(value, struct map_memo);
} map_memos SEC(".maps");

/* Counts what user space has told of files. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, uint32_t);
} files_generation SEC(".maps");

AP_INLINE uint64_t mix(uint64_t a, uint64_t b)
{
	a = (a ^ b) * AP_MIX_1;
	return a ^ a >> 32;
}

/* What stands for the present state of an address space's mappings; 0: nothing does. */
AP_INLINE uint64_t map_space(uint64_t mm, uint64_t start_time, uint64_t start_stack)
{
	uint32_t *generation, zero = 0;
	uint32_t seq;

	if (bpf_core_field_exists(struct mm_struct, mm_lock_seq)) {
		seq = (uint32_t)KERNEL_FIELD(struct mm_struct, mm_lock_seq, mm);
		if (seq & 1) /* just being changed */
			return 0;
	} else if (bpf_core_field_exists(struct mm_struct___seq_int, mm_lock_seq)) {
		seq = (uint32_t)KERNEL_FIELD(struct mm_struct___seq_int, mm_lock_seq, mm);
	} else {
		return 0;
	}
	generation = bpf_map_lookup_elem(&files_generation, &zero);
	if (!generation)
		return 0;
	return mix(mix(mix(mix(*generation, seq), start_time), start_stack), mm);
}

AP_INLINE struct map_memo *map_memo_of(uint64_t mm, uint64_t address)
{
	uint32_t i = mix(mm, address >> MAP_MEMO_SHIFT) >> (64 - MAP_MEMOS_BITS);

	return bpf_map_lookup_elem(&map_memos, &i);
}

AP_INLINE uint64_t map_memo_check(uint64_t space, const struct ap_mapped *m)
{
	const uint64_t *words = (const void *)m;

	for (uint32_t i = 0; i < sizeof(*m) / 8; i++)
		space = mix(space, words[i]);
	return space;
}

AP_INLINE void mapped_file(struct ap_walk *w, struct ap_mapped *m, uint64_t file, uint64_t vdso)
{
	struct ap_file_notice *notice;
	struct ap_file_ref *ref;
	struct ap_file_key key;
	uint64_t inode;

	m->kind = AP_MAPPED_MEMORY;
	key.inode = 0;
	key.generation = 0;
	key.device = AP_DEVICE_VDSO;
	if (file) {
		inode = KERNEL_FIELD(struct file, f_inode, file);
		key.inode = KERNEL_FIELD(struct inode, i_ino, inode);
		key.generation = (uint32_t)KERNEL_FIELD(struct inode, i_generation, inode);
		key.device = (uint32_t)KERNEL_FIELD(struct super_block, s_dev,
						    KERNEL_FIELD(struct inode, i_sb, inode));
	} else if (!vdso || m->start != vdso) {
		return;
	}
	ref = bpf_map_lookup_elem(&files, &key);
	if (ref) {
		m->file = *ref;
		m->kind = ref->file ? AP_MAPPED_FILE : AP_MAPPED_MEMORY;
		return;
	}
	m->kind = AP_MAPPED_UNKNOWN_FILE;
	if (w->noticed >= AP_WALK_NOTICES)
		return;
	notice = &w->notices[w->noticed++ & (AP_WALK_NOTICES - 1)];
	notice->key = key;
	notice->start = m->start;
	notice->end = m->end;
	notice->pgoff = m->start + m->delta;
}

/* The address of the vm_area_struct that may hold `address`, 0 = none. A function of its own: out of a loop
 * the compiler would move what depends on fields that this kernel does not have. */
AP_WALK_FUNCTION uint64_t ap_vma_find(uint64_t mm, uint64_t address)
{
	uint64_t node;

	if (bpf_core_field_exists(struct mm_struct, mm_mt))
		return ap_maple_find(KERNEL_FIELD(struct mm_struct, mm_mt.ma_root, mm), address);
	if (!bpf_core_field_exists(struct mm_struct___rb, mm_rb))
		return 0;
	node = ap_rb_find(KERNEL_FIELD(struct mm_struct___rb, mm_rb.rb_node, mm), address,
			  bpf_core_field_offset(struct vm_area_struct, vm_start) -
				  bpf_core_field_offset(struct vm_area_struct___rb, vm_rb),
			  bpf_core_field_offset(struct vm_area_struct, vm_end) -
				  bpf_core_field_offset(struct vm_area_struct___rb, vm_rb));
	return node ? node - bpf_core_field_offset(struct vm_area_struct___rb, vm_rb) : 0;
}

/* Searches the kernel's tree. */
AP_INLINE int map_search(struct ap_walk *w, struct ap_mapped *m, uint64_t mm, uint64_t address)
{
	for (int i = 0; i < AP_MAP_TRIES; i++) {
		uint64_t vma = ap_vma_find(mm, address), start, end, file, flags, pgoff;

		if (!vma)
			continue;
		start = KERNEL_FIELD(struct vm_area_struct, vm_start, vma);
		end = KERNEL_FIELD(struct vm_area_struct, vm_end, vma);
		file = KERNEL_FIELD(struct vm_area_struct, vm_file, vma);
		flags = KERNEL_FIELD(struct vm_area_struct, vm_flags, vma);
		pgoff = KERNEL_FIELD(struct vm_area_struct, vm_pgoff, vma);
		if (address < start || address >= end ||
		    KERNEL_FIELD(struct vm_area_struct, vm_mm, vma) != mm)
			continue;
		if (!(flags & AP_VM_EXEC))
			return -1;
		m->start = start;
		m->end = end;
		m->delta = (file ? pgoff << AP_PAGE_SHIFT : 0) - start;
		mapped_file(w, m, file, KERNEL_FIELD(struct mm_struct, context.vdso, mm));
		return 0;
	}
	return -1;
}

__attribute__((noinline)) int ap_map_find(struct ap_walk *w, uint64_t address, uint32_t slot)
{
	struct map_memo *memo = NULL;
	struct ap_mapped *m;
	uint64_t mm;

	if (!w || !w->mm)
		return -1;
	mm = w->mm;
	m = &w->maps[slot & (AP_WALK_MAPS - 1)];
	if (w->space)
		memo = map_memo_of(mm, address);
	if (memo) {
		*m = memo->map;
		if (map_memo_check(w->space, m) == memo->check && address >= m->start &&
		    address < m->end)
			return 0;
	}
	m->start = m->end = 0;
	if (map_search(w, m, mm, address) < 0)
		return -1;
	if (memo && m->kind != AP_MAPPED_UNKNOWN_FILE) {
		memo->check = map_memo_check(w->space, m);
		memo->map = *m;
	}
	return 0;
}

#endif

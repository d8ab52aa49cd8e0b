/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which file is mapped at an address of the current task: found in the kernel's own tree of
 * mappings (mm->mm_mt, Linux 6.1), so that a process is known from its first instruction, without user
 * space having heard of it.
 *
 * The tree is read without its lock, while others change it. Nodes and mappings are freed after an RCU
 * grace period, and BPF programs run in an RCU read-side section: memory stays what it was, but a node
 * may have been replaced (it is dead then: it is its own parent), and a mapping may have become
 * another one of this or another process. So a mapping must say itself, after it was found, that it is
 * this process's and holds the address; else the search begins anew, AP_MAP_TRIES times.
 *
 * Layout of a node (lib/maple_tree.c, 6.1 to 6.18): 256-byte aligned; word 0 the parent; then 15 pivots
 * and 16 slots, of type arange 9 pivots and 10 slots. A slot holds addresses up to and including its
 * pivot; unused pivots are 0. A pointer to a node carries its type in bits 3 to 6, and the root has bit
 * 1 set where it is one.
 */
#ifndef AP_BPF_MAPPING_BPF_H
#define AP_BPF_MAPPING_BPF_H

#include "bpf/kernel.bpf.h"
#include "bpf/unwind.bpf.h"

#define AP_MAP_TRIES	3
#define AP_MAPLE_LEVELS 10
#define AP_MAPLE_LEAF	1
#define AP_MAPLE_ARANGE 3
#define AP_VM_EXEC	4 /* linux/mm.h */
#define AP_PAGE_SHIFT	12

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, AP_FILES_MAX);
	__type(key, struct ap_file_key);
	__type(value, struct ap_file_ref);
} files SEC(".maps");

/* A word of kernel memory, 0 where there is none. */
#ifdef AP_KFUNCS
extern void *bpf_rdonly_cast(const void *object, uint32_t btf_id) __ksym;

AP_INLINE uint64_t kernel_word(uint64_t address)
{
	/* Any structure will do that has a plain word: this one's is at 8. */
	struct maple_range_64 *p = bpf_rdonly_cast((void *)(address - 8),
						   bpf_core_type_id_kernel(struct maple_range_64));

	return p->pivot[0];
}
#else
AP_INLINE uint64_t kernel_word(uint64_t address)
{
	uint64_t v = 0;

	bpf_probe_read_kernel(&v, sizeof(v), (void *)address);
	return v;
}
#endif
#define KERNEL_FIELD(type, field, address) \
	kernel_word((address) + bpf_core_field_offset(type, field))

/* The entry of `node` for the address; *ret_leaf: it is a mapping. */
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
__attribute__((noinline)) uint64_t ap_maple_find(uint64_t root, uint64_t address)
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

__attribute__((noinline)) int ap_map_find(struct ap_walk *w, uint64_t address, uint32_t slot)
{
	/* As a number, since the verifier lets nobody calculate with typed pointers. */
	uint64_t mm = KERNEL_FIELD(struct task_struct, mm, (uint64_t)bpf_get_current_task());
	struct ap_mapped *m;

	if (!w || !mm || !bpf_core_field_exists(struct mm_struct, mm_mt))
		return -1;
	m = &w->maps[slot & (AP_WALK_MAPS - 1)];
	m->start = m->end = 0;
	for (int i = 0; i < AP_MAP_TRIES; i++) {
		uint64_t vma = ap_maple_find(KERNEL_FIELD(struct mm_struct, mm_mt.ma_root, mm),
					     address),
			 start, end;
		uint64_t file, flags, pgoff;

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

#endif

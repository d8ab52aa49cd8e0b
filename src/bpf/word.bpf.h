/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Kernel memory at addresses that are known as numbers only. */
#ifndef AP_BPF_WORD_BPF_H
#define AP_BPF_WORD_BPF_H

#include "bpf/function.bpf.h"
#include "bpf/kernel.bpf.h"

#define AP_PAGE_SHIFT 12

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

/* The current task's address space; as a number, since the verifier lets nobody calculate with typed
 * pointers. */
AP_INLINE uint64_t current_mm(void)
{
	return KERNEL_FIELD(struct task_struct, mm, (uint64_t)bpf_get_current_task());
}

#endif

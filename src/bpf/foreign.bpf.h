/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reads the memory of a process that is not the current one: when the scheduler puts a thread back on a CPU,
 * the one that goes is still current, and only now is it known that the wait was long enough to be
 * worth a stack. The page tables are walked as the hardware does, in the kernel's direct map of all
 * memory. A page that is swapped out, or not mapped at the moment, counts as a fault.
 *
 * The scheduler has interrupts off, so that page tables stay (as for lockless get_user_pages()).
 * Elsewhere they are freed after an RCU grace period or one that interrupts end; what is read then may
 * be something else, and never does harm: the loads cannot fault, and the walker believes nothing. */
#ifndef AP_BPF_FOREIGN_BPF_H
#define AP_BPF_FOREIGN_BPF_H

#if defined(__TARGET_ARCH_arm64)
#include "bpf/arch_arm64.h"
#else
#include "bpf/arch_x86.h"
#endif
#include "bpf/word.bpf.h"

/* Where the kernel keeps the address of its direct map (page_offset_base), or, if that is 0, the
 * address itself; 0 = unknown. */
const volatile uint64_t direct_map_at = 0;
const volatile uint64_t direct_map = 0;
const volatile uint32_t page_levels = 4;

/* Whether a process's memory was found where it is (ap_foreign_check). */
bool foreign_works = false;

/* The kernel's address of a process's memory; 0: fault. */
AP_WALK_FUNCTION uint64_t ap_foreign(uint64_t mm, uint64_t address)
{
	uint64_t direct = direct_map_at ? kernel_word(direct_map_at) : direct_map, table, entry;

	if (!direct || !AP_PAGE_TABLES)
		return 0;
	table = KERNEL_FIELD(struct mm_struct, pgd, mm);
	for (int level = 4; level >= 0; level--) {
		uint64_t shift = AP_PAGE_SHIFT + 9 * level, mask = (1ull << shift) - 1;

		if (level >= (int)page_levels)
			continue;
		entry = kernel_word(table + (address >> shift & 511) * 8);
		if ((entry & AP_PAGE_USABLE) != AP_PAGE_USABLE)
			return 0;
		if (level == 0 || (level <= 2 && (entry & AP_PAGE_LARGE)))
			return direct + (entry & AP_PAGE_FRAME & ~mask) + (address & mask);
		table = direct + (entry & AP_PAGE_FRAME);
	}
	return 0;
}

AP_INLINE int foreign_read(uint64_t mm, void *dst, uint32_t bytes, uint64_t address)
{
	uint64_t page = 1ull << AP_PAGE_SHIFT, at;

	if ((address & (page - 1)) + bytes > page)
		return -1;
	at = ap_foreign(mm, address);
	return at ? (int)bpf_probe_read_kernel(dst, bytes, (void *)at) : -1;
}

/* Run once by the agent upon itself (BPF_PROG_TEST_RUN) with the address of a word that holds its own
 * address: nothing else tells for sure where the direct map is. */
SEC("raw_tp")
int ap_foreign_check(struct bpf_raw_tracepoint_args *ctx)
{
	uint64_t address = ctx->args[0], word = 0;

	foreign_works =
		foreign_read(current_mm(), &word, sizeof(word), address) == 0 && word == address;
	return 0;
}

#endif

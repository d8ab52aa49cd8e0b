/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* x86-64: registers and the shape of a frame. */
#ifndef AP_BPF_ARCH_X86_H
#define AP_BPF_ARCH_X86_H

#define AP_USER_ADDRESS_MAX ((1ull << 56) - 1) /* 5-level page tables */

/* Words between the end of a frame record {saved frame pointer, return address} and the caller's
 * stack pointer at the call. */
#define AP_FRAME_RECORD_BYTES 16

/* Where the caller's frame pointer is still or again in its register, the return address lies at
 * a known place above the stack pointer: before `push %rbp`, between it and `mov %rsp,%rbp`, and
 * at `ret`. Tells from the 8 bytes of code at the program counter. Returns the distance from the
 * stack pointer in bytes, or -1. */
static inline __attribute__((always_inline)) int ap_arch_leaf_return(uint64_t code)
{
	if ((code & 0xffffffff) == 0xfa1e0ff3) /* endbr64 */
		return 0;
	if ((code & 0xff) == 0x55) /* push %rbp */
		return 0;
	if ((code & 0xff) == 0xc3) /* ret */
		return 0;
	if ((code & 0xffffff) == 0xe58948) /* mov %rsp,%rbp */
		return 8;
	return -1;
}

#ifdef __bpf__
/* The user's struct pt_regs as a perf event hands it over. */
#define AP_REGS_PC(r)	     ((r)->rip)
#define AP_REGS_SP(r)	     ((r)->rsp)
#define AP_REGS_FP(r)	     ((r)->rbp)
#define AP_REGS_USER_MODE(r) (((r)->cs & 3) == 3)

/* The kernel's own struct pt_regs, by BTF. */
struct pt_regs___kernel {
	unsigned long bp, ip, sp;
} __attribute__((preserve_access_index));
#define AP_KREGS_PC(r) ((r)->ip)
#define AP_KREGS_SP(r) ((r)->sp)
#define AP_KREGS_FP(r) ((r)->bp)
#endif

#endif

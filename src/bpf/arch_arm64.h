/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* arm64: registers and the shape of a frame. The frame record {x29, x30} may lie anywhere in its
 * frame, so that its end is only a lower bound of the caller's stack pointer (AAPCS64, 6.4.6). */
#ifndef AP_BPF_ARCH_ARM64_H
#define AP_BPF_ARCH_ARM64_H

#define AP_USER_ADDRESS_MAX   ((1ull << 52) - 1)
#define AP_FRAME_RECORD_BYTES 16

/* The return address of a leaf is in x30, not on the stack. */
static inline __attribute__((always_inline)) int ap_arch_leaf_return(uint64_t code)
{
	return -1;
}

#ifdef __bpf__
#define AP_REGS_PC(r)	     ((r)->pc)
#define AP_REGS_SP(r)	     ((r)->sp)
#define AP_REGS_FP(r)	     ((r)->regs[29])
#define AP_REGS_USER_MODE(r) (((r)->pstate & 0xf) == 0)

struct user_pt_regs___kernel {
	unsigned long long regs[31], sp, pc;
} __attribute__((preserve_access_index));
struct pt_regs___kernel {
	struct user_pt_regs___kernel user_regs;
} __attribute__((preserve_access_index));
#define AP_KREGS_PC(r) ((r)->user_regs.pc)
#define AP_KREGS_SP(r) ((r)->user_regs.sp)
#define AP_KREGS_FP(r) ((r)->user_regs.regs[29])
#endif

#endif

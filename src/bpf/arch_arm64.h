/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* arm64: registers and the shapes of frames. Register numbers are DWARF's (AADWARF64, 4.1). The
 * frame record {x29, x30} may lie anywhere in its frame, so that its end is only a lower bound of
 * the caller's stack pointer (AAPCS64, 6.4.6). */
#ifndef AP_BPF_ARCH_ARM64_H
#define AP_BPF_ARCH_ARM64_H

#define AP_USER_ADDRESS_MAX ((1ull << 52) - 1)

#define AP_REGISTERS   32
#define AP_REG_TRACKED 30 /* x30: a leaf's return address is there, and not on the stack */
#define AP_REG_FP      29
#define AP_REG_SP      31

#define AP_FRAME_RECORD_BYTES 16

/* The vDSO's code that signal handlers return to: mov x8, #139; svc #0. */
#define AP_SIGRETURN_CODE    0xd4000001d2801168ull
#define AP_SIGRETURN_CODE_AT 0
#define AP_SIGCONTEXT_AT     (128 + 176 + 8) /* siginfo, uc_mcontext, fault_address */
#define AP_SIGCONTEXT_WORDS  33

/* struct sigcontext (asm/sigcontext.h) from regs[] on. */
static inline __attribute__((always_inline)) void ap_arch_sigcontext(const uint64_t *c,
								     uint64_t *regs, uint64_t *pc)
{
	for (int i = 0; i < 32; i++)
		regs[i] = c[i];
	*pc = c[32];
}

/* The return address of a leaf is in x30, not on the stack. */
static inline __attribute__((always_inline)) int ap_arch_leaf_return(uint64_t code)
{
	return -1;
}

#ifdef __bpf__
static inline __attribute__((always_inline)) uint64_t
ap_arch_perf_registers(bpf_user_pt_regs_t *ctx, uint64_t *regs)
{
	uint64_t pc = ctx->pc, sp = ctx->sp;

	barrier_var(pc);
	barrier_var(sp);
#pragma unroll
	for (int i = 0; i < 31; i++) {
		uint64_t v = ctx->regs[i];

		barrier_var(v);
		regs[i] = v;
	}
	regs[31] = sp;
	return pc;
}

#define AP_REGS_USER_MODE(r)	(((r)->pstate & 0xf) == 0)
#define AP_THREAD_POINTER(task) 0

struct user_pt_regs___kernel {
	unsigned long long regs[31], sp, pc, pstate;
} __attribute__((preserve_access_index));
struct pt_regs___kernel {
	struct user_pt_regs___kernel user_regs;
	unsigned long long orig_x0;
	int syscallno;
} __attribute__((preserve_access_index));

/* The system call that a task is in, and its first argument. */
#define AP_SYSCALL(regs)	  ((long)(regs)->syscallno)
#define AP_SYSCALL_ARGUMENT(regs) ((regs)->orig_x0)
#define AP_SYSCALL_FUTEX	  98 /* asm-generic/unistd.h */

static inline __attribute__((always_inline)) uint64_t
ap_arch_kernel_registers(struct pt_regs___kernel *from, uint64_t *regs)
{
#pragma unroll
	for (int i = 0; i < 31; i++)
		regs[i] = from->user_regs.regs[i];
	regs[31] = from->user_regs.sp;
	return from->user_regs.pc;
}
#define AP_KERNEL_IS_COMPAT(from) (((from)->user_regs.pstate & 0x10) != 0)
/* Page tables are not walked yet: see bpf/foreign.bpf.h. */
#define AP_PAGE_TABLES 0
#define AP_PAGE_USABLE 1
#define AP_PAGE_LARGE  0
#define AP_PAGE_FRAME  0

/* System calls. */
#define AP_TIF_32BIT	     22
#define AP_SYSCALL_ABI_FIELD thread_info.flags
#define AP_SYSCALL_ABI(word, id) \
	((word) & 1u << AP_TIF_32BIT ? AP_SYSCALL_COMPAT : AP_SYSCALL_NATIVE)
#define AP_SYSCALL_IS_NATIVE(word) (!((word) & 1u << AP_TIF_32BIT))
#define AP_SYSCALL_NUMBER(id)	   (id)
/* exit, exit_group, rt_sigreturn, sigreturn (asm-generic/unistd.h; arm's own) */
#define AP_SYSCALL_NEVER_RETURNS(abi, number)                                             \
	((abi) == AP_SYSCALL_COMPAT                                                       \
		 ? (number) == 1 || (number) == 248 || (number) == 173 || (number) == 119 \
		 : (number) == 93 || (number) == 94 || (number) == 139)
#define AP_SYSCALL_OF(regs) ((long)BPF_CORE_READ((regs), syscallno))
/* clone, fork, vfork, clone3 */
#define AP_SYSCALL_MAKES_TASK(abi, number)                                                 \
	((number) == 435 ||                                                                \
	 ((abi) == AP_SYSCALL_COMPAT ? (number) == 120 || (number) == 2 || (number) == 190 \
				     : (number) == 220))
#endif

#endif

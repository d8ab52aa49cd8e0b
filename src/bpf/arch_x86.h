/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* x86-64: registers and the shapes of frames. Register numbers are DWARF's (System V ABI, AMD64
 * supplement, figure 3.36). */
#ifndef AP_BPF_ARCH_X86_H
#define AP_BPF_ARCH_X86_H

#define AP_USER_ADDRESS_MAX ((1ull << 56) - 1) /* 5-level page tables */

#define AP_REGISTERS   16
#define AP_REG_TRACKED 3 /* rbx: ld.so's lazy binding has its CFA there */
#define AP_REG_FP      6
#define AP_REG_SP      7

/* Words between the end of a frame record {saved frame pointer, return address} and the caller's
 * stack pointer at the call. */
#define AP_FRAME_RECORD_BYTES 16

/* The code that the kernel lets signal handlers return to: mov $15,%rax; syscall. */
#define AP_SIGRETURN_CODE    0x050f0000000fc0c7ull /* from its second byte on */
#define AP_SIGRETURN_CODE_AT 1
#define AP_SIGCONTEXT_AT     40 /* from the stack pointer there: ucontext.uc_mcontext */
#define AP_SIGCONTEXT_WORDS  17

/* struct sigcontext (asm/sigcontext.h) to registers. */
static inline __attribute__((always_inline)) void ap_arch_sigcontext(const uint64_t *c,
								     uint64_t *regs, uint64_t *pc)
{
	for (int i = 0; i < 8; i++)
		regs[8 + i] = c[i];
	regs[5] = c[8]; /* rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip */
	regs[4] = c[9];
	regs[6] = c[10];
	regs[3] = c[11];
	regs[1] = c[12];
	regs[0] = c[13];
	regs[2] = c[14];
	regs[7] = c[15];
	*pc = c[16];
}

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
/* User registers as a perf event hands them over. The barriers keep the compiler from merging these
 * loads with those of the other source through a computed pointer, which the verifier refuses for a
 * context. */
#define AP_PERF_REGISTER(n, name)       \
	do {                            \
		uint64_t v = ctx->name; \
		barrier_var(v);         \
		regs[n] = v;            \
	} while (0)

static inline __attribute__((always_inline)) uint64_t
ap_arch_perf_registers(bpf_user_pt_regs_t *ctx, uint64_t *regs)
{
	uint64_t pc = ctx->rip;

	barrier_var(pc);
	AP_PERF_REGISTER(0, rax);
	AP_PERF_REGISTER(1, rdx);
	AP_PERF_REGISTER(2, rcx);
	AP_PERF_REGISTER(3, rbx);
	AP_PERF_REGISTER(4, rsi);
	AP_PERF_REGISTER(5, rdi);
	AP_PERF_REGISTER(6, rbp);
	AP_PERF_REGISTER(7, rsp);
	AP_PERF_REGISTER(8, r8);
	AP_PERF_REGISTER(9, r9);
	AP_PERF_REGISTER(10, r10);
	AP_PERF_REGISTER(11, r11);
	AP_PERF_REGISTER(12, r12);
	AP_PERF_REGISTER(13, r13);
	AP_PERF_REGISTER(14, r14);
	AP_PERF_REGISTER(15, r15);
	return pc;
}

#define AP_REGS_USER_MODE(r)	(((r)->cs & 3) == 3)
#define AP_THREAD_POINTER(task) ((task)->thread.fsbase)

/* The kernel's own struct pt_regs, by BTF. */
struct pt_regs___kernel {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip,
		cs, sp;
} __attribute__((preserve_access_index));

/* Page table entries: present and of user memory, not a table but a large page, its frame (with memory
 * encryption some of the upper bits mean something else). */
#define AP_PAGE_TABLES 1
#define AP_PAGE_USABLE 5
#define AP_PAGE_LARGE  0x80
#define AP_PAGE_FRAME  0x00003ffffffff000ull

/* The system call that a task is in, and its first argument. */
#define AP_SYSCALL(regs)	  ((long)(regs)->orig_ax)
#define AP_SYSCALL_ARGUMENT(regs) ((regs)->di)
#define AP_SYSCALL_FUTEX	  202 /* asm/unistd_64.h */

#define AP_CODE_SEGMENT_32 0x23 /* __USER32_CS */

/* Returns the program counter, 0 where the task has no user registers. */
static inline __attribute__((always_inline)) uint64_t
ap_arch_kernel_registers(struct pt_regs___kernel *from, uint64_t *regs)
{
	regs[0] = from->ax;
	regs[1] = from->dx;
	regs[2] = from->cx;
	regs[3] = from->bx;
	regs[4] = from->si;
	regs[5] = from->di;
	regs[6] = from->bp;
	regs[7] = from->sp;
	regs[8] = from->r8;
	regs[9] = from->r9;
	regs[10] = from->r10;
	regs[11] = from->r11;
	regs[12] = from->r12;
	regs[13] = from->r13;
	regs[14] = from->r14;
	regs[15] = from->r15;
	return from->ip;
}
#define AP_KERNEL_IS_COMPAT(from) ((from)->cs == AP_CODE_SEGMENT_32)

/* System calls. A 64-bit program may make 32-bit calls too (int $0x80): the kernel notes which it is. */
#define AP_TS_COMPAT	     0x2
#define AP_X32_SYSCALL_BIT   0x40000000
#define AP_SYSCALL_ABI_FIELD thread_info.status
#define AP_SYSCALL_ABI(word, id)                                       \
	((word) & AP_TS_COMPAT			   ? AP_SYSCALL_COMPAT \
	 : (id) > 0 && ((id) & AP_X32_SYSCALL_BIT) ? AP_SYSCALL_X32    \
						   : AP_SYSCALL_NATIVE)
#define AP_SYSCALL_IS_NATIVE(word) (!((word) & AP_TS_COMPAT)) /* or x32 */
#define AP_SYSCALL_NUMBER(id)	   ((id) < 0 ? (id) : (id) & ~AP_X32_SYSCALL_BIT)
/* exit, exit_group, rt_sigreturn, sigreturn (asm/unistd_64.h, unistd_x32.h, unistd_32.h) */
#define AP_SYSCALL_NEVER_RETURNS(abi, number)                                             \
	((abi) == AP_SYSCALL_COMPAT                                                       \
		 ? (number) == 1 || (number) == 252 || (number) == 173 || (number) == 119 \
		 : (number) == 60 || (number) == 231 ||                                   \
			   (number) == ((abi) == AP_SYSCALL_X32 ? 513 : 15))
#define AP_SYSCALL_OF(regs) ((long)BPF_CORE_READ((regs), orig_ax))
/* clone, fork, vfork, clone3 */
#define AP_SYSCALL_MAKES_TASK(abi, number)                                                 \
	((number) == 435 ||                                                                \
	 ((abi) == AP_SYSCALL_COMPAT ? (number) == 120 || (number) == 2 || (number) == 190 \
				     : (number) >= 56 && (number) <= 58))
#endif

#endif

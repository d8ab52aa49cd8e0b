/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What programs on the scheduler's tracepoints ask most often, without a call: on a machine with the
 * usual mitigations each costs as much as the rest of the question. */
#ifndef AP_BPF_SCHEDULER_BPF_H
#define AP_BPF_SCHEDULER_BPF_H

#include "abi/offcpu.h"

#include "bpf/foreign.bpf.h"

#define FUTEX_WAITV   449 /* asm-generic/unistd.h; on x86-64 too */
#define FUTEX_WAKE    454
#define FUTEX_WAIT    455
#define FUTEX_REQUEUE 456

/* include/linux/preempt.h: in an interrupt that can be masked or not, or in what one has put off */
#define IN_INTERRUPT 0x00ff0100
/* include/linux/sched/jobctl.h: it is to stop, or to look at why it was stopped */
#define JOB_PENDING (1ul << 17 | 1ul << 19 | 1ul << 20 | 1ul << 23)

/* The scheduler has read its clock when it switches; reading another costs more than all else that is done
 * here. It runs as CLOCK_MONOTONIC does but from another moment on, and where it is the same on all CPUs
 * the agent says so. */
const volatile bool use_switch_clock = false;

/* How far it is behind CLOCK_MONOTONIC; 0 = not known yet. */
int64_t switch_clock_behind = 0;

/* From a CPU's run queue to its count of interrupts and the like; 0 = not known. Set by user space. */
int64_t preempt_count_at = 0;

/* The CPU's run queue is found from what runs there: not every kernel lists its variables. */
AP_RARE bool find_run_queue(struct ap_wait_stats *stats, struct task_struct *task)
{
	struct rq *rq;

	if (!stats || !task || !bpf_core_field_exists(struct sched_entity, cfs_rq))
		return false;
	rq = task->se.cfs_rq->rq;
	if (!rq || rq->cpu != (int)bpf_get_smp_processor_id())
		return false;
	stats->run_queue = (uint64_t)rq;
	return true;
}

AP_INLINE bool has_run_queue(struct ap_wait_stats *stats, struct task_struct *task)
{
	return stats->run_queue || find_run_queue(stats, task);
}

/* In a switch. */
AP_INLINE uint64_t switch_clock(struct ap_wait_stats *stats, struct task_struct *task)
{
	if (use_switch_clock && has_run_queue(stats, task))
		return KERNEL_FIELD(struct rq, clock, stats->run_queue);
	return bpf_ktime_get_ns() - (uint64_t)switch_clock_behind;
}

/* By how much `switch_clock_behind` may be off before it is written again. All CPUs read it, and the programs' other
 * variables beside it: each store takes the line from every other CPU's cache. */
#define SWITCH_CLOCK_TOLERANCE_NS 4096

/* By how much a switch has found it behind. */
AP_INLINE void switch_clock_compare(struct ap_wait_stats *stats, int64_t behind)
{
	int64_t off = behind - switch_clock_behind;

	if (!use_switch_clock || !stats->run_queue)
		return;
	if (off > SWITCH_CLOCK_TOLERANCE_NS || off < -SWITCH_CLOCK_TOLERANCE_NS ||
	    !switch_clock_behind)
		switch_clock_behind = behind ?: 1;
}

/* Before the first switch it is not. */
AP_INLINE bool switch_clock_is_known(void)
{
	return !use_switch_clock || switch_clock_behind ||
	       !bpf_core_field_exists(struct sched_entity, cfs_rq);
}

/* Outside a switch. */
AP_INLINE uint64_t switch_clock_from(uint64_t monotonic)
{
	return monotonic - (uint64_t)switch_clock_behind;
}

/* From a thread's kernel stack: the same for all that have their own. Idle CPUs have not, nor do some threads of
 * the first processes (the kernel's answer is the boot CPU's stack, 6.18). There in both variants: to user space
 * they look alike. */
uint64_t registers_at = 0;

#define KERNEL_STACK_MAX (1u << 17) /* the largest, arm64's with checks of memory built in */

#ifdef AP_KFUNCS
AP_RARE int find_registers(struct task_struct *task)
{
	void *regs = task ? (void *)bpf_task_pt_regs(task) : 0;
	uint64_t address = 0, at;

	if (!task)
		return 0;
	/* As a number: the verifier lets nobody calculate with typed pointers. */
	bpf_probe_read_kernel(&address, sizeof(address), &regs);
	at = address - KERNEL_FIELD(struct task_struct, stack, (uint64_t)task);
	if (at < KERNEL_STACK_MAX)
		registers_at = at;
	return 0;
}
#endif

/* With which a thread entered the kernel. */
AP_INLINE struct pt_regs___kernel *user_registers(struct task_struct *task)
{
#ifdef AP_KFUNCS
	if (!registers_at)
		find_registers(task);
	return bpf_rdonly_cast((void *)((uint64_t)task->stack + registers_at),
			       bpf_core_type_id_kernel(struct pt_regs___kernel));
#else
	return (void *)bpf_task_pt_regs(task);
#endif
}

/* 32-bit programs number their calls differently; none of theirs that waits has these numbers. */
AP_INLINE long system_call(struct task_struct *task)
{
	return AP_SYSCALL(user_registers(task));
}

AP_INLINE bool is_in_futex(struct task_struct *task)
{
	long call = system_call(task);

	return call == AP_SYSCALL_FUTEX || call == FUTEX_WAIT || call == FUTEX_WAITV;
}

AP_INLINE bool is_waking_futex(struct task_struct *task)
{
	long call = system_call(task);

	return call == AP_SYSCALL_FUTEX || call == FUTEX_WAKE || call == FUTEX_REQUEUE;
}

/* The current task is a bystander. Where that cannot be told for sure, one that is in no system call is. */
AP_INLINE bool is_in_interrupt(struct ap_wait_stats *stats, struct task_struct *current)
{
#if defined(__TARGET_ARCH_arm64)
	return current->thread_info.preempt_count & IN_INTERRUPT;
#else
	/* Read anew, as a number: the verifier lets nobody calculate with typed pointers. */
	if (preempt_count_at && has_run_queue(stats, current))
		return kernel_word(*(volatile uint64_t *)&stats->run_queue +
				   (uint64_t)preempt_count_at) &
		       IN_INTERRUPT;
	return is_kernel_thread(current) || system_call(current) < 0;
#endif
}

/* A signal, or a debugger, wants the thread. */
AP_INLINE bool has_signal(struct task_struct *task)
{
	unsigned long pending =
		task->pending.signal.sig[0] | task->signal->shared_pending.signal.sig[0];

	return (pending & ~task->blocked.sig[0]) || task->jobctl & JOB_PENDING;
}

#endif

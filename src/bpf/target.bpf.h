/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Whom the programs profile. Process ids are those that the agent's pid namespace uses: a process that
 * is not in it cannot be named by the agent and is none of the targets. */
#ifndef AP_BPF_TARGET_BPF_H
#define AP_BPF_TARGET_BPF_H

#include "bpf/function.bpf.h"
#include "bpf/kernel.bpf.h"

enum { TARGET_MACHINE, TARGET_PIDS, TARGET_CGROUP }; /* enum ap_target */

const volatile uint32_t target = TARGET_MACHINE;
const volatile uint32_t pid_level = 0;
const volatile uint32_t pid_ns = 0;

/* Thread group ids in the agent's pid namespace that are to be profiled. Preallocated, as
 * programs on perf events need it before Linux 6.1. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, uint32_t);
	__type(value, uint8_t);
} target_pids SEC(".maps");

/* Those of them that end: the kernel's work of it goes on after the tracepoint, with newer kernels the
 * freeing of its memory too, and is a twentieth of what a process costs that lives for milliseconds.
 * Nothing tells when it is over, so the oldest make room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, uint32_t);
	__type(value, uint8_t);
} ending_pids SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} target_cgroup SEC(".maps");

/* The number of `task` in the agent's pid namespace; 0 where it has none. */
AP_INLINE uint32_t task_number(struct task_struct *task)
{
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid upid;

	if (!pid || BPF_CORE_READ(pid, level) < pid_level)
		return 0;
	if (bpf_probe_read_kernel(&upid, bpf_core_type_size(struct upid),
				  (void *)pid + bpf_core_field_offset(struct pid, numbers) +
					  pid_level * bpf_core_type_size(struct upid)))
		return 0;
	if (BPF_CORE_READ(upid.ns, ns.inum) != pid_ns)
		return 0;
	return upid.nr;
}

AP_INLINE uint32_t task_tgid(struct task_struct *task)
{
	if (pid_level == 0)
		return BPF_CORE_READ(task, tgid);
	return task_number(BPF_CORE_READ(task, group_leader));
}

AP_INLINE int is_target(struct task_struct *task, uint32_t tgid)
{
	if (tgid == 0)
		return 0;
	if (target == TARGET_PIDS)
		return bpf_map_lookup_elem(&target_pids, &tgid) ||
		       (BPF_CORE_READ(task, flags) & PF_EXITING &&
			bpf_map_lookup_elem(&ending_pids, &tgid));
	if (target == TARGET_CGROUP)
		return bpf_current_task_under_cgroup(&target_cgroup, 0) == 1;
	return 1;
}

AP_INLINE uint64_t cgroup_id(struct task_struct *task)
{
	return task->cgroups->dfl_cgrp->kn->id;
}

/* A task without user code. */
AP_INLINE bool is_kernel_thread(struct task_struct *task)
{
	return (task->flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)) || !task->mm;
}

#endif

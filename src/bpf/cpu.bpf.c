/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* CPU sampling. A perf event with a fixed period fires on each CPU; the program writes one record
 * (abi/record.h) for the task that it finds there, or counts why not. Every run ends in exactly
 * one counter of struct ap_cpu_stats, so that what the perf counter says has elapsed can be
 * accounted for to the last period. It does not run while the CPU is idle (src/agent/capture.c); those
 * periods are counted where the event's timer expires.
 *
 * Compiled twice: with AP_KFUNCS for kernels that have the functions open-coded iterators need (6.4), and
 * without, since libbpf refuses an object that mentions what the kernel does not have. */
#include "bpf/kernel.bpf.h"

#include <bpf/bpf_tracing.h>

#include "abi/cpu.h"

#define ap_read_user(w, dst, bytes, address) \
	((int)bpf_probe_read_user((dst), (bytes), (const void *)(address)))
#include "bpf/store.bpf.h"

#include "bpf/record.bpf.h"

struct ap_location location = {};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct ap_cpu_stats);
} cpu_stats SEC(".maps");

/* The timer that expired last on a CPU, and the one that our event there has: addresses to compare, and
 * never to follow. */
struct timers {
	uint64_t last, own;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct timers);
} timers SEC(".maps");

/* The registers with which the task was or will be executing user code: a reason why there are none,
 * or AP_REASON_OK. */
AP_INLINE uint32_t user_registers(struct bpf_perf_event_data *ctx, struct task_struct *task,
				  bool user_mode, struct ap_walk *w)
{
	struct pt_regs___kernel *regs = (void *)bpf_task_pt_regs(task);

	if (AP_KERNEL_IS_COMPAT(regs))
		return AP_REASON_COMPAT;
	w->pc = user_mode ? ap_arch_perf_registers(&ctx->regs, w->regs)
			  : ap_arch_kernel_registers(regs, w->regs);
	return w->pc ? AP_REASON_OK : AP_REASON_NO_REGISTERS;
}

AP_INLINE void build_record(struct bpf_perf_event_data *ctx, struct task_struct *task,
			    uint32_t tgid, struct scratch *s)
{
	struct ap_record *r = (void *)s->record;
	bool user_mode = AP_REGS_USER_MODE(&ctx->regs);

	record_begin(s, AP_RECORD_CPU, task, tgid, bpf_get_current_cgroup_id());
	r->value = ctx->sample_period;
	if (user_mode)
		r->flags |= AP_RECORD_F_USER_MODE;
	else
		record_kernel(s, bpf_get_stack(ctx, s->record + KERNEL_AT + 4, KERNEL_BYTES, 0));
	if (is_kernel_thread(task)) {
		r->flags |= AP_RECORD_F_KTHREAD;
		return;
	}
	r->reason = user_registers(ctx, task, user_mode, &s->walk);
	if (r->reason != AP_REASON_OK)
		return;
	walk_begin(&s->walk, task, current_mm(), r->start_time);
	record_user(s, user_mode);
}

AP_INLINE void sample(struct bpf_perf_event_data *ctx, struct ap_cpu_stats *stats)
{
	struct task_struct *task = bpf_get_current_task_btf();
	uint32_t zero = 0, tgid;
	struct scratch *s;

	tgid = pid_level ? task_tgid(task) : (uint32_t)task->tgid;
	if (!is_target(task, tgid)) {
		stats->filtered++;
		return;
	}
	s = bpf_map_lookup_elem(&scratches, &zero);
	if (!s) {
		stats->no_scratch++;
		return;
	}
	s->walk.noticed = 0;
	build_record(ctx, task, tgid, s);
	if (record_send(s))
		stats->ringbuf_full++;
	else
		stats->delivered++;
	if (s->walk.noticed)
		send_notices(s, tgid);
}

/* An event that excludes idle time says nothing of the periods that it left out, so its timer is watched.
 * /proc/stat does not do in their place: work on the way into and out of idle is no idle time there, and a
 * virtual CPU that rests and wakes thousands of times a second gets a good part of its timer interrupts
 * only then, some microseconds late. */
SEC("raw_tp/hrtimer_expire_entry")
int ap_timer(struct bpf_raw_tracepoint_args *ctx)
{
	uint32_t zero = 0, cpu;
	struct timers *t = bpf_map_lookup_elem(&timers, &zero);
	struct ap_cpu_stats *stats;

	if (!t)
		return 0;
	t->last = ctx->args[0];
	if (t->last != t->own || (uint32_t)bpf_get_current_pid_tgid() != 0)
		return 0;
	cpu = bpf_get_smp_processor_id();
	stats = bpf_map_lookup_elem(&cpu_stats, &cpu);
	if (stats)
		stats->idle++;
	return 0;
}

/* The event's timer is the one that has just expired. */
AP_INLINE void learn_timer(void)
{
	uint32_t zero = 0;
	struct timers *t = bpf_map_lookup_elem(&timers, &zero);

	if (t)
		t->own = t->last;
}

SEC("perf_event")
int ap_cpu(struct bpf_perf_event_data *ctx)
{
	uint32_t cpu = bpf_get_smp_processor_id();
	struct ap_cpu_stats *stats = bpf_map_lookup_elem(&cpu_stats, &cpu);
	uint64_t begin;

	if (!stats)
		return 0;
	use_store();
	learn_timer();
	if (stats->runs++ % AP_CPU_TIMED_EVERY) {
		sample(ctx, stats);
		return 0;
	}
	begin = bpf_ktime_get_ns();
	sample(ctx, stats);
	stats->timed_ns += bpf_ktime_get_ns() - begin;
	stats->timed_runs++;
	return 0;
}

/* Children of targets are targets, from before their first instruction. */
SEC("raw_tp/sched_process_fork")
int ap_fork(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *parent = (void *)ctx->args[0], *child = (void *)ctx->args[1];
	uint32_t parent_tgid = task_tgid(parent), tgid = task_tgid(child);
	uint8_t one = 1;

	if (tgid && tgid != parent_tgid && bpf_map_lookup_elem(&target_pids, &parent_tgid))
		bpf_map_update_elem(&target_pids, &tgid, &one, BPF_ANY);
	return 0;
}

/* The tracepoint fires for each thread; the process is gone when none is live. */
SEC("raw_tp/sched_process_exit")
int ap_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)ctx->args[0];
	uint32_t tgid = task_tgid(task);
	uint8_t one = 1;

	if (BPF_CORE_READ(task, signal, live.counter) == 0 &&
	    bpf_map_delete_elem(&target_pids, &tgid) == 0)
		bpf_map_update_elem(&ending_pids, &tgid, &one, BPF_ANY);
	return 0;
}

/* Run once by the agent upon itself (BPF_PROG_TEST_RUN): user space cannot tell how deep its pid
 * namespace lies. */
SEC("raw_tp")
int ap_locate(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct pid *pid = BPF_CORE_READ(task, thread_pid);
	struct upid upid;

	location.pid_level = BPF_CORE_READ(pid, level);
	if (bpf_probe_read_kernel(&upid, bpf_core_type_size(struct upid),
				  (void *)pid + bpf_core_field_offset(struct pid, numbers) +
					  location.pid_level * bpf_core_type_size(struct upid)))
		return 0;
	location.pid_ns = BPF_CORE_READ(upid.ns, ns.inum);
	location.done = 1;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

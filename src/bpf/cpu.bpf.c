/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* CPU sampling. A perf event with a fixed period fires on each CPU; the program writes one record
 * (abi/record.h) for the task that it finds there, or counts why not. Every run ends in exactly
 * one counter of struct ap_cpu_stats, so that what the perf counter says has elapsed can be
 * accounted for to the last period. It does not run while the CPU is idle (src/agent/capture.c); those
 * periods are counted where the event's timer expires.
 *
 * Compiled twice: with AP_KFUNCS for kernels that have the functions open-coded iterators need (6.4), and
 * without, since libbpf refuses an object that mentions what the kernel does not have.
 *
 * Process ids are those that the agent's pid namespace uses: a process that is not in it cannot be
 * named by the agent and counts as filtered. */
#include "bpf/kernel.bpf.h"

#include <bpf/bpf_tracing.h>

#include "abi/cpu.h"

#define ap_read_user(dst, bytes, address) \
	((int)bpf_probe_read_user((dst), (bytes), (const void *)(address)))
#include "bpf/store.bpf.h"

#include "bpf/unwind.bpf.h"

#include "bpf/mapping.bpf.h"

#define KERNEL_BYTES (AP_KERNEL_FRAMES_MAX * 8)
#define COMM_AT	     sizeof(struct ap_record)
#define KERNEL_AT    (COMM_AT + 24) /* 4 of header and 16 of comm, 8-byte aligned */

/* Sections are packed without gaps, so the record needs room for the largest of each. */
struct scratch {
	struct ap_walk walk;
	struct notice {
		struct ap_record head;
		struct ap_section section;
		struct ap_file_notice file;
		uint32_t pad;
	} __attribute__((packed)) notice;
	unsigned char record[KERNEL_AT + 8 + KERNEL_BYTES + 8 + AP_USER_FRAMES_MAX * 8];
};

enum { TARGET_MACHINE, TARGET_PIDS, TARGET_CGROUP }; /* enum ap_target */

const volatile uint32_t target = TARGET_MACHINE;
const volatile uint32_t max_user_frames = AP_USER_FRAMES_DEFAULT;
const volatile uint32_t pid_level = 0;
const volatile uint32_t pid_ns = 0;
const volatile uint64_t wakeup_bytes = 1 << 20;

struct ap_location location = {};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 << 20);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct scratch);
} scratches SEC(".maps");

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

AP_INLINE void put_section(unsigned char *at, uint16_t kind, uint16_t bytes)
{
	*(uint32_t *)at = kind | (uint32_t)bytes << 16;
}

/* The registers with which the task was or will be executing user code: a reason why there are none,
 * or AP_REASON_OK. */
AP_INLINE uint32_t user_registers(struct bpf_perf_event_data *ctx, struct task_struct *task,
				  int user_mode, uint64_t start_time, struct ap_walk *w)
{
	struct pt_regs___kernel *regs = (void *)bpf_task_pt_regs(task);

	if (AP_KERNEL_IS_COMPAT(regs))
		return AP_REASON_COMPAT;
	w->pc = user_mode ? ap_arch_perf_registers(&ctx->regs, w->regs)
			  : ap_arch_kernel_registers(regs, w->regs);
	w->end = task->mm->start_stack;
	w->tls = AP_THREAD_POINTER(task);
	w->group = (uint32_t)(start_time * AP_MIX_1 >> 40);
	w->space = map_space(start_time, w->end);
	ap_walk_begin(w);
	return w->pc ? AP_REASON_OK : AP_REASON_NO_REGISTERS;
}

/* Fills the record in `s` and returns its size. */
AP_INLINE uint32_t build_record(struct bpf_perf_event_data *ctx, struct task_struct *task,
				uint32_t tgid, struct scratch *s)
{
	struct ap_record *r = (void *)s->record;
	unsigned char *p = s->record;
	int user_mode = AP_REGS_USER_MODE(&ctx->regs);
	uint32_t flags = user_mode ? AP_RECORD_F_USER_MODE : 0, n_sections = 1, at = KERNEL_AT;
	long kernel = 0;

	r->type = AP_RECORD_CPU;
	r->cpu = bpf_get_smp_processor_id();
	r->time = bpf_ktime_get_ns();
	r->tgid = tgid;
	r->tid = pid_level ? task_number(task) : (uint32_t)task->pid;
	r->start_time = task->group_leader->start_boottime;
	r->cgroup = bpf_get_current_cgroup_id();
	r->value = ctx->sample_period;
	r->reason = AP_REASON_KERNEL_ONLY;

	put_section(p + COMM_AT, AP_SECTION_COMM, AP_COMM_BYTES);
	bpf_get_current_comm(p + COMM_AT + 4, AP_COMM_BYTES);

	if (!user_mode)
		kernel = bpf_get_stack(ctx, p + KERNEL_AT + 4, KERNEL_BYTES, 0);
	if (kernel < 0)
		kernel = 0;
	/* Without the barrier the compiler makes one comparison of both bounds, on a copy, from
	 * which Linux 6.1's verifier learns nothing about `kernel`. */
	barrier_var(kernel);
	if (kernel && kernel <= KERNEL_BYTES) {
		put_section(p + KERNEL_AT, AP_SECTION_KERNEL_STACK, kernel);
		at += kernel + 8;
		n_sections++;
		if (kernel == KERNEL_BYTES)
			flags |= AP_RECORD_F_KSTACK_CUT;
	}

	if ((task->flags & (PF_KTHREAD | PF_IO_WORKER | PF_USER_WORKER)) || !task->mm) {
		flags |= AP_RECORD_F_KTHREAD;
	} else if ((r->reason = user_registers(ctx, task, user_mode, r->start_time, &s->walk)) ==
			   AP_REASON_OK &&
		   at <= KERNEL_AT + KERNEL_BYTES + 8) {
		uint64_t *frames = (void *)(p + at + 4);
		uint32_t n;

		ap_walk_user(&s->walk, frames, max_user_frames);
		r->reason = s->walk.reason;
		n = s->walk.depth;
		/* execve() has put away the memory that the registers speak of. */
		if (!user_mode && n == 1 && r->reason == AP_REASON_NO_MAPPING) {
			r->reason = AP_REASON_KERNEL_ONLY;
			n = 0;
		}
		if (n > AP_USER_FRAMES_MAX)
			n = AP_USER_FRAMES_MAX;
		put_section(p + at, AP_SECTION_USER_STACK, n * 8);
		at += n * 8 + 8;
		n_sections++;
	}
	r->flags = flags;
	r->n_sections = n_sections;
	r->size = at;
	return at;
}

/* Tells user space of mapped files that the walk met and nobody knew. They are told again as long as they
 * are met, so that a full ring buffer loses nothing. */
AP_INLINE void send_notices(struct scratch *s, uint32_t tgid)
{
	s->notice.head.type = AP_RECORD_FILE;
	s->notice.head.n_sections = 1;
	s->notice.head.size = sizeof(s->notice);
	s->notice.head.time = bpf_ktime_get_ns();
	s->notice.head.tgid = tgid;
	put_section((void *)&s->notice.section, AP_SECTION_FILE, sizeof(s->notice.file));
	for (uint32_t i = 0; i < AP_WALK_NOTICES && i < s->walk.noticed; i++) {
		s->notice.file = s->walk.notices[i];
		bpf_ringbuf_output(&records, &s->notice, sizeof(s->notice), BPF_RB_FORCE_WAKEUP);
	}
}

AP_INLINE void sample(struct bpf_perf_event_data *ctx, struct ap_cpu_stats *stats)
{
	struct task_struct *task = bpf_get_current_task_btf();
	uint32_t zero = 0, size, tgid;
	struct scratch *s;
	uint64_t wakeup;

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
	size = build_record(ctx, task, tgid, s);
	if (size > sizeof(s->record)) {
		stats->no_scratch++;
		return;
	}
	wakeup = bpf_ringbuf_query(&records, BPF_RB_AVAIL_DATA) >= wakeup_bytes
			 ? BPF_RB_FORCE_WAKEUP
			 : BPF_RB_NO_WAKEUP;
	if (bpf_ringbuf_output(&records, s->record, size, wakeup))
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

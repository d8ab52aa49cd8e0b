/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Time off the CPU. When the scheduler takes a thread from a CPU, the time is noted in the thread's own
 * storage; when it puts it back, the wait is over. One shorter than the threshold is added to the
 * thread's sums, a longer one becomes a record with the kernel's and the user stack, which are those
 * that the thread left the CPU with: it has not run since. It is not the current one yet either, so its
 * memory is read by way of its page tables (bpf/foreign.bpf.h).
 *
 * An iterator over all threads, which the agent runs at each collection, tells of the sums and of waits that
 * go on. `from` is where the part of a wait begins that has not been told of: whoever takes it by an
 * atomic exchange tells of the time up to then, so that no part is told of twice or never. Sums only ever
 * grow; what was told of them is kept beside them.
 *
 * A kernel may run no programs in some of its threads, so the switch from one of those to a thread that waited
 * is not seen. That one's next switch shows it: it leaves the CPU and was never put on it. Its CPU time then
 * tells how long it waited; with which stack is not known any more, so that goes into the sums.
 *
 * Waits for locks of programs are those in the system call futex(), whose registers are at hand. When one is
 * about to end, whoever ends it is the current task: its stack tells where the lock was given back.
 *
 * Kernel threads are left out: they wait for work. */
#include "bpf/kernel.bpf.h"

#include <bpf/bpf_tracing.h>

#include "abi/offcpu.h"

#include "bpf/foreign.bpf.h"
#define ap_read_user(w, dst, bytes, address) foreign_read((w)->mm, (dst), (bytes), (address))
#include "bpf/store.bpf.h"

#include "bpf/record.bpf.h"

#define TASK_UNINTERRUPTIBLE 2
#define TASK_STOPPED	     (4 | 8) /* by a signal, by a debugger */
#define CGROUP_LEVELS	     32
#define FUTEX_WAITV	     449 /* asm-generic/unistd.h; on x86-64 too */
#define FUTEX_WAKE	     454
#define FUTEX_WAIT	     455
#define TIMED_EVERY	     64
#define PACE_BYTES	     64

const volatile uint64_t threshold_ns = 1000000;
const volatile uint64_t target_cgroup_id = 0;
const volatile uint16_t kinds = AP_RECORD_F_OFFCPU; /* what is told of: that and AP_RECORD_F_LOCK */

uint64_t started = 0; /* CLOCK_MONOTONIC: nothing is told of what was before */

struct wait {
	uint64_t since; /* when the thread left the CPU */
	uint64_t from;	/* up to when that was told of; 0: it is on a CPU */
	uint64_t ran;	/* the thread's CPU time when it left */
	uint32_t state;
	uint32_t pad;
	struct ap_lock waker; /* of a wait for a lock: who has ended it */
	struct ap_wait_sums sums, told;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct wait);
} waits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct ap_wait_stats);
} wait_stats SEC(".maps");

/* The iterator's own: a switch may come in between. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct scratch);
} iterator_scratches SEC(".maps");

AP_INLINE struct ap_wait_stats *stats_here(void)
{
	uint32_t cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&wait_stats, &cpu);
}

AP_INLINE uint64_t cgroup_id(struct task_struct *task)
{
	return task->cgroups->dfl_cgrp->kn->id;
}

AP_INLINE bool is_in_target_cgroup(struct task_struct *task)
{
	struct cgroup *c = task->cgroups->dfl_cgrp;

	for (int i = 0; i < CGROUP_LEVELS && c; i++) {
		if (BPF_CORE_READ(c, kn, id) == target_cgroup_id)
			return true;
		c = (struct cgroup *)BPF_CORE_READ(c, self.parent); /* its first member */
	}
	return false;
}

AP_INLINE bool is_followed(struct task_struct *task)
{
	if (target == TARGET_CGROUP)
		return is_in_target_cgroup(task);
	return is_target(task, pid_level ? task_tgid(task) : (uint32_t)task->tgid);
}

AP_INLINE long system_call(struct task_struct *task)
{
	struct pt_regs___kernel *regs = (void *)bpf_task_pt_regs(task);

	return AP_KERNEL_IS_COMPAT(regs) ? -1 : AP_SYSCALL(regs);
}

AP_INLINE bool is_in_futex(struct task_struct *task)
{
	long call = system_call(task);

	return call == AP_SYSCALL_FUTEX || call == FUTEX_WAIT || call == FUTEX_WAITV;
}

AP_INLINE uint64_t futex_address(struct task_struct *task)
{
	struct pt_regs___kernel *regs = (void *)bpf_task_pt_regs(task);

	return AP_SYSCALL(regs) == FUTEX_WAITV ? 0 : AP_SYSCALL_ARGUMENT(regs);
}

AP_INLINE uint32_t state_of(struct task_struct *task, bool preempted)
{
	uint32_t state = preempted ? 0 : task->__state;

	if (state == 0)
		return AP_WAIT_RUNNABLE;
	if (state & TASK_STOPPED)
		return AP_WAIT_STOPPED;
	if (state & TASK_UNINTERRUPTIBLE)
		return AP_WAIT_BLOCKED;
	return is_in_futex(task) ? AP_WAIT_LOCK : AP_WAIT_SLEEPING;
}

AP_INLINE void begin_wait(struct wait *w, struct task_struct *task, uint32_t state, uint64_t now)
{
	w->ran = task->se.sum_exec_runtime;
	w->waker.tid = 0;
	w->state = state;
	w->since = now;
	w->from = now;
}

AP_INLINE void add_to_sums(struct wait *w, uint64_t ns)
{
	uint32_t state = w->state;

	if (state >= AP_WAIT_STATES)
		return;
	w->sums.count[state]++;
	w->sums.ns[state] += ns;
}

/* Appends a section at the record's end, of a multiple of 8 bytes. */
AP_INLINE int record_section(struct scratch *s, uint16_t kind, const void *payload, uint32_t bytes)
{
	struct ap_record *r = (void *)s->record;
	uint32_t at = r->size;

	if (at > sizeof(s->record) - MORE_BYTES)
		return -1;
	put_section(s->record + at, kind, bytes);
	__builtin_memcpy(s->record + at + 4, payload, bytes);
	*(uint32_t *)(s->record + at + 4 + bytes) = 0;
	r->size = at + 8 + bytes;
	r->n_sections++;
	return 0;
}

AP_INLINE int record_lock(struct scratch *s, struct task_struct *task, const struct wait *w)
{
	struct ap_lock lock = w->waker;

	if (!lock.tid)
		__builtin_memset(&lock, 0, sizeof(lock));
	lock.address = futex_address(task);
	return record_section(s, AP_SECTION_LOCK, &lock, sizeof(lock));
}

/* Writes the record of a wait's part that ends now. 0, or negative: there was no room. */
AP_INLINE long tell(struct scratch *s, struct task_struct *task, const struct wait *w, uint64_t ns,
		    uint16_t flags)
{
	struct ap_record *r = (void *)s->record;
	struct pt_regs___kernel *regs = (void *)bpf_task_pt_regs(task);
	struct ap_wait wait = {.since = w->since, .state = w->state};
	long sent;

	s->walk.noticed = 0;
	record_begin(s, AP_RECORD_OFFCPU, task, pid_level ? task_tgid(task) : (uint32_t)task->tgid,
		     cgroup_id(task));
	r->value = ns;
	r->flags = flags | kinds;
	record_kernel(s, bpf_get_task_stack(task, s->record + KERNEL_AT + 4, KERNEL_BYTES, 0));
	if (AP_KERNEL_IS_COMPAT(regs)) {
		r->reason = AP_REASON_COMPAT;
	} else {
		s->walk.pc = ap_arch_kernel_registers(regs, s->walk.regs);
		walk_begin(&s->walk, task, KERNEL_FIELD(struct task_struct, mm, (uint64_t)task),
			   r->start_time);
		record_user(s, false);
	}
	if (record_section(s, AP_SECTION_WAIT, &wait, sizeof(wait)))
		return -1;
	if (kinds & AP_RECORD_F_LOCK && w->state == AP_WAIT_LOCK && record_lock(s, task, w))
		return -1;
	sent = record_send(s);
	if (s->walk.noticed)
		send_notices(s, r->tgid);
	return sent;
}

/* Of locks alone no other waits are told. */
AP_INLINE bool is_told(uint32_t state)
{
	return kinds & AP_RECORD_F_OFFCPU || state == AP_WAIT_LOCK;
}

AP_INLINE void leave(struct task_struct *task, bool preempted, uint64_t now,
		     struct ap_wait_stats *stats)
{
	struct wait *w;
	uint32_t state;
	uint64_t from;

	if (is_kernel_thread(task) || task->flags & PF_EXITING)
		return;
	w = bpf_task_storage_get(&waits, task, 0, 0);
	if (!w) {
		if (!is_followed(task))
			return;
		w = bpf_task_storage_get(&waits, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!w) {
			stats->no_storage++;
			stats->ended++;
			return;
		}
	}
	from = __sync_lock_test_and_set(&w->from, 0);
	if (from) {
		uint64_t ran = task->se.sum_exec_runtime - w->ran;

		add_to_sums(w, now - from > ran ? now - from - ran : 0);
		stats->ended++;
		stats->summed++;
	}
	state = state_of(task, preempted);
	if (is_told(state))
		begin_wait(w, task, state, now);
}

AP_INLINE void enter(struct task_struct *task, uint64_t now, struct ap_wait_stats *stats)
{
	uint64_t from, ns;
	uint32_t zero = 0;
	struct scratch *s;
	struct wait *w;

	if (is_kernel_thread(task))
		return;
	w = bpf_task_storage_get(&waits, task, 0, 0);
	if (!w || !w->from)
		return;
	from = __sync_lock_test_and_set(&w->from, 0);
	stats->ended++;
	ns = now - w->since;
	if (ns < threshold_ns) {
		add_to_sums(w, ns);
		stats->summed++;
		return;
	}
	s = bpf_map_lookup_elem(&scratches, &zero);
	if (s && tell(s, task, w, now > from ? now - from : 0, 0) == 0)
		stats->delivered++;
	else
		stats->ringbuf_full++;
}

SEC("tp_btf/sched_switch")
int ap_switch(uint64_t *ctx)
{
	struct task_struct *prev = (void *)ctx[1], *next = (void *)ctx[2];
	uint64_t now = bpf_ktime_get_ns();
	struct ap_wait_stats *stats = stats_here();

	if (!stats)
		return 0;
	use_store();
	leave(prev, ctx[0], now, stats);
	enter(next, now, stats);
	if (stats->runs++ % TIMED_EVERY == 0) {
		stats->timed_ns += bpf_ktime_get_ns() - now;
		stats->timed_runs++;
	}
	return 0;
}

/* Writes the record of who ended a wait, with the stack in which it did. */
AP_INLINE long tell_waker(void *ctx, struct scratch *s, struct task_struct *waker,
			  struct task_struct *waited, uint64_t ns)
{
	struct ap_record *r = (void *)s->record;
	struct pt_regs___kernel *regs = (void *)bpf_task_pt_regs(waker);
	struct ap_lock lock = {.address = futex_address(waited)};

	s->walk.noticed = 0;
	record_begin(s, AP_RECORD_WAKER, waker,
		     pid_level ? task_tgid(waker) : (uint32_t)waker->tgid, cgroup_id(waker));
	r->value = ns;
	r->flags = AP_RECORD_F_LOCK;
	record_kernel(s, bpf_get_stack(ctx, s->record + KERNEL_AT + 4, KERNEL_BYTES, 0));
	s->walk.pc = ap_arch_kernel_registers(regs, s->walk.regs);
	walk_begin(&s->walk, waker, current_mm(), r->start_time);
	record_user(s, false);
	lock.tgid = pid_level ? task_tgid(waited) : (uint32_t)waited->tgid;
	lock.tid = pid_level ? task_number(waited) : (uint32_t)waited->pid;
	__builtin_memcpy(lock.comm, waited->comm, AP_COMM_BYTES);
	return record_section(s, AP_SECTION_LOCK, &lock, sizeof(lock)) ? -1 : record_send(s);
}

/* Fires for a task that is about to be woken, in whoever wakes it: a thread in futex(), where it gave a
 * lock back; another, when a time-out or a signal did. */
SEC("tp_btf/sched_waking")
int ap_waking(uint64_t *ctx)
{
	struct task_struct *task = (void *)ctx[0], *waker = bpf_get_current_task_btf();
	struct wait *w = bpf_task_storage_get(&waits, task, 0, 0);
	struct ap_wait_stats *stats = stats_here();
	uint64_t now = bpf_ktime_get_ns(), from;
	uint32_t zero = 0;
	struct scratch *s;

	if (!w || !stats || w->state != AP_WAIT_LOCK)
		return 0;
	from = w->from;
	if (!from || now < w->since + threshold_ns || is_kernel_thread(waker) ||
	    !(system_call(waker) == AP_SYSCALL_FUTEX || system_call(waker) == FUTEX_WAKE))
		return 0;
	use_store();
	w->waker.tgid = pid_level ? task_tgid(waker) : (uint32_t)waker->tgid;
	w->waker.tid = pid_level ? task_number(waker) : (uint32_t)waker->pid;
	__builtin_memcpy(w->waker.comm, waker->comm, AP_COMM_BYTES);
	s = bpf_map_lookup_elem(&scratches, &zero);
	if (s && tell_waker(ctx, s, waker, task, now - w->since) == 0)
		stats->wakers++;
	else
		stats->wakers_lost++;
	return 0;
}

struct sums_record {
	struct ap_record head;
	struct ap_section comm_section;
	char comm[AP_COMM_BYTES];
	uint32_t comm_pad;
	struct ap_section section;
	struct ap_wait_sums sums;
	uint32_t pad;
} __attribute__((packed));

/* Tells of what the sums have grown by. Not inlined: the stack of the caller has no room for the record. */
static __attribute__((noinline)) void tell_sums(struct task_struct *task, struct wait *w)
{
	struct sums_record r = {};
	uint64_t any = 0;

	for (int i = 0; i < AP_WAIT_STATES; i++) {
		r.sums.count[i] = w->sums.count[i] - w->told.count[i];
		r.sums.ns[i] = w->sums.ns[i] - w->told.ns[i];
		any |= r.sums.count[i];
	}
	if (!any)
		return;
	r.head.type = AP_RECORD_WAIT_SUMS;
	r.head.flags = kinds;
	r.head.n_sections = 2;
	r.head.size = sizeof(r);
	r.head.time = bpf_ktime_get_ns();
	r.head.tgid = pid_level ? task_tgid(task) : (uint32_t)task->tgid;
	r.head.tid = pid_level ? task_number(task) : (uint32_t)task->pid;
	r.head.start_time = task->group_leader->start_boottime;
	r.head.cgroup = cgroup_id(task);
	r.comm_section.kind = AP_SECTION_COMM;
	r.comm_section.bytes = AP_COMM_BYTES;
	__builtin_memcpy(r.comm, task->comm, AP_COMM_BYTES);
	r.section.kind = AP_SECTION_WAIT_SUMS;
	r.section.bytes = sizeof(r.sums);
	if (bpf_ringbuf_output(&records, &r, sizeof(r), BPF_RB_NO_WAKEUP))
		return; /* they are told of the next time */
	for (int i = 0; i < AP_WAIT_STATES; i++) {
		w->told.count[i] += r.sums.count[i];
		w->told.ns[i] += r.sums.ns[i];
	}
}

/* What a thread has left to tell when it ends. */
SEC("tp_btf/sched_process_exit")
int ap_wait_exit(uint64_t *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct wait *w = bpf_task_storage_get(&waits, task, 0, 0);

	if (!w)
		return 0;
	tell_sums(task, w);
	bpf_task_storage_delete(&waits, task);
	return 0;
}

/* The part so far of a wait that goes on. */
AP_INLINE void tell_waiting(struct task_struct *task, struct wait *w)
{
	uint64_t now = bpf_ktime_get_ns(), from = w->from;
	uint32_t zero = 0;
	struct scratch *s;

	if (!from || task->on_cpu || now < w->since + threshold_ns || now <= from)
		return;
	s = bpf_map_lookup_elem(&iterator_scratches, &zero);
	if (!s || __sync_val_compare_and_swap(&w->from, from, now) != from)
		return;
	if (tell(s, task, w, now - from, AP_RECORD_F_GOES_ON))
		__sync_val_compare_and_swap(&w->from, now, from); /* the next time */
}

/* What is written to the reader has no meaning but to end its read() now and then, so that it empties the
 * ring buffer in between. */
const volatile char pace[PACE_BYTES] = {1};

SEC("iter/task")
int ap_waiting(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct wait *w;

	use_store();
	if (!task || is_kernel_thread(task) || task->flags & PF_EXITING)
		return 0;
	w = bpf_task_storage_get(&waits, task, 0, 0);
	if (!w && !task->on_cpu && is_told(state_of(task, false)) && is_followed(task)) {
		/* It has waited for longer than anybody has looked. */
		w = bpf_task_storage_get(&waits, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (w && !w->since)
			begin_wait(w, task, state_of(task, false), started);
	}
	if (!w)
		return 0;
	tell_sums(task, w);
	tell_waiting(task, w);
	bpf_seq_write(ctx->meta->seq, (const void *)pace, sizeof(pace));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Time off the CPU. When the scheduler takes a thread from a CPU, the time is noted in the thread's place
 * (bpf/wait.bpf.h); when it puts it back, the wait is over. One shorter than the threshold is added to the
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
 * about to end, whoever ends it is the current task: its stack tells where the lock was given back. Unless
 * that is an interrupt, which is a time-out, or a signal is pending. Of other waits who ends them is told if it
 * is asked for: it costs each waking of a thread, and each long wait a second record.
 *
 * Times of waits are the scheduler's (bpf/scheduler.bpf.h), those of records CLOCK_MONOTONIC.
 *
 * What is told may change while the programs run, and they may be detached for a while and attached again; the
 * threads' places outlive both. A wait of an earlier epoch counts for nothing. Waits
 * that were not told of and go on when they come to be told of are found by the iterator, and begin at `widened`.
 *
 * Kernel threads are left out: they wait for work. */
#include "bpf/kernel.bpf.h"

#include <bpf/bpf_tracing.h>

#include "abi/offcpu.h"

#include "bpf/foreign.bpf.h"
#define ap_read_user(w, dst, bytes, address) foreign_read((w)->mm, (dst), (bytes), (address))
#include "bpf/store.bpf.h"

#include "bpf/record.bpf.h"
#include "bpf/scheduler.bpf.h"
#include "bpf/wait.bpf.h"

#define TASK_UNINTERRUPTIBLE 2
#define TASK_STOPPED	     (4 | 8) /* by a signal, by a debugger */
#define CGROUP_LEVELS	     32
#define TIMED_EVERY	     64
#define PACE_BYTES	     64

const volatile uint64_t target_cgroup_id = 0;

/* Set by user space, at any time. */
uint64_t threshold_ns = 0;
uint16_t kinds = 0;   /* what is told of: AP_RECORD_F_OFFCPU, AP_RECORD_F_LOCK */
bool wakers = false;  /* who ended waits for other things than locks, too */
uint32_t epoch = 0;   /* raised each time that the programs are attached */
uint64_t widened = 0; /* CLOCK_MONOTONIC: when waits of a kind came to be told of last */

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

/* Of those that futex_waitv() waits for the first: linux/futex.h, struct futex_waitv.uaddr. */
AP_INLINE uint64_t futex_address(struct task_struct *task)
{
	struct pt_regs___kernel *regs = user_registers(task);
	uint64_t address = 0;

	if (AP_KERNEL_IS_COMPAT(regs))
		return 0;
	if (AP_SYSCALL(regs) != FUTEX_WAITV)
		return AP_SYSCALL_ARGUMENT(regs);
	if (foreign_read(KERNEL_FIELD(struct task_struct, mm, (uint64_t)task), &address,
			 sizeof(address), AP_SYSCALL_ARGUMENT(regs) + 8))
		return 0;
	return address;
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
	w->end = AP_WAIT_END_UNKNOWN;
	w->named = 0;
	w->state = state;
	w->epoch = epoch;
	w->since = now;
	w->from = now;
}

AP_INLINE void add_to_sums(struct wait *w, uint64_t ns)
{
	uint32_t state = w->state;

	if (state >= AP_WAIT_STATES)
		return;
	w->sums.of[state].count++;
	w->sums.of[state].ns += ns;
}

/* The sections of the wait itself: how it was, for which lock, and who ended it. */
AP_INLINE int record_wait(struct scratch *s, struct task_struct *task, const struct wait *w,
			  uint64_t since)
{
	struct ap_wait wait = {.since = since, .state = w->state};
	struct ap_lock lock = {};
	bool is_lock = kinds & AP_RECORD_F_LOCK && w->state == AP_WAIT_LOCK;

	if (w->state == AP_WAIT_LOCK)
		wait.end = w->end;
	if (record_section(s, AP_SECTION_WAIT, &wait, sizeof(wait)))
		return -1;
	if (w->named)
		lock = w->waker;
	else if (!is_lock)
		return 0;
	if (is_lock && !(lock.address && system_call(task) == FUTEX_WAITV))
		lock.address = futex_address(task);
	return record_section(s, is_lock ? AP_SECTION_LOCK : AP_SECTION_WAKER, &lock, sizeof(lock));
}

/* Writes the record of a wait's part, from `from` until now. 0, or negative: there was no room. */
AP_RARE long tell(struct task_struct *task, const struct wait *w, uint64_t from, uint64_t now,
		  uint16_t flags)
{
	struct pt_regs___kernel *regs;
	uint32_t zero = 0;
	struct ap_record *r;
	struct scratch *s;
	long sent;

	s = flags & AP_RECORD_F_GOES_ON ? bpf_map_lookup_elem(&iterator_scratches, &zero)
					: bpf_map_lookup_elem(&scratches, &zero);
	if (!s || !task || !w)
		return -1;
	r = (void *)s->record;
	regs = (void *)bpf_task_pt_regs(task);
	s->walk.noticed = 0;
	record_begin(s, AP_RECORD_OFFCPU, task, pid_level ? task_tgid(task) : (uint32_t)task->tgid,
		     cgroup_id(task));
	r->value = now > from ? now - from : 0;
	r->flags = flags | kinds | (wakers ? AP_RECORD_F_WAKERS : 0);
	record_kernel(s, bpf_get_task_stack(task, s->record + KERNEL_AT + 4, KERNEL_BYTES, 0));
	if (AP_KERNEL_IS_COMPAT(regs)) {
		r->reason = AP_REASON_COMPAT;
	} else {
		s->walk.pc = ap_arch_kernel_registers(regs, s->walk.regs);
		walk_begin(&s->walk, task, KERNEL_FIELD(struct task_struct, mm, (uint64_t)task),
			   r->start_time);
		record_user(s, false);
	}
	if (record_wait(s, task, w, r->time - (now - w->since)))
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

/* Of locks alone few switches are of interest. Which ones the system call tells, which the kernel has at hand
 * there; what is remembered of the thread it has not. */
AP_INLINE bool is_passed_over(struct task_struct *task)
{
	return kinds == AP_RECORD_F_LOCK && !is_in_futex(task);
}

/* The end of a wait that nobody saw: the thread was put on a CPU since, or has been all along. */
AP_RARE int end_unseen(struct task_struct *task, struct wait *w, uint64_t now,
		       struct ap_wait_stats *stats)
{
	uint64_t from, ran;

	if (!task || !w || !stats)
		return 0;
	from = __sync_lock_test_and_set(&w->from, 0);
	ran = task->se.sum_exec_runtime - w->ran;
	if (w->epoch != epoch)
		return 0;
	add_to_sums(w, now > from + ran ? now - from - ran : 0);
	stats->summed++;
	return 0;
}

AP_INLINE void leave(struct task_struct *task, bool preempted, uint64_t now,
		     struct ap_wait_stats *stats)
{
	struct wait *w;
	uint32_t state;

	if (task->flags & PF_EXITING)
		return;
	w = wait_of(task);
	if (!w && (is_kernel_thread(task) || !is_followed(task)))
		return;
	state = state_of(task, preempted);
	if (w && w->from)
		end_unseen(task, w, now, stats);
	if (!is_told(state)) {
		if (w)
			w->since = now;
		return;
	}
	if (!w)
		w = take_place(task);
	if (w)
		begin_wait(w, task, state, now);
	else
		stats->no_storage++;
}

AP_INLINE void enter(struct task_struct *task, uint64_t now, struct ap_wait_stats *stats)
{
	struct wait *w = is_passed_over(task) ? 0 : wait_of(task);
	uint64_t from, ns;

	if (!w || !w->from)
		return;
	from = __sync_lock_test_and_set(&w->from, 0);
	if (w->epoch != epoch)
		return;
	ns = now > w->since ? now - w->since : 0; /* CPUs read their clocks one after the other */
	if (ns < threshold_ns) {
		/* Part of it may have been told of: the threshold was another one then. */
		add_to_sums(w, now > from ? now - from : 0);
		stats->summed++;
		return;
	}
	if (tell(task, w, from, now, 0) == 0)
		stats->delivered++;
	else
		stats->ringbuf_full++;
}

/* Asked anew wherever it matters, and what such a run knows is kept in `stats`: before Linux 6.4 the stacks of the
 * programs below ap_switch() leave no room for a variable more. */
AP_INLINE bool is_timed(const struct ap_wait_stats *stats)
{
	return stats->runs % TIMED_EVERY == 1 || !switch_clock_is_known();
}

/* What the run took, without the two readings of the clock that tell. */
AP_INLINE void note_cost(struct ap_wait_stats *stats)
{
	uint64_t ended = bpf_ktime_get_ns(), reading = bpf_ktime_get_ns() - ended;

	stats->timed_ns += ended > stats->began + reading ? ended - stats->began - reading : 0;
	stats->timed_runs++;
}

/* A switch without interest. The switches' clock is compared all the same: wakings reckon with it. */
AP_INLINE void pass_over(struct task_struct *prev, struct ap_wait_stats *stats)
{
	uint64_t now;

	if (!is_timed(stats))
		return;
	note_cost(stats);
	now = bpf_ktime_get_ns();
	switch_clock_compare(stats, (int64_t)(now - switch_clock(stats, prev)));
}

SEC("tp_btf/sched_switch")
int ap_switch(uint64_t *ctx)
{
	struct task_struct *prev = (void *)ctx[1], *next = (void *)ctx[2];
	struct ap_wait_stats *stats = stats_here();
	uint64_t now;
	bool leaves;

	if (!stats)
		return 0;
	use_store();
	stats->runs++;
	if (is_timed(stats))
		stats->began = bpf_ktime_get_ns();
	leaves = !is_passed_over(prev);
	if (!leaves && is_passed_over(next)) {
		pass_over(prev, stats);
		return 0;
	}
	now = switch_clock(stats, prev);
	if (is_timed(stats))
		stats->clock_behind = (int64_t)(stats->began - now);
	if (leaves)
		leave(prev, ctx[0], now, stats);
	enter(next, now, stats);
	if (is_timed(stats)) {
		note_cost(stats);
		switch_clock_compare(stats, stats->clock_behind);
	}
	return 0;
}

/* Writes the record of who ended a wait, with the stack in which it did. */
AP_INLINE long tell_waker(void *ctx, struct scratch *s, struct task_struct *waker,
			  struct task_struct *waited, const struct wait *w, uint64_t ns)
{
	struct ap_record *r = (void *)s->record;
	struct pt_regs___kernel *regs = (void *)bpf_task_pt_regs(waker);
	bool is_lock = kinds & AP_RECORD_F_LOCK && w->state == AP_WAIT_LOCK;
	struct ap_wait wait = {.state = w->state};
	struct ap_lock lock = {};

	s->walk.noticed = 0;
	record_begin(s, AP_RECORD_WAKER, waker,
		     pid_level ? task_tgid(waker) : (uint32_t)waker->tgid, cgroup_id(waker));
	wait.since = r->time - ns;
	r->value = ns;
	record_kernel(s, bpf_get_stack(ctx, s->record + KERNEL_AT + 4, KERNEL_BYTES, 0));
	if (is_kernel_thread(waker)) {
		r->flags |= AP_RECORD_F_KTHREAD;
	} else {
		s->walk.pc = ap_arch_kernel_registers(regs, s->walk.regs);
		walk_begin(&s->walk, waker, current_mm(), r->start_time);
		record_user(s, false);
	}
	if (is_lock)
		lock.address = w->waker.address ?: futex_address(waited);
	lock.tgid = pid_level ? task_tgid(waited) : (uint32_t)waited->tgid;
	lock.tid = pid_level ? task_number(waited) : (uint32_t)waited->pid;
	__builtin_memcpy(lock.comm, waited->comm, AP_COMM_BYTES);
	if (record_section(s, AP_SECTION_WAIT, &wait, sizeof(wait)) ||
	    record_section(s, is_lock ? AP_SECTION_LOCK : AP_SECTION_WAKER, &lock, sizeof(lock)))
		return -1;
	return record_send(s);
}

/* A thread in futex() wakes who waits there; others may have sent it a signal. */
AP_INLINE uint16_t end_of(struct task_struct *task, struct task_struct *waker, bool interrupt)
{
	if (!interrupt && is_waking_futex(waker))
		return AP_WAIT_END_WOKEN;
	if (has_signal(task))
		return AP_WAIT_END_SIGNAL;
	return interrupt || is_kernel_thread(waker) ? AP_WAIT_END_TIMEOUT : AP_WAIT_END_WOKEN;
}

AP_INLINE void name_waker(struct wait *w, struct task_struct *task, struct task_struct *waker)
{
	w->waker.tgid = pid_level ? task_tgid(waker) : (uint32_t)waker->tgid;
	w->waker.tid = pid_level ? task_number(waker) : (uint32_t)waker->pid;
	__builtin_memcpy(w->waker.comm, waker->comm, AP_COMM_BYTES);
	/* In other address spaces the same futex lies elsewhere. */
	w->waker.address =
		w->state == AP_WAIT_LOCK && waker->mm == task->mm && is_waking_futex(waker)
			? futex_address(waker)
			: 0;
	w->named = 1;
}

AP_INLINE void name_interrupt(struct wait *w)
{
	static const char name[AP_COMM_BYTES] = AP_WAKER_INTERRUPT;

	__builtin_memset(&w->waker, 0, sizeof(w->waker));
	__builtin_memcpy(w->waker.comm, name, sizeof(name));
	w->named = 1;
}

/* Fires for a thread that is about to be woken, in whoever wakes it. */
SEC("tp_btf/sched_waking")
int ap_waking(uint64_t *ctx)
{
	struct task_struct *task = (void *)ctx[0], *waker;
	struct ap_wait_stats *stats;
	uint32_t zero = 0;
	struct scratch *s;
	struct wait *w;
	bool is_lock;
	uint64_t now;

	if (!wakers && !is_in_futex(task))
		return 0;
	w = wait_of(task);
	if (!w || !w->from || w->epoch != epoch)
		return 0;
	is_lock = w->state == AP_WAIT_LOCK;
	stats = stats_here();
	if (!stats || !(wakers || is_lock))
		return 0;
	use_store();
	waker = bpf_get_current_task_btf();
	if (is_lock)
		w->end = end_of(task, waker, is_in_interrupt(stats, waker));
	now = switch_clock_from(bpf_ktime_get_ns());
	if (now < w->since + threshold_ns || (is_lock && w->end != AP_WAIT_END_WOKEN))
		return 0;
	if (is_in_interrupt(stats, waker)) {
		name_interrupt(w);
		return 0;
	}
	name_waker(w, task, waker);
	s = bpf_map_lookup_elem(&scratches, &zero);
	if (s && tell_waker(ctx, s, waker, task, w, now - w->since) == 0)
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
AP_RARE void tell_sums(struct task_struct *task, struct wait *w)
{
	struct wait_sums now = w->sums;
	struct sums_record r = {};
	uint64_t any = 0;

	for (int i = 0; i < AP_WAIT_STATES; i++) {
		r.sums.count[i] = now.of[i].count - w->told.of[i].count;
		r.sums.ns[i] = now.of[i].ns - w->told.of[i].ns;
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
	w->told = now;
}

/* What a thread has left to tell when it ends. */
SEC("tp_btf/sched_process_exit")
int ap_wait_exit(uint64_t *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	struct ap_wait_stats *stats = stats_here();
	struct wait *w = wait_of(task);

	if (!w)
		return 0;
	if (w->from && stats)
		end_unseen(task, w, switch_clock_from(bpf_ktime_get_ns()), stats);
	tell_sums(task, w);
	give_back(task, w);
	return 0;
}

/* The part so far of a wait that goes on; the last of one that is not told of any more. */
AP_INLINE void tell_waiting(struct task_struct *task, struct wait *w)
{
	uint64_t now = switch_clock_from(bpf_ktime_get_ns()), from = w->from;

	if (from && w->epoch == epoch && !is_told(w->state)) {
		__sync_val_compare_and_swap(&w->from, from, 0);
		return;
	}
	if (!from || w->epoch != epoch || task->on_cpu || now < w->since + threshold_ns ||
	    now <= from)
		return;
	if (__sync_val_compare_and_swap(&w->from, from, now) != from)
		return;
	if (tell(task, w, from, now, AP_RECORD_F_GOES_ON))
		__sync_val_compare_and_swap(&w->from, now, from); /* the next time */
}

/* Whether the thread, which is off the CPU, left it before its wait would have been told of. */
AP_INLINE bool is_unseen(const struct wait *w)
{
	return w->since < switch_clock_from(widened) && !(w->from && w->epoch == epoch);
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
	if (!task || is_kernel_thread(task) || task->flags & PF_EXITING || !switch_clock_is_known())
		return 0;
	w = wait_of(task);
	if (!task->on_cpu && (w ? is_unseen(w) : is_followed(task)) &&
	    is_told(state_of(task, false))) {
		/* It has waited for longer than anybody has looked. */
		if (!w)
			w = take_place(task);
		if (w && is_unseen(w))
			begin_wait(w, task, state_of(task, false), switch_clock_from(widened));
	}
	if (!w)
		return 0;
	tell_sums(task, w);
	tell_waiting(task, w);
	bpf_seq_write(ctx->meta->seq, (const void *)pace, sizeof(pace));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

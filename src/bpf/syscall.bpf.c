/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* System calls: how many, how long, which errors, by process and call (abi/syscall.h). All counting
 * happens here; user space reads the tables now and then.
 *
 * A call that returns is counted when it does, with the time since its begin, which the task carries with
 * it. Until then it is in flight, and `ap_flights` lists who is. A call that never returns is counted
 * when it begins. So each call of the processes asked for ends in exactly one of the cells, table_full
 * and no_start, and `calls` is their sum.
 *
 * A child's first return, from the call that its parent made, is no call of its own. */
#include "bpf/kernel.bpf.h"

#include "abi/syscall.h"
#include "bpf/target.bpf.h"

#ifdef __TARGET_ARCH_arm64
#include "bpf/arch_arm64.h"
#else
#include "bpf/arch_x86.h"
#endif

const volatile uint32_t shard_mask = 0;

uint32_t epoch = 1;

struct flight {
	uint64_t begin; /* 0: in none */
	uint64_t start_time;
	uint32_t tgid;
	uint16_t number;
	uint16_t abi;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct flight);
} flights SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct ap_syscall_key);
	__type(value, struct ap_syscall_cell);
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct ap_syscall_error_key);
	__type(value, uint64_t);
} errors SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct ap_syscall_stats);
} syscall_stats SEC(".maps");

static const struct ap_syscall_cell no_calls;
static const uint64_t no_errors;

AP_INLINE struct ap_syscall_cell *cell_of(const struct ap_syscall_key *key)
{
	struct ap_syscall_cell *cell = bpf_map_lookup_elem(&cells, key);

	if (cell)
		return cell;
	bpf_map_update_elem(&cells, key, &no_calls, BPF_NOEXIST);
	return bpf_map_lookup_elem(&cells, key);
}

AP_INLINE uint64_t *errors_of(const struct ap_syscall_error_key *key)
{
	uint64_t *n = bpf_map_lookup_elem(&errors, key);

	if (n)
		return n;
	bpf_map_update_elem(&errors, key, &no_errors, BPF_NOEXIST);
	return bpf_map_lookup_elem(&errors, key);
}

AP_INLINE void raise(uint64_t *max, uint64_t ns, uint64_t mark)
{
	uint64_t was = *(volatile uint64_t *)max;

	if (ns > AP_SYSCALL_MAX_MASK)
		ns = AP_SYSCALL_MAX_MASK;
	for (int i = 0; i < 16; i++) {
		uint64_t seen;

		if ((was & ~AP_SYSCALL_MAX_MASK) == mark && (was & AP_SYSCALL_MAX_MASK) >= ns)
			return;
		seen = __sync_val_compare_and_swap(max, was, mark | ns);
		if (seen == was)
			return;
		was = seen;
	}
}

AP_INLINE uint8_t where(uint32_t abi)
{
	return abi | (bpf_get_smp_processor_id() & shard_mask) << AP_SYSCALL_SHARD_SHIFT;
}

/* A call that returned `ret` after `ns`: whether there was room to count it. */
AP_INLINE int count(const struct flight *f, uint64_t ns, long ret)
{
	struct ap_syscall_key key = {.start_time = f->start_time,
				     .tgid = f->tgid,
				     .number = f->number,
				     .where = where(f->abi)};
	uint32_t bucket = ap_latency_bucket(ns), now = *(volatile uint32_t *)&epoch;
	uint64_t *failed = 0;
	struct ap_syscall_cell *cell;

	key.block = bucket / AP_LATENCY_BLOCK;
	cell = cell_of(&key);
	if (!cell)
		return 0;
	if (ret < 0 && ret >= -AP_SYSCALL_ERRNO_MAX) {
		struct ap_syscall_error_key error = {.start_time = f->start_time,
						     .tgid = f->tgid,
						     .number = f->number,
						     .error = (uint16_t)(-ret) |
							      f->abi << AP_SYSCALL_ERROR_SHIFT};

		failed = errors_of(&error);
		if (!failed)
			return 0;
		__sync_fetch_and_add(failed, 1);
	}
	__sync_fetch_and_add(&cell->count[bucket % AP_LATENCY_BLOCK], 1);
	__sync_fetch_and_add(&cell->sum, ns);
	raise(&cell->max[now & 1], ns, (uint64_t)now << AP_SYSCALL_MAX_BITS);
	return 1;
}

AP_INLINE int count_never(const struct flight *f)
{
	struct ap_syscall_key key = {.start_time = f->start_time,
				     .tgid = f->tgid,
				     .number = f->number,
				     .where = where(f->abi),
				     .block = AP_SYSCALL_NEVER};
	struct ap_syscall_cell *cell = cell_of(&key);

	if (cell)
		__sync_fetch_and_add(&cell->count[0], 1);
	return cell != 0;
}

AP_INLINE struct ap_syscall_stats *stats_here(void)
{
	uint32_t cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&syscall_stats, &cpu);
}

AP_INLINE void tally(struct ap_syscall_stats *stats, int counted)
{
	__sync_fetch_and_add(&stats->calls, 1);
	if (!counted)
		__sync_fetch_and_add(&stats->table_full, 1);
}

/* The task's entry; its identity is found out once. */
AP_INLINE struct flight *flight_of(struct task_struct *task)
{
	struct flight *f = bpf_task_storage_get(&flights, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (f && !f->start_time) {
		f->tgid = task_tgid(task);
		f->start_time = task->group_leader->start_boottime;
	}
	return f;
}

AP_INLINE void enter(struct ap_syscall_stats *stats, long id)
{
	struct task_struct *task = bpf_get_current_task_btf();
	uint32_t tgid = target == TARGET_PIDS ? task_tgid(task) : 1;
	struct flight *f;

	if (!is_target(task, tgid))
		return;
	f = flight_of(task);
	if (!f || !f->tgid)
		return;
	f->abi = AP_SYSCALL_ABI(task, id);
	id = AP_SYSCALL_NUMBER(id);
	f->number = id < 0 || id > AP_SYSCALL_NUMBER_MAX ? AP_SYSCALL_NUMBER_MAX : id;
	if (AP_SYSCALL_NEVER_RETURNS(f->abi, f->number)) {
		f->begin = 0;
		tally(stats, count_never(f));
		return;
	}
	f->begin = bpf_ktime_get_ns();
}

AP_INLINE void leave(struct ap_syscall_stats *stats, struct pt_regs___kernel *regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct flight *f = bpf_task_storage_get(&flights, task, 0, 0);
	uint64_t begin;
	long id;

	if (f && f->begin) {
		begin = f->begin;
		f->begin = 0;
		tally(stats, count(f, bpf_ktime_get_ns() - begin, ret));
		return;
	}
	id = AP_SYSCALL_OF(regs);
	if (id == -1 ||
	    (ret == 0 && AP_SYSCALL_MAKES_TASK(AP_SYSCALL_ABI(task, id), AP_SYSCALL_NUMBER(id))))
		return;
	if (!is_target(task, task_tgid(task)))
		return;
	__sync_fetch_and_add(&stats->calls, 1);
	__sync_fetch_and_add(&stats->no_start, 1);
}

/* Whether this run is one of those that are timed. */
AP_INLINE uint64_t timing_begin(struct ap_syscall_stats *stats)
{
	return ++stats->runs % AP_SYSCALL_TIMED_EVERY ? 0 : bpf_ktime_get_ns();
}

AP_INLINE void timing_end(struct ap_syscall_stats *stats, uint64_t begin)
{
	if (!begin)
		return;
	stats->timed_ns += bpf_ktime_get_ns() - begin;
	stats->timed_runs++;
}

SEC("raw_tp/sys_enter")
int ap_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	struct ap_syscall_stats *stats = stats_here();
	uint64_t begin;

	if (!stats)
		return 0;
	begin = timing_begin(stats);
	enter(stats, ctx->args[1]);
	timing_end(stats, begin);
	return 0;
}

SEC("raw_tp/sys_exit")
int ap_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct ap_syscall_stats *stats = stats_here();
	uint64_t begin;

	if (!stats)
		return 0;
	begin = timing_begin(stats);
	leave(stats, (void *)ctx->args[0], ctx->args[1]);
	timing_end(stats, begin);
	return 0;
}

/* Writes a struct ap_syscall_flight for each task that is in a call. */
SEC("iter/task")
int ap_flights(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct ap_syscall_flight out = {};
	struct flight *f;

	if (!task)
		return 0;
	f = bpf_task_storage_get(&flights, task, 0, 0);
	if (!f || !f->begin)
		return 0;
	out.start_time = f->start_time;
	out.begin = f->begin;
	out.tgid = f->tgid;
	out.number = f->number;
	out.abi = f->abi;
	bpf_seq_write(ctx->meta->seq, &out, sizeof(out));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* System calls: how many, how long, which errors, by process and call (abi/syscall.h). All counting
 * happens here; user space reads the tables now and then.
 *
 * A call that returns is counted when it does, with the time since its begin, which is noted in the task's
 * flight. Until then it is in flight, and `ap_flights` lists who is. A call that never returns is counted
 * when it begins. So each call of the processes asked for ends in exactly one of the cells, table_full
 * and no_start, and the sum of `returned` and `never` is theirs.
 *
 * A child's first return, from the call that its parent made, is no call of its own.
 *
 * This runs twice for each call of a machine, so it calls no function of the kernel but the clock: on
 * processors that guard returns each costs 10 ns, as much as all the rest. What is rare is in functions of its
 * own, which keep what they need of the stack to themselves. What the tracepoints give is
 * the address of the saved registers, which lie on the task's kernel stack and name it while it lives.
 * A flight is found by it in an array; where two tasks meet, the second keeps its flight in its task's
 * storage. A task gives its place back when it ends.
 *
 * What was asked to be told of with its stack is told by a program of its own (syscall_stack.bpf.c), which
 * is gone on to when the call has been counted, and is not loaded otherwise.
 *
 * The programs on one tracepoint do not interrupt each other on a CPU, and what both write is rare. So
 * where each CPU has its own shard, cells are added to without atomics. */
#include "bpf/kernel.bpf.h"

#include "abi/syscall.h"
#include "bpf/target.bpf.h"
#include "bpf/word.bpf.h"

#ifdef __TARGET_ARCH_arm64
#include "bpf/arch_arm64.h"
#else
#include "bpf/arch_x86.h"
#endif

#define PROBES	    16 /* places that are tried for a key */
#define STACK_SHIFT 14 /* kernel stacks are no smaller */
#define RAISES	    16 /* tries of CPUs that raise the same maximum */
#define NOT_CHOSEN  (~0ull)
#define TIME_NEXT   1 /* in no call; the begin of the next is one of those that are timed */

/* On arm64 a program that goes on to another one may have no functions before Linux 6.0. */
#ifdef __TARGET_ARCH_arm64
#define RARE AP_INLINE
#else
#define RARE AP_RARE
#endif

const volatile bool shards_shared = false; /* by several CPUs */
const volatile bool cpus_shared = false;   /* counters of CPUs are; there are too many */
const volatile uint32_t flights_mask = 0;
/* Of parts of tables, and of entries in each. */
const volatile uint32_t parts_mask = 0, cells_mask = 0, errors_mask = 0;
const volatile bool choosing = false; /* not all calls are asked for, but: */
const volatile struct ap_syscall_set chosen = {};
const volatile uint64_t slow_ns = ~0ull; /* calls that took as long are told of with their stacks */
const volatile bool telling_failed = false; /* and those that failed with one of: */
const volatile struct ap_errno_set failed = {};

uint32_t epoch = 1;
uint64_t started = 2; /* CLOCK_MONOTONIC: of begins before that the returns were not seen */
uint32_t crowded = 0; /* some flights are in storage */

/* A cache line. */
struct flight {
	uint64_t owner;		    /* address of the task's saved registers; 0: nobody */
	uint64_t begin;		    /* 0: in no call; TIME_NEXT; NOT_CHOSEN: in one not asked for */
	uint64_t start_time, mixed; /* the latter multiplied, for place_of() */
	uint64_t task;		    /* its address */
	uint64_t tgid;
	uint64_t call; /* AP_SYSCALL_CALL(tgid, number, abi, 0) */
	uint64_t pad;
};

/* Variables, which are found without a look-up. */
static struct flight flights[AP_SYSCALL_FLIGHTS] __attribute__((aligned(64)));
struct ap_syscall_stats cpus[AP_SYSCALL_CPUS] __attribute__((aligned(64)));

/* Of the call that has just been counted, for the program in `tellers` (syscall_stack.bpf.c). */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct ap_syscall_return);
} returns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} tellers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct flight);
} more_flights SEC(".maps");

/* Each in parts, since older kernels have no larger values: which one a call is in is known, and looked up,
 * before the entry is. User space says how large and how many they are. Mappable ones begin at a page. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(uint32_t));
	__uint(value_size, sizeof(struct ap_syscall_cell));
} cells SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(uint32_t));
	__uint(value_size, sizeof(struct ap_syscall_error));
} errors SEC(".maps");

/* The entry of a key in a part of one of the tables, which is a new one perhaps; 0: all places for it are
 * taken. */
#define ENTRY_AT(part, mask, first, f, c)                                                          \
	({                                                                                         \
		typeof(part) found = 0;                                                            \
		uint32_t at = (first);                                                             \
                                                                                                   \
		for (uint32_t i = 0; i < PROBES; at += ++i) {                                      \
			typeof(part) e = &(part)[at & (mask)];                                     \
                                                                                                   \
			if (e->key.start_time == (f)->start_time && e->key.call == (c)) {          \
				found = e;                                                         \
				break;                                                             \
			}                                                                          \
			if (e->key.start_time == 0 &&                                              \
			    __sync_val_compare_and_swap(&e->key.start_time, 0, (f)->start_time) == \
				    0) {                                                           \
				e->key.call = (c);                                                 \
				found = e;                                                         \
				break;                                                             \
			}                                                                          \
		}                                                                                  \
		found;                                                                             \
	})

/* A product depends on its factors' upper bits in its own upper bits alone, where a call has all that
 * tells it from others of its process. */
AP_INLINE uint32_t place_of(const struct flight *f, uint64_t call)
{
	return ((call ^ call >> 32 ^ f->mixed) * AP_MIX_2) >> 40;
}

/* The blocks of a call are looked for from places that follow one another: the first is then known before the
 * time is. */
AP_INLINE struct ap_syscall_cell *cell_of(const struct flight *f, uint64_t shard, uint32_t block)
{
	uint64_t call = f->call | shard;
	uint32_t first = place_of(f, call), number = first >> AP_SYSCALL_PART_BITS & parts_mask;
	struct ap_syscall_cell *part = bpf_map_lookup_elem(&cells, &number);

	if (!part)
		return 0;
	call |= (uint64_t)block << 56;
	return ENTRY_AT(part, cells_mask, first + block, f, call);
}

AP_INLINE struct ap_syscall_error *error_of(const struct flight *f, uint64_t shard, uint32_t error)
{
	uint64_t call = AP_SYSCALL_ERROR_OF(f->call, shard, error);
	uint32_t first = place_of(f, call), number = first >> AP_SYSCALL_PART_BITS & parts_mask;
	struct ap_syscall_error *part = bpf_map_lookup_elem(&errors, &number);

	return part ? ENTRY_AT(part, errors_mask, first, f, call) : 0;
}

AP_INLINE void add(uint64_t *to, uint64_t n)
{
	if (shards_shared)
		__sync_fetch_and_add(to, n);
	else
		*to += n;
}

AP_INLINE void tally(uint64_t *counter)
{
	if (cpus_shared)
		__sync_fetch_and_add(counter, 1);
	else
		++*counter;
}

/* Marks in one place differ by two and more, so that of another epoch what was is never close above. */
AP_INLINE void raise(uint64_t *max, uint64_t ns, uint64_t mark)
{
	uint64_t was = *(volatile uint64_t *)max, seen;

	if (ns > AP_SYSCALL_MAX_MASK)
		ns = AP_SYSCALL_MAX_MASK;
	ns |= mark;
	for (int i = 0; i < RAISES; i++) {
		if (was - ns <= AP_SYSCALL_MAX_MASK)
			return;
		if (!shards_shared) {
			*max = ns;
			return;
		}
		seen = __sync_val_compare_and_swap(max, was, ns);
		if (seen == was)
			return;
		was = seen;
	}
}

AP_INLINE bool is_failure(long ret)
{
	return ret < 0 && ret >= -AP_SYSCALL_ERRNO_MAX;
}

/* A call that returned `ret` after `ns`: whether there was room to count it. */
AP_INLINE int count(struct flight *f, uint64_t shard, uint64_t ns, long ret)
{
	uint32_t bucket = ap_latency_bucket(ns), now;
	struct ap_syscall_cell *cell = cell_of(f, shard, bucket / AP_LATENCY_BLOCK);

	if (!cell)
		return 0;
	if (is_failure(ret)) {
		struct ap_syscall_error *error = error_of(f, shard, -ret);

		if (!error)
			return 0;
		add(&error->count, 1);
	}
	now = *(volatile uint32_t *)&epoch;
	raise(&cell->max[now & 1], ns, (uint64_t)now << AP_SYSCALL_MAX_BITS);
	add(&cell->sum, ns);
	add(&cell->count[bucket % AP_LATENCY_BLOCK], 1);
	return 1;
}

AP_INLINE int count_never(const struct flight *f, uint64_t shard)
{
	struct ap_syscall_cell *cell = cell_of(f, shard, AP_SYSCALL_NEVER);

	if (cell)
		add(&cell->count[0], 1);
	return cell != 0;
}

AP_INLINE struct ap_syscall_stats *stats_here(void)
{
	return &cpus[bpf_get_smp_processor_id() % AP_SYSCALL_CPUS];
}

/* Where the registers of a task are saved; as a number, by way of memory, since the verifier lets nobody
 * calculate with typed pointers. */
AP_INLINE uint64_t registers_of(struct task_struct *task)
{
	const void *typed = (void *)bpf_task_pt_regs(task);
	uint64_t regs = 0;

	bpf_probe_read_kernel(&regs, sizeof(regs), &typed);
	return regs;
}

/* Where the flight of a task is, if nobody has taken its place. */
AP_INLINE struct flight *flight_at(uint64_t regs)
{
	return &flights[(uint32_t)(regs >> STACK_SHIFT) * 0x9e3779b1u >> 16 & flights_mask];
}

/* That of the current task, whose place another one has or nobody; 0: it has none. */
AP_INLINE struct flight *flight_in_storage(void)
{
	if (!*(volatile uint32_t *)&crowded)
		return 0;
	return bpf_task_storage_get(&more_flights, bpf_get_current_task_btf(), 0, 0);
}

/* Gives the current task a flight, if it is one of those asked for. One that has no number in the
 * agent's pid namespace gets one too, lest it be looked at each time. */
AP_INLINE struct flight *take_off(uint64_t regs)
{
	struct task_struct *task = bpf_get_current_task_btf();
	uint32_t tgid = pid_level ? task_tgid(task) : (uint32_t)task->tgid;
	struct flight *f = flight_at(regs);

	if (target != TARGET_MACHINE && !is_target(task, tgid))
		return 0;
	if (__sync_val_compare_and_swap(&f->owner, 0, regs) != 0) {
		crowded = 1;
		f = bpf_task_storage_get(&more_flights, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	}
	if (!f)
		return 0;
	f->start_time = task->group_leader->start_boottime;
	f->mixed = f->start_time * AP_MIX_1;
	f->task = (uint64_t)task;
	f->tgid = tgid;
	return f;
}

/* What tells which table a call of the current task, whose flight is `f`, belongs to. */
AP_INLINE uint32_t abi_word(const struct flight *f)
{
#ifdef AP_KFUNCS
	return KERNEL_FIELD(struct task_struct, AP_SYSCALL_ABI_FIELD, f->task);
#else
	return bpf_get_current_task_btf()->AP_SYSCALL_ABI_FIELD;
#endif
}

AP_INLINE bool is_chosen(uint32_t abi, uint32_t number)
{
	if (!choosing)
		return true;
	if (abi >= AP_SYSCALL_ABI_MAX || number >= AP_SYSCALL_SET_BITS)
		return chosen.others;
	return chosen.calls[abi][number / 64] >> number % 64 & 1;
}

/* A call's number as flights and cells have it. */
AP_INLINE uint32_t number_of(long id)
{
	id = AP_SYSCALL_NUMBER(id);
	return id < 0 || id > AP_SYSCALL_NUMBER_MAX ? AP_SYSCALL_NUMBER_MAX : id;
}

RARE int tally_never(const struct flight *f)
{
	struct ap_syscall_stats *stats = stats_here();

	if (!f)
		return 0;
	tally(&stats->never);
	if (!count_never(f, stats->shard))
		__sync_fetch_and_add(&stats->table_full, 1);
	return 0;
}

/* The time is read last. */
AP_INLINE void enter_as(struct flight *f, uint32_t abi, uint32_t number)
{
	if (target == TARGET_CGROUP && !is_target(bpf_get_current_task_btf(), f->tgid))
		return;
	if (!is_chosen(abi, number)) {
		f->begin = NOT_CHOSEN;
		return;
	}
	f->call = AP_SYSCALL_CALL(f->tgid, number, abi, 0);
	if (AP_SYSCALL_NEVER_RETURNS(abi, number)) {
		f->begin = 0;
		tally_never(f);
		return;
	}
	f->begin = bpf_ktime_get_ns();
}

RARE int enter_unusual(struct flight *f, uint32_t word, long id)
{
	if (f)
		enter_as(f, AP_SYSCALL_ABI(word, id), number_of(id));
	return 0;
}

AP_INLINE void enter(struct flight *f, long id)
{
	uint32_t word = abi_word(f);

	if (AP_SYSCALL_IS_NATIVE(word) && (uint64_t)id < AP_SYSCALL_NUMBER_MAX)
		enter_as(f, AP_SYSCALL_NATIVE, id);
	else
		enter_unusual(f, word, id);
}

/* A return from a call whose begin was not seen. */
RARE int unseen(struct ap_syscall_stats *stats, const struct flight *f, uint64_t regs, long ret)
{
	struct task_struct *task = bpf_get_current_task_btf();
	long id = AP_SYSCALL_OF((struct pt_regs___kernel *)regs);
	uint32_t abi = AP_SYSCALL_ABI(task->AP_SYSCALL_ABI_FIELD, id);

	if (!stats || id == -1 || (ret == 0 && AP_SYSCALL_MAKES_TASK(abi, AP_SYSCALL_NUMBER(id))))
		return 0;
	if (!is_chosen(abi, number_of(id)) || !is_target(task, f ? f->tgid : task_tgid(task)))
		return 0;
	tally(&stats->returned);
	tally(&stats->no_start);
	return 0;
}

/* Whether the call is one of those whose stack is asked for; then what is to be told of it is put ready. */
AP_INLINE bool is_told(const struct flight *f, uint64_t ns, long ret)
{
	uint32_t error = is_failure(ret) ? -ret : 0, zero = 0;
	struct ap_syscall_return *r;

	/* The verifier knows of the bound only what it sees. */
	barrier_var(error);
	error &= AP_SYSCALL_ERRNO_MAX;
	if (ns < slow_ns &&
	    !(telling_failed && error && failed.numbers[error / 64] >> error % 64 & 1))
		return false;
	r = bpf_map_lookup_elem(&returns, &zero);
	if (!r)
		return false;
	r->ns = ns;
	r->call = f->call;
	r->error = error;
	return true;
}

/* Whether the stack of the call that returned is asked for. */
AP_INLINE bool leave(struct ap_syscall_stats *stats, uint64_t regs, long ret, uint64_t next)
{
	struct flight *f = flight_at(regs);
	uint64_t begin, ns;

	if (f->owner != regs)
		f = flight_in_storage();
	if (!f || f->begin < *(volatile uint64_t *)&started) {
		unseen(stats, f, regs, ret);
		return false;
	}
	begin = f->begin;
	f->begin = next;
	if (choosing && begin == NOT_CHOSEN)
		return false;
	ns = bpf_ktime_get_ns() - begin;
	tally(&stats->returned);
	if (!count(f, stats->shard, ns, ret))
		__sync_fetch_and_add(&stats->table_full, 1);
	return (slow_ns != ~0ull || telling_failed) && is_told(f, ns, ret);
}

/* What the run took, without the two readings of the clock that tell. */
AP_INLINE void timing_end(struct ap_syscall_stats *stats, uint64_t began)
{
	uint64_t ended = bpf_ktime_get_ns(), reading = bpf_ktime_get_ns() - ended;

	stats->timed_ns += ended > began + reading ? ended - began - reading : 0;
	stats->timed_runs++;
}

RARE int enter_timed(struct flight *f, long id)
{
	struct ap_syscall_stats *stats = stats_here();
	uint64_t begin = bpf_ktime_get_ns();

	if (!f)
		return 0;
	enter(f, id);
	timing_end(stats, begin);
	return 0;
}

/* The begin of a call of a task whose flight is not where it is looked for, or not yet. */
RARE int enter_elsewhere(uint64_t regs, long id)
{
	struct flight *f = flight_in_storage();

	if (!f)
		f = take_off(regs);
	if (f && f->tgid)
		enter(f, id);
	return 0;
}

SEC("raw_tp/sys_enter")
int ap_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	uint64_t regs = ctx->args[0];
	struct flight *f = flight_at(regs);

	if (f->owner != regs)
		enter_elsewhere(regs, ctx->args[1]);
	else if (f->begin == TIME_NEXT)
		enter_timed(f, ctx->args[1]);
	else if (f->tgid)
		enter(f, ctx->args[1]);
	return 0;
}

/* Whether the stack of the call that returned is asked for. */
AP_INLINE bool exit(struct bpf_raw_tracepoint_args *ctx)
{
	struct ap_syscall_stats *stats = stats_here();
	uint64_t timed = 0;
	bool told;

	if (++stats->runs % AP_SYSCALL_TIMED_EVERY == 0)
		timed = bpf_ktime_get_ns();
	told = leave(stats, ctx->args[0], ctx->args[1], timed ? TIME_NEXT : 0);
	if (timed)
		timing_end(stats, timed);
	return told;
}

SEC("raw_tp/sys_exit")
int ap_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	exit(ctx);
	return 0;
}

/* Where stacks are asked for. */
SEC("raw_tp/sys_exit")
int ap_sys_exit_telling(struct bpf_raw_tracepoint_args *ctx)
{
	if (exit(ctx))
		bpf_tail_call(ctx, &tellers, 0);
	return 0;
}

/* A kernel stack may be the next task's at once. */
SEC("raw_tp/sched_process_exit")
int ap_land(struct bpf_raw_tracepoint_args *ctx)
{
	uint64_t regs = registers_of(bpf_get_current_task_btf());
	struct flight *f = flight_at(regs);

	if (f->owner != regs)
		return 0;
	f->begin = 0;
	__sync_lock_test_and_set(&f->owner, 0);
	return 0;
}

/* Writes a struct ap_syscall_flight for each task that is in a call. */
SEC("iter/task")
int ap_flights(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct ap_syscall_flight out = {};
	struct flight *f;
	uint64_t regs;

	if (!task)
		return 0;
	regs = registers_of(task);
	f = flight_at(regs);
	if (f->owner != regs)
		f = bpf_task_storage_get(&more_flights, task, 0, 0);
	if (!f || f->begin < started || f->begin == NOT_CHOSEN)
		return 0;
	out.start_time = f->start_time;
	out.begin = f->begin;
	out.tgid = f->tgid;
	out.number = f->call >> 32;
	out.abi = f->call >> 48;
	bpf_seq_write(ctx->meta->seq, &out, sizeof(out));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

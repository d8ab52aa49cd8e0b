/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Waits for the kernel's own locks, by the tracepoints contention_begin and contention_end (Linux 5.19).
 *
 * What the begin needs to know it finds out while the lock is another's: where the kernel asks for it, and
 * the place's entry in the table. The end holds the lock, and adds two numbers; only of a wait over the
 * threshold does it take the stacks.
 *
 * To walk the kernel's stack takes longer than most of these waits. While they are few, each one's place is
 * looked for; in a storm that of one in so many, by chance, that the walks cost a CPU a fortieth of
 * a percent. The others are added up by process and lock in an entry without a place, exactly, and each that
 * was drawn says for how many others it stands: by that user space divides the entry among the places.
 *
 * A lock that a thread sleeps for is remembered in the thread's storage. It may begin several times, as a
 * mutex does that goes from spinning to sleeping, and other locks may be waited for in between: they
 * are part of the outer wait, and counted as that alone. Waits that spin do not leave their CPU, where an
 * interrupt's may lie within a task's and ends before it: each CPU has a stack of them.
 *
 * The tracepoints fire wherever the kernel takes locks, so:
 *  - the end takes none but the ring buffer's, and not that either if it is the one waited for;
 *  - the begin takes none but those of the kernel's allocator, for a thread's storage, and that where the
 *    thread may sleep; the table has no lock (abi/kernel_lock.h);
 *  - a wait within either program is not looked at, and is counted as such.
 *
 * An iterator over all threads, which the agent runs at each collection, tells of waits that go on, as in
 * bpf/offcpu.bpf.c. */
#include "bpf/kernel.bpf.h"

#include <bpf/bpf_tracing.h>

#include "abi/kernel_lock.h"

#include "bpf/foreign.bpf.h"
#define ap_read_user(w, dst, bytes, address) foreign_read((w)->mm, (dst), (bytes), (address))
#include "bpf/store.bpf.h"

#include "bpf/place.bpf.h"
#include "bpf/record.bpf.h"

/* trace/events/lock.h */
#define LCB_F_SPIN   (1u << 0)
#define LCB_F_READ   (1u << 1)
#define LCB_F_WRITE  (1u << 2)
#define LCB_F_RT     (1u << 3)
#define LCB_F_PERCPU (1u << 4)
#define LCB_F_MUTEX  (1u << 5)

#define WINDOW_NS 64000000ull /* after which is seen how many there are */
#define SHARE	  4096	      /* of a CPU: what looking for places may take */

#define PACE_BYTES 64
#define SPINS	   4 /* contexts that interrupt one another: task, softirq, interrupt, NMI; 2^n */

enum { OUTSIDE, IN_BEGIN, IN_END }; /* struct ap_kernel_lock_stats.inside */

/* Where locks lie that nobody has allocated. */
const volatile uint64_t static_from = 0;
const volatile uint64_t static_bytes = 0;

/* Set by user space, at any time. */
uint64_t threshold_ns = 0;
uint64_t spin_threshold_ns = 0;
uint64_t started = 0; /* CLOCK_MONOTONIC: waits that began before are not followed */

struct wait {
	uint64_t address;
	uint64_t since;
	uint64_t from;	 /* up to when it was told of; 0: there is none */
	uint64_t inner;	 /* waits in between, of which the end is to come */
	uint64_t others; /* for how many without a place it stands */
	uint64_t mark;	 /* of its entry in the table, */
	uint64_t at;	 /* which is there, or was */
	struct ap_kernel_lock_key key;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct wait);
} lock_waits SEC(".maps");

struct spins {
	struct wait waits[SPINS];
	uint64_t n;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct spins);
} spin_waits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct ap_kernel_lock_stats);
} kernel_lock_stats SEC(".maps");

/* Which waits of a CPU have their place looked for. */
struct draw {
	uint64_t since; /* the window's begin */
	uint64_t waits; /* in it */
	uint64_t every; /* one in so many is drawn */
	uint64_t skip;	/* so many are not, until the next one is */
	uint64_t cost;	/* of a walk, ns: about the mean of the last eight */
};

/* Those of the other programs may be in use: these run wherever a lock is taken. */
struct own_scratch {
	struct scratch record;
	struct ap_kernel_lock_sums fresh;
	struct draw draw;
	volatile uint64_t number; /* what a pointer becomes that is kept here */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct own_scratch);
} lock_scratches SEC(".maps");

/* The iterator's own: a wait may end in between. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, uint32_t);
	__type(value, struct scratch);
} lock_iterator_scratches SEC(".maps");

AP_INLINE struct ap_kernel_lock_stats *stats_here(void)
{
	uint32_t cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(&kernel_lock_stats, &cpu);
}

/* Contexts that interrupt one another count in the same place. */
AP_INLINE void count(uint64_t *counter)
{
	__sync_fetch_and_add(counter, 1);
}

/* The machine's idle threads, which are process 0, are interrupted as well. */
AP_INLINE bool is_followed(struct task_struct *task, uint32_t tgid)
{
	return (target == TARGET_MACHINE && pid_level == 0) || is_target(task, tgid);
}

AP_INLINE uint32_t tgid_of(struct task_struct *task)
{
	return pid_level ? task_tgid(task) : (uint32_t)task->tgid;
}

/* A mutex's spinning is the first part of its wait. */
AP_INLINE bool is_spin(uint32_t flags)
{
	return (flags & (LCB_F_SPIN | LCB_F_MUTEX)) == LCB_F_SPIN;
}

AP_INLINE uint8_t kind_of(uint32_t flags)
{
	bool write = flags & LCB_F_WRITE, read = flags & LCB_F_READ;

	if (flags & LCB_F_MUTEX)
		return AP_KERNEL_MUTEX;
	if (flags & LCB_F_PERCPU)
		return write ? AP_KERNEL_PERCPU_WRITE : AP_KERNEL_PERCPU_READ;
	if (flags & LCB_F_RT)
		return write ? AP_KERNEL_RT_WRITE : read ? AP_KERNEL_RT_READ : AP_KERNEL_RT_MUTEX;
	if (flags & LCB_F_SPIN)
		return write  ? AP_KERNEL_RWLOCK_WRITE
		       : read ? AP_KERNEL_RWLOCK_READ
			      : AP_KERNEL_SPINLOCK;
	return write ? AP_KERNEL_RWSEM_WRITE : read ? AP_KERNEL_RWSEM_READ : AP_KERNEL_SEMAPHORE;
}

/* mmap_lock is a rwsem and siglock a spinlock, or what an RT kernel has in their place. */
AP_INLINE uint8_t object_of(uint64_t address, uint8_t kind)
{
	uint64_t of;

	if (address - static_from < static_bytes)
		return AP_KERNEL_LOCK_STATIC;
	if (kind == AP_KERNEL_RWSEM_READ || kind == AP_KERNEL_RWSEM_WRITE ||
	    kind == AP_KERNEL_RT_READ || kind == AP_KERNEL_RT_WRITE) {
		of = current_mm();
		if (of && address == of + bpf_core_field_offset(struct mm_struct, mmap_lock))
			return AP_KERNEL_LOCK_MMAP;
	} else if (kind == AP_KERNEL_SPINLOCK || kind == AP_KERNEL_RT_MUTEX) {
		of = KERNEL_FIELD(struct task_struct, sighand, (uint64_t)bpf_get_current_task());
		if (of && address == of + bpf_core_field_offset(struct sighand_struct, siglock))
			return AP_KERNEL_LOCK_SIGNAL;
	}
	return AP_KERNEL_LOCK_HEAP;
}

/* Whether this wait is drawn. */
AP_INLINE bool draw(struct draw *d, uint64_t now)
{
	uint64_t elapsed = now - d->since;

	if (elapsed >= WINDOW_NS) {
		d->every = d->waits * d->cost * SHARE / elapsed + 1;
		d->since = now;
		d->waits = 0;
	}
	d->waits++;
	if (d->skip > 0) {
		d->skip--;
		return false;
	}
	/* `every` - 1 in the mean */
	d->skip = bpf_get_prandom_u32() % (2 * d->every - 1);
	return true;
}

/* The innermost frames and their hash. */
AP_INLINE uint64_t take_place(void *ctx, struct ap_kernel_lock_sums *fresh, struct draw *d)
{
	uint64_t began = bpf_ktime_get_ns();
	long bytes = bpf_get_stack(ctx, fresh->frames, sizeof(fresh->frames), 0);
	uint64_t hash = 0;

	d->cost += (bpf_ktime_get_ns() - began) / 8 - d->cost / 8;
	fresh->n_frames = bytes < 0 ? 0 : bytes / 8;
	for (uint32_t i = 0; i < AP_KERNEL_LOCK_FRAMES; i++) {
		if (i >= fresh->n_frames)
			break;
		hash = (hash ^ fresh->frames[i]) * AP_MIX_1;
		hash ^= hash >> 32;
	}
	return hash;
}

/* Which entry of the table the wait belongs to, and that there is one. The first of a process and lock is
 * always drawn. */
AP_INLINE void find_entry(void *ctx, struct wait *w, struct own_scratch *s)
{
	bool is_drawn = draw(&s->draw, w->since), is_new;

	w->others = 0;
	w->key.place = 0;
	w->mark = mark_of(&w->key);
	if (entry_of(w->mark, &w->key, 0, &w->at, &is_new) && !is_new && !is_drawn)
		return;
	if (is_drawn)
		w->others = s->draw.every - 1;
	w->key.place = take_place(ctx, &s->fresh, &s->draw);
	w->mark = mark_of(&w->key);
	entry_of(w->mark, &w->key, &s->fresh, &w->at, &is_new);
}

/* Which lock and whose wait it is. */
AP_INLINE void describe(struct wait *w, struct task_struct *task, uint32_t tgid, uint32_t flags)
{
	struct ap_kernel_lock *lock = &w->key.lock;

	lock->kind = kind_of(flags);
	lock->object = object_of(w->address, lock->kind);
	lock->address = lock->object == AP_KERNEL_LOCK_STATIC ? w->address : 0;
	lock->kernel = is_kernel_thread(task);
	w->key.tgid = tgid;
	w->key.start_time = task->group_leader->start_boottime;
}

AP_INLINE bool goes_on(const struct wait *w)
{
	return w->from && w->since >= started;
}

/* Where a wait that spins is remembered. */
AP_INLINE struct wait *push_spin(struct ap_kernel_lock_stats *stats)
{
	uint32_t zero = 0;
	struct spins *s = bpf_map_lookup_elem(&spin_waits, &zero);
	uint64_t n = s ? s->n : 0;

	if (!s)
		return 0;
	/* Ends that were not seen. */
	if (n >= SPINS || (n > 0 && s->waits[(n - 1) % SPINS].since < started)) {
		__sync_fetch_and_add(&stats->no_end, n >= SPINS ? n : 0);
		n = 0;
	}
	s->n = n + 1;
	return &s->waits[n % SPINS];
}

/* The innermost one for that lock, which is taken off with those within; NULL: none. */
AP_INLINE struct wait *pop_spin(uint64_t address, struct ap_kernel_lock_stats *stats)
{
	uint32_t zero = 0;
	struct spins *s = bpf_map_lookup_elem(&spin_waits, &zero);

	for (uint32_t i = SPINS; s && i > 0; i--) {
		struct wait *w = &s->waits[i - 1];

		if (i > s->n || w->address != address || w->since < started)
			continue;
		if (s->n > i)
			__sync_fetch_and_add(&stats->no_end, s->n - i);
		s->n = i - 1;
		return w;
	}
	return 0;
}

/* Where a wait that sleeps is remembered; NULL: it is part of one that goes on, or there is no memory. */
AP_INLINE struct wait *begin_sleep(struct task_struct *task, uint64_t address,
				   struct ap_kernel_lock_stats *stats)
{
	struct wait *w = bpf_task_storage_get(&lock_waits, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);

	if (!w) {
		count(&stats->no_storage);
		return 0;
	}
	if (goes_on(w)) {
		w->inner += w->address != address;
		return 0;
	}
	w->inner = 0;
	return w;
}

AP_INLINE void begin(void *ctx, uint64_t address, uint32_t flags, uint64_t now,
		     struct ap_kernel_lock_stats *stats)
{
	struct task_struct *task = bpf_get_current_task_btf();
	uint32_t tgid = tgid_of(task), zero = 0;
	struct own_scratch *s = bpf_map_lookup_elem(&lock_scratches, &zero);
	struct wait *w;

	if (!s || !is_followed(task, tgid))
		return;
	w = is_spin(flags) ? push_spin(stats) : begin_sleep(task, address, stats);
	if (!w)
		return;
	w->address = address;
	w->since = now;
	describe(w, task, tgid, flags);
	find_entry(ctx, w, s);
	w->from = now;
}

/* Writes the record of a wait's part that ends now, whose kernel stack of `kernel_bytes` is in `s`. 0, or
 * negative: there was no room. */
AP_INLINE long tell(struct scratch *s, struct task_struct *task, const struct wait *w,
		    long kernel_bytes, uint64_t ns, uint16_t flags)
{
	struct ap_record *r = (void *)s->record;
	struct pt_regs___kernel *regs = (void *)bpf_task_pt_regs(task);
	struct ap_kernel_lock lock = w->key.lock;
	long sent;

	s->walk.noticed = 0;
	record_begin(s, AP_RECORD_KERNEL_LOCK, task, w->key.tgid, cgroup_id(task));
	r->value = ns;
	r->flags = flags;
	record_kernel(s, kernel_bytes);
	if (is_kernel_thread(task)) {
		r->flags |= AP_RECORD_F_KTHREAD;
	} else if (AP_KERNEL_IS_COMPAT(regs)) {
		r->reason = AP_REASON_COMPAT;
	} else {
		s->walk.pc = ap_arch_kernel_registers(regs, s->walk.regs);
		walk_begin(&s->walk, task, KERNEL_FIELD(struct task_struct, mm, (uint64_t)task),
			   r->start_time);
		record_user(s, false);
	}
	if (record_section(s, AP_SECTION_KERNEL_LOCK, &lock, sizeof(lock)))
		return -1;
	sent = record_send(s);
	if (s->walk.noticed)
		send_notices(s, r->tgid);
	return sent;
}

/* The ring buffer's own lock lies in its first page. Whoever has just got it cannot write. */
AP_INLINE bool is_of_records(struct own_scratch *s, uint64_t address)
{
	s->number = (uint64_t)((struct bpf_ringbuf_map *)&records)->rb;
	return address >> AP_PAGE_SHIFT == s->number >> AP_PAGE_SHIFT;
}

/* The entry that the begin found. It may have left the table since: then one without frames. */
AP_INLINE struct ap_kernel_lock_entry *entry_again(struct wait *w)
{
	uint32_t at = w->at;
	struct ap_kernel_lock_entry *e = bpf_map_lookup_elem(&places, &at);
	bool is_new;

	if (e && e->mark == w->mark)
		return e;
	return entry_of(w->mark, &w->key, 0, &w->at, &is_new);
}

AP_INLINE void sum_up(struct wait *w, uint64_t ns, struct ap_kernel_lock_stats *stats)
{
	struct ap_kernel_lock_entry *e = entry_again(w);

	if (!e) {
		count(&stats->table_full);
		return;
	}
	__sync_fetch_and_add(&e->sums.count, 1);
	__sync_fetch_and_add(&e->sums.ns, ns);
	if (w->others) {
		__sync_fetch_and_add(&e->sums.others, w->others);
		__sync_fetch_and_add(&e->sums.others_ns, w->others * ns);
	}
	count(&stats->summed);
}

AP_INLINE void finish(void *ctx, struct wait *w, uint64_t now, uint64_t threshold,
		      struct ap_kernel_lock_stats *stats)
{
	uint64_t from = __sync_lock_test_and_set(&w->from, 0), ns = now > from ? now - from : 0;
	uint32_t zero = 0;
	struct own_scratch *s = bpf_map_lookup_elem(&lock_scratches, &zero);
	long bytes;

	if (!s)
		return;
	/* Part of a shorter one may have been told of: the threshold was another one then. */
	if (now < w->since + threshold || is_of_records(s, w->address)) {
		sum_up(w, ns, stats);
		return;
	}
	use_store();
	bytes = bpf_get_stack(ctx, s->record.record + KERNEL_AT + 4, KERNEL_BYTES, 0);
	if (tell(&s->record, bpf_get_current_task_btf(), w, bytes, ns, AP_RECORD_F_TRACED))
		count(&stats->ringbuf_full);
	else
		count(&stats->delivered);
}

AP_INLINE void end(void *ctx, uint64_t address, uint64_t now, struct ap_kernel_lock_stats *stats)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct wait *w = pop_spin(address, stats);

	if (w) {
		finish(ctx, w, now, spin_threshold_ns, stats);
		return;
	}
	w = bpf_task_storage_get(&lock_waits, task, 0, 0);
	if (w && goes_on(w) && w->address == address)
		finish(ctx, w, now, threshold_ns, stats);
	else if (w && goes_on(w) && w->inner)
		w->inner--;
	else if (is_followed(task, tgid_of(task)))
		count(&stats->no_begin);
}

/* Whether this run is one of those that are timed. */
AP_INLINE bool is_timed(struct ap_kernel_lock_stats *stats)
{
	return stats->runs++ % AP_KERNEL_LOCK_TIMED_EVERY == 0;
}

AP_INLINE void note_time(struct ap_kernel_lock_stats *stats, uint64_t since)
{
	stats->timed_ns += bpf_ktime_get_ns() - since;
	stats->timed_runs++;
}

/* A begin within a begin, and an end within an end, the kernel leaves out by itself. So of a wait within
 * one of the programs this one sees one of the two. */
SEC("tp_btf/contention_begin")
int ap_contention_begin(uint64_t *ctx)
{
	struct ap_kernel_lock_stats *stats = stats_here();
	uint64_t now = bpf_ktime_get_ns();

	if (!stats)
		return 0;
	if (stats->inside) {
		count(&stats->nested);
		return 0;
	}
	stats->inside = IN_BEGIN;
	begin(ctx, ctx[0], ctx[1], now, stats);
	if (is_timed(stats))
		note_time(stats, now);
	stats->inside = OUTSIDE;
	return 0;
}

SEC("tp_btf/contention_end")
int ap_contention_end(uint64_t *ctx)
{
	struct ap_kernel_lock_stats *stats = stats_here();
	uint64_t now = bpf_ktime_get_ns();

	if (!stats)
		return 0;
	if (stats->inside) {
		if (stats->inside == IN_BEGIN)
			count(&stats->nested);
		return 0;
	}
	stats->inside = IN_END;
	end(ctx, ctx[0], now, stats);
	if (is_timed(stats))
		note_time(stats, now);
	stats->inside = OUTSIDE;
	return 0;
}

/* The part so far of a wait that goes on. */
AP_INLINE void tell_waiting(struct task_struct *task, struct wait *w)
{
	uint64_t now = bpf_ktime_get_ns(), from = w->from;
	uint32_t zero = 0;
	struct scratch *s;
	long bytes;

	if (!goes_on(w) || task->on_cpu || now < w->since + threshold_ns || now <= from)
		return;
	s = bpf_map_lookup_elem(&lock_iterator_scratches, &zero);
	if (!s || __sync_val_compare_and_swap(&w->from, from, now) != from)
		return;
	bytes = bpf_get_task_stack(task, s->record + KERNEL_AT + 4, KERNEL_BYTES, 0);
	if (tell(s, task, w, bytes, now - from, AP_RECORD_F_GOES_ON))
		__sync_val_compare_and_swap(&w->from, now, from); /* the next time */
}

const volatile char pace[PACE_BYTES] = {1}; /* as in bpf/offcpu.bpf.c */

SEC("iter/task")
int ap_contended(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct wait *w;

	use_store();
	if (!task)
		return 0;
	w = bpf_task_storage_get(&lock_waits, task, 0, 0);
	if (!w)
		return 0;
	tell_waiting(task, w);
	bpf_seq_write(ctx->meta->seq, (const void *)pace, sizeof(pace));
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

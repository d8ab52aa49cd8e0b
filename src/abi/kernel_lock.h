/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What src/bpf/kernel_lock.bpf.c tells of waits for the kernel's own locks.
 *
 * A wait of the threshold and longer is a record of its own. Others are added up in a table by process,
 * lock and place, which is where the kernel asks for it: the innermost frames of its stack. In a storm most
 * are added to an entry without a place, and the others say for how many of those they stand. Sums only
 * grow; user space reports what they have grown by.
 *
 * The table lies open in an array, which user space maps, and has no lock: the programs run wherever the kernel
 * takes one. An entry is taken by its mark, which is made of its key, and bears its key and frames once it is
 * ready. User space alone gives it back: it closes it, so that nobody finds it any more, and clears it, the
 * mark last, when those that had found it must have gone. Of two CPUs that look for a new key at the same time
 * each may take an entry, so what a key has is the sum of all entries that bear it. */
#ifndef AP_ABI_KERNEL_LOCK_H
#define AP_ABI_KERNEL_LOCK_H

#include "abi/record.h"

/* The numbers are part of records and tables only. */
enum ap_kernel_lock_kind {
	AP_KERNEL_SPINLOCK = 0,
	AP_KERNEL_RWLOCK_READ,
	AP_KERNEL_RWLOCK_WRITE,
	AP_KERNEL_MUTEX,
	AP_KERNEL_RWSEM_READ,
	AP_KERNEL_RWSEM_WRITE,
	AP_KERNEL_PERCPU_READ,
	AP_KERNEL_PERCPU_WRITE,
	AP_KERNEL_RT_MUTEX,
	AP_KERNEL_RT_READ,
	AP_KERNEL_RT_WRITE,
	AP_KERNEL_SEMAPHORE,
	AP_KERNEL_LOCK_KINDS,
};

/* Which lock it is. The address of one that the kernel has allocated stays in the kernel: it names
 * nothing, and tells where things lie. */
enum ap_kernel_lock_object {
	AP_KERNEL_LOCK_HEAP = 0,
	AP_KERNEL_LOCK_STATIC, /* in the kernel's image or a module: its address is told */
	AP_KERNEL_LOCK_MMAP,   /* the process's mmap_lock */
	AP_KERNEL_LOCK_SIGNAL, /* the process's siglock */
	AP_KERNEL_LOCK_OBJECTS,
};

#define AP_KERNEL_LOCK_FRAMES 12 /* a third of them the tracepoint's own */

struct ap_kernel_lock {
	uint64_t address; /* AP_KERNEL_LOCK_STATIC; else 0 */
	uint8_t kind;	  /* enum ap_kernel_lock_kind */
	uint8_t object;	  /* enum ap_kernel_lock_object */
	uint8_t kernel;	  /* of a kernel thread */
	uint8_t pad[5];
};

struct ap_kernel_lock_key {
	struct ap_kernel_lock lock;
	uint64_t place;	     /* a hash of the frames; 0: not looked for */
	uint64_t start_time; /* the process leader's start, ns since boot */
	uint32_t tgid;	     /* in the agent's pid namespace */
	uint32_t pad;
};

struct ap_kernel_lock_sums {
	uint64_t count, ns;
	uint64_t others, others_ns; /* what it stands for of the entry without a place, about */
	uint64_t n_frames;
	uint64_t frames[AP_KERNEL_LOCK_FRAMES]; /* addresses, leaf first */
};

#define AP_KERNEL_LOCK_ENTRIES 8192u /* 2^n */
#define AP_KERNEL_LOCK_CLOSED  2ull  /* a mark; 0: the entry is free; those of keys are odd */

struct ap_kernel_lock_entry {
	uint64_t mark;
	uint64_t ready;			 /* not 0: what follows may be read */
	struct ap_kernel_lock_sums sums; /* what an end adds to is in the mark's cache line */
	struct ap_kernel_lock_key key;
};

/* Counters of one CPU: of the waits that ended, which is the sum of the first seven. */
struct ap_kernel_lock_stats {
	uint64_t delivered;		     /* a record was written */
	uint64_t summed;		     /* under the threshold: in the table */
	uint64_t ringbuf_full;		     /* no room for the record */
	uint64_t no_storage;		     /* no memory to remember the thread's wait */
	uint64_t table_full;		     /* no room for the place */
	uint64_t no_end;		     /* its end was not seen */
	uint64_t nested;		     /* within the programs that count */
	uint64_t no_begin;		     /* its begin was not seen: no time is known */
	uint64_t inside;		     /* which of the programs runs there now */
	uint64_t runs, timed_runs, timed_ns; /* see struct ap_cpu_stats */
	uint64_t pad[4];
};

#define AP_KERNEL_LOCK_TIMED_EVERY 64

_Static_assert(sizeof(struct ap_kernel_lock) == 16, "struct ap_kernel_lock is shared with BPF");
_Static_assert(sizeof(struct ap_kernel_lock_key) == 40, "shared with BPF");
_Static_assert(sizeof(struct ap_kernel_lock_sums) == 136, "shared with BPF");
_Static_assert(sizeof(struct ap_kernel_lock_entry) == 192, "three cache lines, shared with BPF");
_Static_assert(sizeof(struct ap_kernel_lock_stats) == 128, "two cache lines, shared with BPF");

#endif

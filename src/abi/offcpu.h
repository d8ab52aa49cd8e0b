/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What src/bpf/offcpu.bpf.c tells of the time that threads spend off the CPU. */
#ifndef AP_ABI_OFFCPU_H
#define AP_ABI_OFFCPU_H

#include "abi/record.h"

/* Why a thread was off the CPU. Numbers are part of records only. */
enum ap_wait_state {
	AP_WAIT_SLEEPING = 0, /* interruptible: for a timer, the network, another process, … */
	AP_WAIT_BLOCKED,      /* uninterruptible: mostly for a disk or a lock in the kernel */
	AP_WAIT_RUNNABLE,     /* ready, and another thread had the CPU */
	AP_WAIT_STOPPED,      /* by a signal or a debugger */
	AP_WAIT_LOCK,	      /* in futex(), which the locks of programs come down to */
	AP_WAIT_STATES,
};

/* How a wait for a lock ended. Numbers are part of records only. */
enum ap_wait_end {
	AP_WAIT_END_UNKNOWN = 0, /* it goes on, or nobody saw */
	AP_WAIT_END_WOKEN,	 /* by another thread */
	AP_WAIT_END_TIMEOUT,
	AP_WAIT_END_SIGNAL, /* or a debugger */
	AP_WAIT_ENDS,
};

/* Payload of AP_SECTION_WAIT. The record's value is the time since the wait was told of last, its time
 * the end of that. */
struct ap_wait {
	uint64_t since; /* CLOCK_MONOTONIC: when the thread left the CPU */
	uint32_t state; /* enum ap_wait_state */
	uint32_t end;	/* enum ap_wait_end, of AP_WAIT_LOCK alone */
};

/* Payload of AP_SECTION_LOCK: of a wait for a lock, and of what ended one; of AP_SECTION_WAKER: of another
 * wait, and without an address. */
struct ap_lock {
	uint64_t address; /* of the futex, in the process; of several the one woken, or the first;
			     0 = unknown */
	uint32_t tgid,
		tid; /* who ended the wait, where that is known; of AP_RECORD_WAKER: who waited */
	char comm[AP_COMM_BYTES]; /* the name of that thread; empty = not known */
};

#define AP_WAKER_INTERRUPT "[interrupt]" /* the name where no thread, but a device or a timer did */

/* Payload of AP_SECTION_WAIT_SUMS: a thread's waits under the threshold, since they were told of last. */
struct ap_wait_sums {
	uint64_t count[AP_WAIT_STATES];
	uint64_t ns[AP_WAIT_STATES];
};

#define AP_WAIT_SEAT_BITS 13 /* so many threads have a place of their own */

/* One writer each: the BPF programs on that CPU. Counts of waits that ended. What every switch touches is in the
 * first line. */
struct ap_wait_stats {
	uint64_t run_queue;	       /* the programs' own: the address of the CPU's */
	uint64_t runs;		       /* of the program; see struct ap_cpu_stats */
	uint64_t summed;	       /* under the threshold: part of the thread's sums */
	uint64_t delivered;	       /* a record was written */
	uint64_t ringbuf_full;	       /* no room for the record */
	uint64_t no_storage;	       /* no memory to remember that the thread left the CPU */
	uint64_t wakers;	       /* that ended a wait: records written */
	uint64_t wakers_lost;	       /* no room for the record */
	uint64_t timed_runs, timed_ns; /* see `runs` */
	/* The programs' own, of the last timed run: its begin, and how far the switches' clock was behind. */
	uint64_t began;
	int64_t clock_behind;
	uint64_t pad[4];
};

_Static_assert(sizeof(struct ap_wait) == 16, "struct ap_wait is shared with BPF");
_Static_assert(sizeof(struct ap_lock) == 32, "struct ap_lock is shared with BPF");
_Static_assert(sizeof(struct ap_wait_sums) == 80, "struct ap_wait_sums is shared with BPF");
_Static_assert(sizeof(struct ap_wait_stats) == 128, "two cache lines per CPU, shared with BPF");

#endif

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What offcpu.bpf.c remembers of each thread. A wait lies in a variable, where it is found by the thread's address
 * without a call, and without a look at the thread itself. Where two threads meet, the second keeps its own in
 * its storage. A thread gives its place back when it ends, also while nothing else is watched: another one may
 * have the address later. */
#ifndef AP_BPF_WAIT_BPF_H
#define AP_BPF_WAIT_BPF_H

#include "abi/offcpu.h"
#include "bpf/function.bpf.h"
#include "bpf/kernel.bpf.h"

struct wait_sum {
	uint64_t count, ns;
};

struct wait_sums {
	struct wait_sum of[AP_WAIT_STATES];
};

/* What a short wait touches is in the first line, of sums those of sleeping. */
struct wait {
	uint64_t owner; /* number_of() the thread; 0: nobody */
	uint64_t since; /* when the thread left the CPU */
	/* Up to when that was told of; 0, or of another epoch: it is on a CPU, or its wait is not told of. */
	uint64_t from;
	uint64_t ran; /* the thread's CPU time when it left */
	uint32_t epoch;
	uint16_t state;
	uint8_t end;   /* enum ap_wait_end */
	uint8_t named; /* `waker` holds something */
	struct wait_sums sums, told;
	struct ap_lock waker; /* who has ended it, and by which futex */
	uint64_t pad[3];
};
_Static_assert(sizeof(struct wait) == 256, "waits begin at a cache line");

static struct wait seats[1 << AP_WAIT_SEAT_BITS] __attribute__((aligned(64)));
uint32_t crowded = 0; /* some are in storage */

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct wait);
} waits SEC(".maps");

/* Its address as a number. The verifier lets nobody calculate with typed pointers but this: the distance from
 * something else. */
AP_INLINE uint64_t number_of(struct task_struct *task)
{
	uint64_t number = (uint64_t)task;

	asm volatile("%0 -= %1" : "+r"(number) : "r"(seats));
	return number;
}

AP_INLINE struct wait *seat_at(uint64_t number)
{
	return &seats[(uint32_t)(number >> 6) * 0x9e3779b1u >> (32 - AP_WAIT_SEAT_BITS)];
}

/* What is remembered of a thread; of most there is nothing, which takes no call to see. */
AP_INLINE struct wait *wait_of(struct task_struct *task)
{
	uint64_t number = number_of(task);
	struct wait *w = seat_at(number);

	if (w->owner == number)
		return w;
	if (!*(volatile uint32_t *)&crowded || !task->bpf_storage)
		return 0;
	return bpf_task_storage_get(&waits, task, 0, 0);
}

/* A place for a thread that has none; 0: there is no memory, or the thread ends. */
AP_RARE struct wait *take_place(struct task_struct *task)
{
	uint64_t number = number_of(task), owner;
	struct wait *w = seat_at(number);

	owner = __sync_val_compare_and_swap(&w->owner, 0, number);
	if (owner && owner != number) {
		crowded = 1;
		return bpf_task_storage_get(&waits, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	}
	/* The iterator may come too late: then nobody would give it back. */
	if (task->flags & PF_EXITING) {
		__sync_val_compare_and_swap(&w->owner, number, 0);
		return 0;
	}
	return w;
}

/* The place's sums go on from where they are, so that whoever reads them meanwhile finds none that shrink. */
AP_INLINE void give_back(struct task_struct *task, struct wait *w)
{
	uint64_t number = number_of(task);

	w->from = 0;
	w->since = 0;
	w->told = w->sums;
	if (seat_at(number)->owner == number)
		__sync_lock_test_and_set(&w->owner, 0);
	else
		bpf_task_storage_delete(&waits, task);
}

#endif

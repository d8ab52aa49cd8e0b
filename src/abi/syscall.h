/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What src/bpf/syscall.bpf.c keeps of system calls, and the histogram of their latencies that everything
 * up to the dashboard speaks of.
 *
 * A latency in nanoseconds belongs to a bucket; buckets are numbered so that eight follow one another in
 * each power of two (below 16 ns each holds one value). A bucket's middle is at most 1/16 = 6.25 % away
 * from any value in it. The eight of one power are a block.
 *
 * The kernel side keeps a cell per (process, call, block): most pairs need three or four of them. Counts
 * and sums in it only grow; user space reports what they have grown by, so that nothing has to be
 * reset while it is being written. */
#ifndef AP_ABI_SYSCALL_H
#define AP_ABI_SYSCALL_H

#include "abi/record.h"

#define AP_LATENCY_BLOCK   8u
#define AP_LATENCY_BLOCKS  62u
#define AP_LATENCY_BUCKETS (AP_LATENCY_BLOCKS * AP_LATENCY_BLOCK)

/* In place of a block: calls that never return (exit, exit_group, rt_sigreturn), in count[0]. */
#define AP_SYSCALL_NEVER 0xff

/* Which table a call's number belongs to. The numbers are on the wire. */
enum ap_syscall_abi {
	AP_SYSCALL_NATIVE = 0, /* x86-64, arm64 */
	AP_SYSCALL_COMPAT = 1, /* 32-bit: i386, arm */
	AP_SYSCALL_X32 = 2,    /* without its flag bit */
	AP_SYSCALL_ABI_MAX,
};

#define AP_SYSCALL_NUMBER_MAX 0xffff /* this and all above */
#define AP_SYSCALL_ERRNO_MAX  4095

/* `where`: enum ap_syscall_abi, and above AP_SYSCALL_SHARD_SHIFT the CPU's shard, since CPUs that count
 * the same call of the same process at the same time would slow each other down. */
#define AP_SYSCALL_SHARD_SHIFT 2
#define AP_SYSCALL_SHARDS_MAX  16u
#define AP_SYSCALL_ABI_OF(w)   ((w) & ((1u << AP_SYSCALL_SHARD_SHIFT) - 1))

struct ap_syscall_key {
	uint64_t start_time; /* the process leader's start, ns since boot */
	uint32_t tgid;	     /* in the agent's pid namespace */
	uint16_t number;
	uint8_t where;
	uint8_t block; /* or AP_SYSCALL_NEVER */
};

/* The longest call since user space last looked cannot be told from a value that only grows. So there is
 * one place for each of two successive epochs, marked with the epoch: user space begins a new one, and
 * then reads the other place. */
#define AP_SYSCALL_MAX_BITS 52 /* 52 days of nanoseconds; above them the epoch's low bits */
#define AP_SYSCALL_MAX_MASK ((1ull << AP_SYSCALL_MAX_BITS) - 1)

struct ap_syscall_cell {
	uint64_t count[AP_LATENCY_BLOCK];
	uint64_t sum; /* nanoseconds */
	uint64_t max[2];
};

struct ap_syscall_error_key {
	uint64_t start_time;
	uint32_t tgid;
	uint16_t number;
	uint16_t error; /* enum ap_syscall_abi in the top 4 bits, errno in the others */
};

#define AP_SYSCALL_ERROR_SHIFT 12

/* A task that is in a call now. */
struct ap_syscall_flight {
	uint64_t start_time;
	uint64_t begin; /* CLOCK_MONOTONIC, nanoseconds */
	uint32_t tgid;
	uint16_t number;
	uint8_t abi;
	uint8_t pad;
};

/* Counters of one CPU: calls of the processes asked for. `calls` is the sum of what the cells have, of
 * table_full and of no_start. */
struct ap_syscall_stats {
	uint64_t calls;
	uint64_t table_full;
	uint64_t no_start;
	uint64_t runs; /* of both programs */
	uint64_t timed_runs, timed_ns;
	uint64_t pad[2];
};

#define AP_SYSCALL_TIMED_EVERY 256 /* a power of two */

_Static_assert(sizeof(struct ap_syscall_key) == 16, "struct ap_syscall_key is shared with BPF");
_Static_assert(sizeof(struct ap_syscall_cell) == 88, "struct ap_syscall_cell is shared with BPF");
_Static_assert(sizeof(struct ap_syscall_error_key) == 16, "shared with BPF");
_Static_assert(sizeof(struct ap_syscall_flight) == 24,
	       "struct ap_syscall_flight is shared with BPF");
_Static_assert(sizeof(struct ap_syscall_stats) == 64, "a cache line per CPU, shared with BPF");

/* The bucket of a latency. */
static inline uint32_t ap_latency_bucket(uint64_t ns)
{
	uint32_t shift = 0;

	/* The position of the highest bit, without an instruction that BPF lacks. */
	if (ns >> 32)
		shift += 32;
	if (ns >> (shift + 16))
		shift += 16;
	if (ns >> (shift + 8))
		shift += 8;
	if (ns >> (shift + 4))
		shift += 4;
	if (ns >> (shift + 2))
		shift += 2;
	if (ns >> (shift + 1))
		shift += 1;
	if (shift < 3)
		return (uint32_t)ns;
	return (shift - 2) * AP_LATENCY_BLOCK + ((uint32_t)(ns >> (shift - 3)) & 7);
}

/* The least latency in a bucket; of AP_LATENCY_BUCKETS and above UINT64_MAX. */
static inline uint64_t ap_latency_from(uint32_t bucket)
{
	if (bucket < AP_LATENCY_BLOCK)
		return bucket;
	if (bucket >= AP_LATENCY_BUCKETS)
		return ~0ull;
	return (8ull + bucket % AP_LATENCY_BLOCK) << (bucket / AP_LATENCY_BLOCK - 1);
}

#endif

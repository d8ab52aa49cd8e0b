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
 * reset while it is being written.
 *
 * Cells and errors are hash tables that lie open in arrays, which user space maps. An entry is taken by its
 * start_time, from 0, and then gets the rest of its key; user space alone gives it back, when its process
 * has gone, and clears start_time last. Of two CPUs that look for a new key at the same time each may take
 * an entry, so what a key has is the sum of all entries that bear it. */
#ifndef AP_ABI_SYSCALL_H
#define AP_ABI_SYSCALL_H

#include "abi/record.h"

/* Powers of two: tasks, and CPUs, that have a place of their own; entries in a part of a table. */
#define AP_SYSCALL_FLIGHTS   8192u
#define AP_SYSCALL_CPUS	     1024u
#define AP_SYSCALL_PART_BITS 14
#define AP_SYSCALL_PART	     (1u << AP_SYSCALL_PART_BITS)

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
	union {
		struct {
			uint32_t tgid; /* in the agent's pid namespace */
			uint16_t number;
			uint8_t where;
			uint8_t block; /* or AP_SYSCALL_NEVER */
		};
		uint64_t call; /* the same in one word, little-endian */
	};
};

#define AP_SYSCALL_CALL(tgid, number, where, block)                              \
	((uint64_t)(tgid) | (uint64_t)(number) << 32 | (uint64_t)(where) << 48 | \
	 (uint64_t)(block) << 56)

/* The longest call since user space last looked cannot be told from a value that only grows. So there is
 * one place for each of two successive epochs, marked with the epoch: user space begins a new one, and
 * then reads what the one that has ended has left. */
#define AP_SYSCALL_MAX_BITS 52 /* 52 days of nanoseconds; above them the epoch's low bits */
#define AP_SYSCALL_MAX_MASK ((1ull << AP_SYSCALL_MAX_BITS) - 1)

struct ap_syscall_cell {
	struct ap_syscall_key key;
	uint64_t count[AP_LATENCY_BLOCK];
	uint64_t sum; /* nanoseconds */
	uint64_t max[2];
};

struct ap_syscall_error_key {
	uint64_t start_time;
	union {
		struct {
			uint32_t tgid;	/* the shard in the top 4 bits, which numbers of processes leave free */
			uint16_t number;
			uint16_t error; /* enum ap_syscall_abi in the top 4 bits, errno below */
		};
		uint64_t call; /* as above */
	};
};

#define AP_SYSCALL_TGID_BITS 28

/* Of a call and a shard as in struct ap_syscall_key.call. */
#define AP_SYSCALL_ERROR_OF(call, shard, error)                                   \
	(((call) & ~0ull >> 16) |                                                 \
	 (shard) >> (48 + AP_SYSCALL_SHARD_SHIFT) << AP_SYSCALL_TGID_BITS |       \
	 (call) >> 48 << (48 + AP_SYSCALL_ERROR_SHIFT) | (uint64_t)(error) << 48)

struct ap_syscall_error {
	struct ap_syscall_error_key key;
	uint64_t count;
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

/* Calls by ABI and number. */
#define AP_SYSCALL_SET_BITS 640u

struct ap_syscall_set {
	uint64_t calls[AP_SYSCALL_ABI_MAX][AP_SYSCALL_SET_BITS / 64];
	uint8_t others; /* whether numbers above are in it */
};

/* By errno. */
struct ap_errno_set {
	uint64_t numbers[(AP_SYSCALL_ERRNO_MAX + 1) / 64];
};

/* A call that has returned and is to be told of with its stack. */
struct ap_syscall_return {
	uint64_t ns;
	uint64_t call;	/* AP_SYSCALL_CALL(tgid, number, abi, 0) */
	uint64_t error; /* 0: it did not fail */
};

/* The section AP_SECTION_SYSCALL of a record. */
struct ap_syscall_told {
	uint16_t number;
	uint16_t abi;	/* enum ap_syscall_abi */
	uint32_t error; /* 0: it did not fail */
};

/* Of those that were to be told of, on one CPU. The sum of the others is `asked`. */
struct ap_syscall_stack_stats {
	uint64_t asked;
	uint64_t delivered, ringbuf_full;
	uint64_t limited;	 /* more than the rate that is allowed */
	uint64_t timed_ns;	 /* of all runs */
	uint64_t tokens, filled; /* what is left of the rate, and when that was found */
	uint64_t pad;
};

/* Counters of one CPU, or of those whose numbers end in the same bits: calls of the processes asked for. `returned` and `never` are the sum of what the
 * cells have, of table_full and of no_start. */
struct ap_syscall_stats {
	uint64_t returned;
	uint64_t never;
	uint64_t table_full;
	uint64_t no_start;
	uint64_t runs; /* of the program on returns; that on begins runs as often */
	uint64_t timed_runs, timed_ns; /* of both */
	uint64_t shard;		       /* of this CPU, as in struct ap_syscall_key.call; user space's */
};

#define AP_SYSCALL_TIMED_EVERY 256 /* a power of two */

_Static_assert(sizeof(struct ap_syscall_key) == 16, "struct ap_syscall_key is shared with BPF");
_Static_assert(sizeof(struct ap_syscall_cell) == 104, "struct ap_syscall_cell is shared with BPF");
_Static_assert(sizeof(struct ap_syscall_error) == 24, "shared with BPF");
_Static_assert(sizeof(struct ap_syscall_flight) == 24,
	       "struct ap_syscall_flight is shared with BPF");
_Static_assert(sizeof(struct ap_syscall_told) == 8, "struct ap_syscall_told is shared with BPF");
_Static_assert(sizeof(struct ap_syscall_stack_stats) == 64, "shared with BPF");
_Static_assert(sizeof(struct ap_syscall_stats) == 64, "a cache line per CPU, shared with BPF");

/* How many bits a number below 256 has. */
static const uint8_t ap_latency_bits[256] __attribute__((unused)) = {
	[1] = 1,	      [2 ... 3] = 2,   [4 ... 7] = 3,	 [8 ... 15] = 4,
	[16 ... 31] = 5, [32 ... 63] = 6, [64 ... 127] = 7, [128 ... 255] = 8,
};

/* How many bits a latency has above the lowest four. By a table, without branches for latencies below 4 µs:
 * where these change a processor guesses wrong as often. */
static inline uint32_t ap_latency_shift(uint64_t ns)
{
	uint32_t shift = 0;

	for (ns >>= 4; ns >> 8; ns >>= 8)
		shift += 8;
	__asm__("" : "+r"(ns)); /* the verifier knows of the bound only what it sees */
	return shift + ap_latency_bits[ns & 0xff];
}

/* The bucket of a latency. */
static inline uint32_t ap_latency_bucket(uint64_t ns)
{
	uint32_t shift = ap_latency_shift(ns);

	return shift * AP_LATENCY_BLOCK + (uint32_t)(ns >> shift);
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

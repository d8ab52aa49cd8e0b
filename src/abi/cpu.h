/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What src/bpf/cpu.bpf.c keeps beside its records: counters per CPU, read by user space through an
 * mmap of the array `cpu_stats`, without a system call. */
#ifndef AP_ABI_CPU_H
#define AP_ABI_CPU_H

#include "abi/record.h"

/* One writer each: the BPF program on that CPU. Counts of runs; a run is one sampling period. */
struct ap_cpu_stats {
	uint64_t delivered;
	uint64_t filtered;
	uint64_t ringbuf_full;
	uint64_t no_scratch;
	uint64_t runs;	     /* begun: the sum of the above, and one more while one is under way */
	uint64_t timed_runs; /* 1 run in AP_CPU_TIMED_EVERY is timed */
	uint64_t timed_ns;
	uint64_t idle; /* periods that ended while the CPU was idle: no runs */
};

#define AP_CPU_TIMED_EVERY 8 /* a power of two */

/* What the program ap_locate finds out about its caller. */
struct ap_location {
	uint32_t pid_level; /* how deep its pid namespace lies; 0 = the machine's own */
	uint32_t pid_ns;    /* inode number of that namespace */
	uint32_t done;	    /* 1 once filled */
	uint32_t pad;
};

_Static_assert(sizeof(struct ap_cpu_stats) == 64, "a cache line per CPU, shared with BPF");
_Static_assert(sizeof(struct ap_location) == 16, "struct ap_location is shared with BPF");

#endif

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The one record format in which every BPF program speaks to user space, through a ring buffer:
 *
 *	struct ap_record | section | section | …
 *
 * A section is {u16 kind, u16 bytes} and its payload; sections follow one another at 8-byte
 * alignment ("bytes" excludes the 4-byte section header and the padding). A reader skips kinds
 * that it does not know, so probes may add sections without changing this format. All multi-byte
 * values are in host order: the ring buffer never leaves the machine.
 *
 * A user frame is one u64. With AP_FRAME_FILE set it names a file that the walker knew:
 *	bit 63 = 1 | bits 62..40: struct ap_file_ref.file | bits 39..0: offset in the file
 * else it is a virtual address (user addresses on Linux leave bit 63 clear). Both are of the
 * instruction that is or was executed: the walker has taken 1 off return addresses, and not off the
 * leaf's address and that of a frame that a signal interrupted.
 */
#ifndef AP_ABI_RECORD_H
#define AP_ABI_RECORD_H

#ifdef __bpf__
typedef unsigned char uint8_t;
typedef unsigned short uint16_t;
typedef unsigned int uint32_t;
typedef unsigned long long uint64_t;
typedef short int16_t;
typedef int int32_t;
typedef long long int64_t;
#else
#include <stdint.h>
#endif

enum ap_record_type {
	AP_RECORD_CPU = 1,     /* value: nanoseconds this sample stands for (its period) */
	AP_RECORD_OFFCPU = 2,  /* value: nanoseconds off the CPU */
	AP_RECORD_WAKER = 3,   /* who ended a wait; value: nanoseconds of the wait */
	AP_RECORD_SYSCALL = 4, /* value: nanoseconds in the call */
	AP_RECORD_GPU = 5,
	AP_RECORD_FILE = 6, /* no sample: the process maps a file that the walker does not know */
	AP_RECORD_WAIT_SUMS = 7,   /* waits too short for a record of their own; value: 0 */
	AP_RECORD_KERNEL_LOCK = 8, /* value: nanoseconds of the wait for a lock of the kernel */
};

enum ap_section_kind {
	AP_SECTION_COMM = 1,	     /* char[16], NUL-padded: the thread's name */
	AP_SECTION_KERNEL_STACK = 2, /* u64[]: addresses, leaf first */
	AP_SECTION_USER_STACK = 3,   /* u64[]: user frames (above), leaf first */
	AP_SECTION_LOCK = 7,	     /* struct ap_lock (abi/offcpu.h) */
	AP_SECTION_FILE = 8,	     /* struct ap_file_notice (abi/unwind.h) */
	AP_SECTION_WAIT = 9,	     /* struct ap_wait (abi/offcpu.h) */
	AP_SECTION_WAIT_SUMS = 10,   /* struct ap_wait_sums (abi/offcpu.h) */
	AP_SECTION_SYSCALL = 11,     /* struct ap_syscall_told (abi/syscall.h) */
	AP_SECTION_KERNEL_LOCK = 12, /* struct ap_kernel_lock (abi/kernel_lock.h) */
	AP_SECTION_WAKER = 13,	     /* struct ap_lock (abi/offcpu.h) */
};

/* Why a user stack ends: values of ap_record.reason. */
enum ap_reason {
#define AP_REASON(id, num, name, text) AP_REASON_##id = (num),
#include "abi/errors.def"
};

/* Flags of ap_record.flags. */
enum {
	AP_RECORD_F_USER_MODE = 1,  /* the CPU was executing user code when sampled */
	AP_RECORD_F_KTHREAD = 2,    /* a kernel thread */
	AP_RECORD_F_KSTACK_CUT = 4, /* the kernel stack was longer than the buffer */
	AP_RECORD_F_GOES_ON = 8, /* a wait that has not ended: the part since it was told of last */
	AP_RECORD_F_OFFCPU = 16, /* waits are told of as time off the CPU */
	AP_RECORD_F_LOCK = 32,	 /* waits for locks are told of as such, too or only */
	AP_RECORD_F_TRACED = 64, /* the kernel stack's innermost frames are the tracepoint's own */
	AP_RECORD_F_WAKERS = 128, /* and who ended waits for other things */
};

struct ap_record {
	uint16_t type; /* enum ap_record_type */
	uint16_t n_sections;
	uint32_t size; /* bytes of the whole record, header and padding included */
	uint32_t cpu;
	uint16_t reason; /* enum ap_reason */
	uint16_t flags;	 /* AP_RECORD_F_* */
	uint64_t time;	 /* CLOCK_MONOTONIC, nanoseconds */
	uint32_t tgid;	 /* process and thread id in the agent's pid namespace */
	uint32_t tid;
	uint64_t start_time; /* the process leader's start, ns since boot: tells reused ids apart */
	uint64_t cgroup;     /* cgroup v2 id (0: none) */
	uint64_t value;	     /* see enum ap_record_type */
};

struct ap_section {
	uint16_t kind;	/* enum ap_section_kind */
	uint16_t bytes; /* of the payload */
};

#define AP_FRAME_FILE	     (1ull << 63)
#define AP_FRAME_OFFSET_BITS 40
#define AP_FRAME_OFFSET_MASK ((1ull << AP_FRAME_OFFSET_BITS) - 1)
#define AP_FRAME_FILE_MAX    ((1u << 23) - 1)
#define AP_FRAME_FILE_OF(f)  ((uint32_t)((f) >> AP_FRAME_OFFSET_BITS) & AP_FRAME_FILE_MAX)

#define AP_COMM_BYTES	       16
#define AP_USER_FRAMES_DEFAULT 512
#define AP_USER_FRAMES_MAX     1024
#define AP_KERNEL_FRAMES_MAX   127

_Static_assert(sizeof(struct ap_record) == 56, "struct ap_record is shared with BPF");
_Static_assert(sizeof(struct ap_section) == 4, "struct ap_section is shared with BPF");

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel tells of processes: mappings of code, thread names, exec, fork and exit, through
 * the ring of a dummy software event per CPU. Sampling needs none of it to run; it is what names a
 * process that has gone before anyone could look at /proc.
 * Source: perf_event_open(2), "MMAP layout"; Linux 5.12 for build ids in MMAP2. */
#ifndef AP_AGENT_SIDEBAND_H
#define AP_AGENT_SIDEBAND_H

#include "base/arena.h"
#include "base/vec.h"

#define AP_SIDEBAND_BUILD_ID_MAX 20

enum ap_sideband_kind {
	AP_SIDEBAND_MMAP, /* code was mapped */
	AP_SIDEBAND_COMM, /* a thread was named */
	AP_SIDEBAND_EXEC, /* a process runs a new program, and its thread has a new name */
	AP_SIDEBAND_FORK, /* a new process or thread */
	AP_SIDEBAND_EXIT, /* a thread has ended */
	AP_SIDEBAND_LOST, /* the ring was full: events of any process are missing */
};

struct ap_sideband_event {
	enum ap_sideband_kind kind;
	int32_t pid, tid;	    /* in this process's pid namespace; ≤ 0: not in it */
	int32_t ppid;		    /* FORK: the process that forked; equal to pid for a thread */
	uint64_t time;		    /* CLOCK_MONOTONIC ns */
	uint64_t start, end, pgoff; /* MMAP */
	uint64_t dev, inode;	    /* MMAP without build id */
	uint64_t lost;		    /* LOST: how many */
	uint32_t order;		    /* among events of the same time: as they were read */
	uint32_t build_id_bytes;    /* 0 = none */
	uint8_t build_id[AP_SIDEBAND_BUILD_ID_MAX];
	struct ap_str text; /* MMAP: path; COMM, EXEC: the thread's name */
};

/* Takes one record of `n` bytes, its header included, apart. `ret->text` borrows from it. 0,
 * -ENOMSG for a kind that says nothing here, -EINVAL for one that is malformed. */
int ap_sideband_parse(const void *record, size_t n, struct ap_sideband_event *ret);

/* Events in the order of their times. */
struct ap_sideband_batch {
	AP_VEC(struct ap_sideband_event) events;
	struct ap_arena text; /* backs the events' text */
	uint64_t malformed;
};

void ap_sideband_batch_free(struct ap_sideband_batch *b);
/* Takes the first `n` events away. */
void ap_sideband_batch_consume(struct ap_sideband_batch *b, size_t n);

struct ap_sideband;

/* No CPU is watched yet. `epoll_fd` gets the rings' descriptors, with data.u32 = `epoll_tag`; they
 * become readable when an event has come. NULL = out of memory. */
struct ap_sideband *ap_sideband_new(int epoll_fd, uint32_t epoll_tag);
void ap_sideband_free(struct ap_sideband *s);
AP_DEFINE_CLEANUP(sideband, struct ap_sideband, ap_sideband_free)

/* Watches a CPU: 0 or the kernel's error. Watching it already is no error. */
int ap_sideband_add_cpu(struct ap_sideband *s, uint32_t cpu);
/* Ends it, for a CPU that went offline. What its ring still holds is lost: drain first. */
void ap_sideband_remove_cpu(struct ap_sideband *s, uint32_t cpu);
size_t ap_sideband_bytes(const struct ap_sideband *s);	   /* of all rings */
size_t ap_sideband_cpu_bytes(const struct ap_sideband *s); /* of the largest: they are alike */

/* Appends what has come, sorted by time: 0 or -ENOMEM. */
int ap_sideband_drain(struct ap_sideband *s, struct ap_sideband_batch *b);

#endif

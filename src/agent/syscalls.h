/* SPDX-License-Identifier: Apache-2.0 */
/* System calls of the processes asked for: loads src/bpf/syscall.bpf.c, and tells what its tables have
 * grown by; where stacks are asked for, src/bpf/syscall_stack.bpf.c too, whose records come through the
 * ring buffer of the sampling programs. One thread at a time. */
#ifndef AP_AGENT_SYSCALLS_H
#define AP_AGENT_SYSCALLS_H

#include "abi/ledger.h"
#include "agent/bpf_object.h"
#include "agent/profiler.h"
#include "agent/syscall_options.h"
#include "profile/syscall.h"

struct ap_syscalls;

/* For the targets of the sampling programs (NULL: the whole machine, and no stacks); `o` may be NULL, for
 * all calls. 0; -EPERM, -ENOTSUP, -ENOMEM or the kernel's error, with `err`. */
int ap_syscalls_open(const struct ap_bpf_object *targets, const struct ap_syscalls_options *o,
		     struct ap_error *err, struct ap_syscalls **ret);
void ap_syscalls_free(struct ap_syscalls *s);
AP_DEFINE_CLEANUP(syscalls, struct ap_syscalls, ap_syscalls_free)

/* Counts from now on, until the stop; may be started again. A call that began before the start is counted as
 * no_start when it returns. Both idempotent. */
int ap_syscalls_start(struct ap_syscalls *s, struct ap_error *err);
void ap_syscalls_stop(struct ap_syscalls *s);

/* What one process did of one call since the last drain. */
struct ap_syscall_report {
	uint64_t start_time; /* of the process, ns since boot */
	int32_t pid;
	enum ap_syscall_abi abi;
	uint16_t number;
	struct ap_syscall_stat stat; /* borrowed */
	uint32_t in_flight;	     /* threads in the call now; may be all there is to report */
	uint64_t oldest_ns;	     /* for how long the first of them has been */
};

/* Calls `fn` for each pair of process and call that has anything new, has threads in flight or had at
 * the last drain; what it did not take (it returned a negative value) is counted as no_memory.
 * The stage's calls, table_full and no_start are brought up to date, and the stage syscall_stack; after the
 * stop they and what `fn` took are in balance. 0, -ENOMEM or the kernel's error. */
typedef int (*ap_syscall_fn)(void *ctx, const struct ap_syscall_report *r);
int ap_syscalls_drain(struct ap_syscalls *s, ap_syscall_fn fn, void *ctx, struct ap_ledger *ledger);

/* Adds the programs' share. */
void ap_syscalls_cost(const struct ap_syscalls *s, struct ap_profiler_cost *cost);

#endif

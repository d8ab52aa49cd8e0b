/* SPDX-License-Identifier: Apache-2.0 */
/* The user-space side of src/bpf/kernel_lock.bpf.c: waits for the kernel's own locks. Those of the threshold
 * and longer come through the ring buffer of the capture whose maps it shares; of the others it tells what
 * the table has grown by. One thread at a time. */
#ifndef AP_AGENT_KERNEL_LOCKS_H
#define AP_AGENT_KERNEL_LOCKS_H

#include "abi/kernel_lock.h"
#include "abi/ledger.h"
#include "agent/capture.h"

struct ap_kernel_locks;

/* Loads the programs, which follow whom the capture follows; nothing is recorded yet. The capture is borrowed.
 * -ENOTSUP: this kernel does not have what they need, `err` says what; else the kernel's error. */
int ap_kernel_locks_open(struct ap_capture *capture, struct ap_error *err,
			 struct ap_kernel_locks **ret);
void ap_kernel_locks_free(struct ap_kernel_locks *k); /* detaches */
AP_DEFINE_CLEANUP(kernel_locks, struct ap_kernel_locks, ap_kernel_locks_free)

/* From which length on a wait has stacks, before the start or after it; one that spins, from a tenth of it. */
void ap_kernel_locks_set(struct ap_kernel_locks *k, uint64_t threshold_ns);
/* Begins, again after a stop too. Of a wait whose begin was before no time is known. */
int ap_kernel_locks_start(struct ap_kernel_locks *k, struct ap_error *err);
/* Ends it: waits that go on are told of up to now, and one more drain tells what is left. Idempotent. */
void ap_kernel_locks_stop(struct ap_kernel_locks *k);

/* Has the programs tell of waits that go on, up to now, through the ring buffer, which it drains meanwhile. 0 or
 * the kernel's error. */
int ap_kernel_locks_flush(struct ap_kernel_locks *k);

/* Waits of one process for one lock, at one place, since the last drain. */
struct ap_kernel_lock_report {
	const struct ap_kernel_lock_key *key;
	const uint64_t *frames; /* of the kernel, leaf first; borrowed */
	uint32_t n_frames;
	uint64_t count, ns;
};

/* Calls `fn` for each that has grown. */
typedef void (*ap_kernel_lock_fn)(void *ctx, const struct ap_kernel_lock_report *r);
void ap_kernel_locks_drain(struct ap_kernel_locks *k, ap_kernel_lock_fn fn, void *ctx);

/* Brings the stage "kernel_lock" up to date. */
void ap_kernel_locks_ledger(const struct ap_kernel_locks *k, struct ap_ledger *l);
/* Adds what it costs, but for some 200 bytes of kernel memory for each thread that has waited. */
void ap_kernel_locks_cost(const struct ap_kernel_locks *k, struct ap_profiler_cost *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The user-space side of src/bpf/offcpu.bpf.c: time that threads spend off the CPU, and who ends it. Its records come
 * through the ring buffer of the capture whose maps it shares. One thread at a time. */
#ifndef AP_AGENT_OFFCPU_H
#define AP_AGENT_OFFCPU_H

#include "abi/ledger.h"
#include "agent/capture.h"

struct ap_offcpu;

/* Loads the programs, which follow whom the capture follows; nothing is recorded yet. The capture is borrowed.
 * `wakers`: who ended a wait is told of all waits, not of those for locks alone.
 * -ENOTSUP: this kernel does not have what they need, `err` says what; else the kernel's error. */
int ap_offcpu_open(struct ap_capture *capture, bool wakers, struct ap_error *err,
		   struct ap_offcpu **ret);
void ap_offcpu_free(struct ap_offcpu *o); /* detaches */
AP_DEFINE_CLEANUP(offcpu, struct ap_offcpu, ap_offcpu_free)

/* What is told of from now on, before the start or after it: AP_MODE_OFFCPU, AP_MODE_LOCK or both, and from
 * which length on a wait has stacks. Waits that go on are told of up to now as before; those of a kind that is
 * told of only now begin now. 0, or the kernel's error with `err`. */
int ap_offcpu_set(struct ap_offcpu *o, uint32_t modes, uint64_t threshold_ns, struct ap_error *err);

/* Begins, or begins again. Threads that wait already are told of from now on. */
int ap_offcpu_start(struct ap_offcpu *o, struct ap_error *err);
/* Ends it; what it had to tell is in the ring buffer, or handed over already. */
void ap_offcpu_stop(struct ap_offcpu *o);

/* Has the programs tell of the sums of short waits and of waits that go on, up to now; the records are
 * in the ring buffer, which it drains meanwhile, or handed over already. 0 or the kernel's error. */
int ap_offcpu_flush(struct ap_offcpu *o);

/* Brings the stage "offcpu" up to date. */
void ap_offcpu_ledger(const struct ap_offcpu *o, struct ap_ledger *l);
/* Adds what it costs, but for some 300 bytes of kernel memory for each thread that has waited. */
void ap_offcpu_cost(const struct ap_offcpu *o, struct ap_profiler_cost *ret);

#endif

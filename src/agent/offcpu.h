/* SPDX-License-Identifier: Apache-2.0 */
/* The user-space side of src/bpf/offcpu.bpf.c: time that threads spend off the CPU. Its records come
 * through the ring buffer of the capture whose maps it shares. One thread at a time. */
#ifndef AP_AGENT_OFFCPU_H
#define AP_AGENT_OFFCPU_H

#include "abi/ledger.h"
#include "agent/capture.h"

struct ap_offcpu;

/* Loads the programs, which follow whom the capture follows; nothing is recorded yet. The capture is borrowed.
 * -ENOTSUP: this kernel does not have what they need, `err` says what; else the kernel's error. */
int ap_offcpu_open(struct ap_capture *capture, const struct ap_profiler_options *opts,
		   struct ap_error *err, struct ap_offcpu **ret);
void ap_offcpu_free(struct ap_offcpu *o); /* detaches */
AP_DEFINE_CLEANUP(offcpu, struct ap_offcpu, ap_offcpu_free)

/* Begins. Threads that wait already are told of from now on. */
int ap_offcpu_start(struct ap_offcpu *o, struct ap_error *err);
/* Ends it: after it ap_offcpu_flush() tells what is left. */
void ap_offcpu_stop(struct ap_offcpu *o);

/* Has the programs tell of the sums of short waits and of waits that go on, up to now; the records are
 * in the ring buffer, which it drains meanwhile, or handed over already. 0 or the kernel's error. */
int ap_offcpu_flush(struct ap_offcpu *o);

/* Brings the stage "offcpu" up to date. */
void ap_offcpu_ledger(const struct ap_offcpu *o, struct ap_ledger *l);
/* Adds what it costs, but for some 300 bytes of kernel memory for each thread that has waited. */
void ap_offcpu_cost(const struct ap_offcpu *o, struct ap_profiler_cost *ret);

#endif

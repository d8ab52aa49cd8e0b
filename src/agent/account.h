/* SPDX-License-Identifier: Apache-2.0 */
/* Counters that never go back. Some entries of the ledger are differences of clocks that are read
 * one after the other and drift apart, yet what batches carry are increments: one that is too large
 * by a period for a moment must not have to be taken back. */
#ifndef AP_AGENT_ACCOUNT_H
#define AP_AGENT_ACCOUNT_H

#include "abi/ledger.h"

/* A CPU's time in sampling periods, counted by an event and by the kernel's account of idle time. Of
 * `stride` successive periods one is sampled: the last, which stands for all. */
struct ap_cpu_periods {
	uint64_t period_ns; /* of those counted from now on */
	uint32_t stride;
	uint64_t due;	  /* to be sampled so far, idle or not */
	uint64_t thinned; /* left out so far */
	uint64_t idle;	  /* of those due, in which the CPU was idle by the kernel's account */
	uint64_t wall_ns, idle_ns; /* up to where both clocks are in the above */
};

/* Counts the whole periods up to the clocks' present values; what is left over counts the next time,
 * also when the stride has changed meanwhile. Clocks that went back count nothing. */
void ap_cpu_periods_count(struct ap_cpu_periods *p, uint64_t wall_ns, uint64_t idle_ns);

/* Counts from these values of the clocks on, in periods of that length: what is left over of the one that
 * was under way is in no count. */
void ap_cpu_periods_begin(struct ap_cpu_periods *p, uint64_t period_ns, uint32_t stride,
			  uint64_t wall_ns, uint64_t idle_ns);

/* What was said so far of a CPU's periods without a run. */
struct ap_cpu_account {
	uint64_t idle, not_run;
};

/* Divides the periods that elapsed without a run into idle ones, of which there are at most
 * `idle_max`, and others. `elapsed` and `ran` are those so far, and are to be read in that order: a
 * run that is late by the moment is then no period without one. Neither of `a` ever falls; where
 * runs catch up with what was said to be without, that much more is left out next time.
 * Returns the periods elapsed: ran + idle + not_run, which never falls if `ran` does not. */
uint64_t ap_cpu_account_update(struct ap_cpu_account *a, uint64_t elapsed, uint64_t ran,
			       uint64_t idle_max);

/* Adds to `into` what `now` has counted since `sent`, and brings `sent` up to it. An entry that went
 * back adds nothing until it is past its old value. Entries only: `stacks` are left alone. */
void ap_ledger_take(struct ap_ledger *sent, const struct ap_ledger *now, struct ap_ledger *into);

#endif

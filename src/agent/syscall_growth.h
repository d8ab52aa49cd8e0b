/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's tables of system calls (abi/syscall.h), as they lie in memory that it shares, and what they
 * have grown by. One thread at a time. */
#ifndef AP_AGENT_SYSCALL_GROWTH_H
#define AP_AGENT_SYSCALL_GROWTH_H

#include "agent/syscalls.h"

struct ap_syscall_growth;

/* The arrays are borrowed and outlive the table. NULL = out of memory. */
struct ap_syscall_growth *ap_syscall_growth_new(struct ap_syscall_cell *cells, uint32_t n_cells,
						struct ap_syscall_error *errors, uint32_t n_errors);
void ap_syscall_growth_free(struct ap_syscall_growth *t);

/* A drain begins at `now` (CLOCK_MONOTONIC); `epoch` is the one that has just ended. */
void ap_syscall_growth_begin(struct ap_syscall_growth *t, uint64_t now, uint32_t epoch);
/* A thread that is in a call now. 0 or -ENOMEM. */
int ap_syscall_growth_flight(struct ap_syscall_growth *t, const struct ap_syscall_flight *f);
/* Takes what the tables have grown by since they were read last. 0 or -ENOMEM: the rest is taken the next
 * time. */
int ap_syscall_growth_read(struct ap_syscall_growth *t);
/* Calls that were read so far, those that could not be reported among them. */
uint64_t ap_syscall_growth_calls(const struct ap_syscall_growth *t);
/* Reports what was read; gives how many calls `fn` did not take. */
uint64_t ap_syscall_growth_report(struct ap_syscall_growth *t, ap_syscall_fn fn, void *ctx);
/* Gives the entries of processes that have gone back to the kernel: those seen gone after one drain, and
 * with nothing new in the next. */
void ap_syscall_growth_forget(struct ap_syscall_growth *t);

#endif

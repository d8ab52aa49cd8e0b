/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel's table of short lock waits (abi/kernel_lock.h) has grown by. Waits whose place was not looked
 * for are divided among the places of the same process and lock as those that were drawn say: a lock's counts
 * and times are exact, their division among its places is an estimate. One thread at a time. */
#ifndef AP_AGENT_KERNEL_LOCK_GROWTH_H
#define AP_AGENT_KERNEL_LOCK_GROWTH_H

#include "agent/kernel_locks.h"

struct ap_kernel_lock_growth;

/* `table`, of `n` entries, is the kernel's, and borrowed. NULL = out of memory */
struct ap_kernel_lock_growth *ap_kernel_lock_growth_new(struct ap_kernel_lock_entry *table,
							uint32_t n);
void ap_kernel_lock_growth_free(struct ap_kernel_lock_growth *t);

/* Notes what the table holds now. */
void ap_kernel_lock_growth_read(struct ap_kernel_lock_growth *t);
/* Reports the growth since the last report; gives how many waits that were. */
uint64_t ap_kernel_lock_growth_report(struct ap_kernel_lock_growth *t, ap_kernel_lock_fn fn,
				      void *ctx);
/* Closes the entries that have not grown in the last reports, and gives those back that it closed the last time:
 * they are to have been read and reported since. */
void ap_kernel_lock_growth_forget(struct ap_kernel_lock_growth *t);

#endif

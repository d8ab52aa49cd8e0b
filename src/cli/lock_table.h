/* SPDX-License-Identifier: Apache-2.0 */
/* The locks that threads of a profile waited for: how long, where, and who let them go on. */
#ifndef AP_CLI_LOCK_TABLE_H
#define AP_CLI_LOCK_TABLE_H

#include "cli/wait_table.h"

/* A lock is an address in a process and what kind of primitive lies there; one of the kernel, which mostly has no
 * name, is who asks for it. */
struct ap_lock_row {
	struct ap_str pid, comm, lock, kind; /* the profile's; comm: of the process */
	bool kernel;			     /* a lock of its own */
	struct ap_str place;		     /* where it lies; "": not known */
	bool contended; /* another thread held it; else the waits are for work or an end */
	bool ended;	/* another thread ended a wait */
	struct ap_wait_sum sum;
	uint64_t timeouts, signals; /* of sum.count, those that ended so */
	uint64_t max_ns;	    /* the longest wait; 0: not known */
	uint32_t waiter,
		waker; /* frames: where most of the time was waited, and who ended it; 0: not known */
};

struct ap_lock_table {
	AP_VEC(struct ap_lock_row) rows; /* by time descending */
	struct ap_wait_sum contended;	 /* of the rows that are, and */
	struct ap_wait_sum others;	 /* of those that are not */
	struct ap_wait_sum short_waits;	 /* under the threshold: for which lock is not known */
};

/* Of the rows whose label set is wanted (NULL: all), in a profile with a row for each wait, else `max_ns` may be
 * too small. 0 or -ENOMEM; ap_lock_table_free() is due in either case. */
int ap_lock_table_build(const struct ap_profile *p, const bool *wanted, struct ap_lock_table *ret);
void ap_lock_table_free(struct ap_lock_table *t);

/* "want_lock ← hold_lock  table_lock in server  server[4711]"; the address where the place is not known. */
void ap_lock_text(const struct ap_profile *p, const struct ap_lock_row *row, struct ap_buf *out);

#endif

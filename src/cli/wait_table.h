/* SPDX-License-Identifier: Apache-2.0 */
/* The waits of a profile: why threads were off the CPU, and in which functions. */
#ifndef AP_CLI_WAIT_TABLE_H
#define AP_CLI_WAIT_TABLE_H

#include "profile/profile.h"

/* Why, in the order in which they are shown. */
enum ap_wait_cause {
	AP_WAIT_CAUSE_RUNNABLE, /* ready, and another thread had the CPU */
	AP_WAIT_CAUSE_BLOCKED,	/* uninterruptible: mostly for a disk */
	AP_WAIT_CAUSE_LOCK,
	AP_WAIT_CAUSE_SLEEPING, /* for a timer, the network, another process, … */
	AP_WAIT_CAUSE_OTHER,	/* stopped by a signal or a debugger, or not known */
	AP_WAIT_CAUSES,
};

const char *ap_wait_cause_name(enum ap_wait_cause cause);
/* By the value of the label "state". */
enum ap_wait_cause ap_wait_cause_of(struct ap_str state);

struct ap_wait_sum {
	uint64_t count, ns; /* waits that ended, and the time of those that have not too */
};

struct ap_wait_row {
	uint32_t frame; /* of the function, as ap_lock_waiter() finds it; 0: no user stack */
	struct ap_wait_sum sum;
	struct ap_wait_sum causes[AP_WAIT_CAUSES];
};

struct ap_wait_table {
	AP_VEC(struct ap_wait_row) rows; /* by time descending */
	struct ap_wait_sum sum;
	struct ap_wait_sum causes[AP_WAIT_CAUSES];
};

/* Of the rows whose label set is wanted (NULL: all). 0 or -ENOMEM; ap_wait_table_free() is due in either
 * case. */
int ap_wait_table_build(const struct ap_profile *p, const bool *wanted, struct ap_wait_table *ret);
void ap_wait_table_free(struct ap_wait_table *t);

/* The cause that most of the row's time goes to. */
enum ap_wait_cause ap_wait_row_cause(const struct ap_wait_row *r);
/* A function's name, and "(no user stack)" where there is no frame. */
void ap_wait_function(const struct ap_profile *p, uint32_t frame, struct ap_buf *out);
/* What is equal for all frames of a function: that without a name is its module. */
uint32_t ap_wait_function_key(const struct ap_profile *p, uint32_t frame);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls of a profile by call, of all its processes together. */
#ifndef AP_CLI_SYSCALL_TABLE_H
#define AP_CLI_SYSCALL_TABLE_H

#include "profile/profile.h"

/* A call of one ABI. */
struct ap_syscall_row {
	struct ap_str name, abi; /* the profile's */
	struct ap_syscall_stat stat;
	uint64_t in_flight,
		oldest_ns; /* at the end; for how long the first of them has been in it */
};

struct ap_syscall_table {
	AP_VEC(struct ap_syscall_row) rows; /* by time descending */
	uint64_t count, sum_ns;
};

/* Of the rows whose label set is wanted (NULL: all). 0 or -ENOMEM; ap_syscall_table_free() is due in either
 * case. */
int ap_syscall_table_build(const struct ap_profile *p, const bool *wanted,
			   struct ap_syscall_table *ret);
void ap_syscall_table_free(struct ap_syscall_table *t);

/* A table for people, which reads like that of `strace -c`. */
void ap_syscall_table_text(const struct ap_syscall_table *t, struct ap_buf *out);
/* The call's name, with the ABI where that is not the machine's own: "read", "read (i386)". */
void ap_syscall_row_name(const struct ap_syscall_row *r, struct ap_buf *out);
/* Its errors: "EAGAIN 12, EINTR 1"; without their counts where `brief` and there is but one. */
void ap_syscall_row_errors(const struct ap_syscall_row *r, bool brief, struct ap_buf *out);
/* The rows as a JSON array. */
void ap_syscall_table_json(const struct ap_syscall_table *t, struct ap_buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of one system call over some time: how many, how long, which errors. The agent's rows,
 * the wire's, the store's and answers to questions are all sums of this. */
#ifndef AP_PROFILE_SYSCALL_H
#define AP_PROFILE_SYSCALL_H

#include "abi/syscall.h"
#include "base/buf.h"
#include "base/vec.h"

/* How often something numbered was met: a bucket of the histogram, an errno. */
struct ap_syscall_count {
	uint64_t count;
	uint32_t number;
	uint32_t pad; /* 0 */
};

/* Ascending by number, each number once, no count is 0. */
struct ap_syscall_counts {
	AP_VEC(struct ap_syscall_count) v;
};

struct ap_syscall_stat {
	uint64_t count;	 /* calls that returned, and those that never do */
	uint64_t sum_ns; /* of those that returned, as the next two */
	uint64_t max_ns;
	struct ap_syscall_counts buckets; /* by ap_latency_bucket() */
	struct ap_syscall_counts
		errors; /* by errno; a call that failed is in the buckets as well */
};

void ap_syscall_stat_free(struct ap_syscall_stat *s);  /* leaves an empty one */
void ap_syscall_stat_clear(struct ap_syscall_stat *s); /* keeps the memory */
/* Adds all of `from`: 0 or -ENOMEM, with part of it added. */
int ap_syscall_stat_add(struct ap_syscall_stat *s, const struct ap_syscall_stat *from);
/* Adds `n` to what is counted under `number`: 0 or -ENOMEM. */
int ap_syscall_counts_add(struct ap_syscall_counts *c, uint32_t number, uint64_t n);
uint64_t ap_syscall_counts_sum(const struct ap_syscall_counts *c);

/* The latency below which the share `q` (0..1) of the calls that returned lies: the middle of its
 * bucket, and never more than the longest call. -1: none returned. */
double ap_syscall_quantile(const struct ap_syscall_stat *s, double q);

/* Appends the members of a JSON object: count, returned, errors, errnos, sum_ns, max_ns, p50_ns, p90_ns,
 * p99_ns (null where no call returned), histogram (docs/openapi.json, SyscallRow). */
void ap_syscall_stat_json(struct ap_buf *b, const struct ap_syscall_stat *s);

/* The name of a call of this machine's architecture, such as "read"; NULL: it has none. */
const char *ap_syscall_name(enum ap_syscall_abi abi, uint32_t number);
/* The same as text: where it has none "syscall_600". */
#define AP_SYSCALL_NAME_BYTES 64
void ap_syscall_text(enum ap_syscall_abi abi, uint32_t number, char ret[AP_SYSCALL_NAME_BYTES]);
/* "EAGAIN", NULL for a number without a name. */
const char *ap_errno_name(uint32_t number);
/* "x86-64", "i386", "x32", "arm64", "arm": of this machine's architecture. */
const char *ap_syscall_abi_name(enum ap_syscall_abi abi);

#endif

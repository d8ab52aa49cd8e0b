/* SPDX-License-Identifier: Apache-2.0 */
/* What mode syscall is asked to do, and the options that say so. */
#ifndef AP_AGENT_SYSCALL_OPTIONS_H
#define AP_AGENT_SYSCALL_OPTIONS_H

#include "abi/syscall.h"
#include "base/config.h"
#include "base/error.h"

#define AP_SYSCALL_STACK_RATE_DEFAULT 100

/* A zeroed struct counts all calls and takes no stacks. */
struct ap_syscalls_options {
	/* Most pairs of process and call with their blocks of latencies, and of errors, rounded up to a
	 * power of two; what exceeds them is counted as table_full, from about nine tenths on.
	 * 0 = 16384 of each for each shard, 65536 at most. */
	uint32_t max_cells, max_errors;
	/* Tasks whose flights lie at hand; a power of two, 0 = 8192, the most. Further ones cost more. */
	uint32_t max_flights;
	bool choosing; /* only: */
	struct ap_syscall_set chosen;
	uint64_t slow_ns; /* the stacks of calls that took as long; 0: of none for that */
	bool failing;	  /* and of calls that failed with one of: */
	struct ap_errno_set failed;
	uint32_t stack_rate; /* stacks per second and CPU; 0 = AP_SYSCALL_STACK_RATE_DEFAULT */
};

/* From the options of `aperture record` and the agent:
 * `calls` (--syscalls): names of calls, of all ABIs that have them; "!name" takes one out, of all where
 * nothing else is named; empty: all calls.
 * `errors` (--syscall-errors): names of errors whose calls are told of with their stacks, or "any"; empty: none.
 * `slow_ns` (--syscall-slow), `rate` (--syscall-stack-rate): as in the struct.
 * 0, or -EINVAL with `err` for a name that there is not; -ENOMEM. */
int ap_syscall_options_parse(const struct ap_strings *calls, const struct ap_strings *errors,
			     uint64_t slow_ns, uint64_t rate, struct ap_syscalls_options *ret,
			     struct ap_error *err);

static inline bool ap_syscall_stacks_asked(const struct ap_syscalls_options *o)
{
	return o && (o->slow_ns || o->failing);
}

#endif

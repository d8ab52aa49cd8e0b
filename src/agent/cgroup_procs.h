/* SPDX-License-Identifier: Apache-2.0 */
/* The processes of a control group. */
#ifndef AP_AGENT_CGROUP_PROCS_H
#define AP_AGENT_CGROUP_PROCS_H

#include "base/macro.h"

/* Calls `fn` for the processes in the cgroup v2 whose folder `fd` is, and in those below it; at most
 * `max` of them. What cannot be read is left out. Returns how many. */
uint32_t ap_cgroup_procs(int fd, uint32_t max, void (*fn)(void *ctx, int32_t pid), void *ctx);

#endif

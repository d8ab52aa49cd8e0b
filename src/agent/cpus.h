/* SPDX-License-Identifier: Apache-2.0 */
/* What /sys and /proc tell of CPUs. */
#ifndef AP_AGENT_CPUS_H
#define AP_AGENT_CPUS_H

#include "base/str.h"

#define AP_CPUS_MAX 8192

/* Calls `fn` for each number in a list such as "0-3,8": 0, -EINVAL, or what `fn` returns below 0.
 * Source: Documentation/admin-guide/cputopology.rst. */
int ap_cpu_list_parse(struct ap_str list, int (*fn)(void *ctx, uint32_t cpu), void *ctx);

/* Takes the text of /proc/stat apart: idle_ns[cpu] becomes the time since boot in which that CPU
 * had nothing to run, waiting for I/O or not, in steps of a clock tick (10 ms). CPUs that are
 * offline or not below `n` are left as they are. 0, or -EINVAL where no line can be read. */
int ap_cpu_idle_parse(struct ap_str text, uint64_t *idle_ns, uint32_t n);
/* The same from the file itself. */
int ap_cpu_idle_read(uint64_t *idle_ns, uint32_t n);

#endif

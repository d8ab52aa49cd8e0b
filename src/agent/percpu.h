/* SPDX-License-Identifier: Apache-2.0 */
/* Where the kernel keeps what each CPU has for itself. Not every kernel lists its variables in
 * /proc/kallsyms, but its BTF has the place of each in the section that every CPU has a copy of. */
#ifndef AP_AGENT_PERCPU_H
#define AP_AGENT_PERCPU_H

#include <stdint.h>

/* From a CPU's run queue to its preempt_count, in bytes: 0, or -ENOENT where this kernel has none (arm64
 * counts in the task), or the error of reading BTF. Takes some 20 ms. */
int ap_percpu_preempt_count(int64_t *ret);

#endif

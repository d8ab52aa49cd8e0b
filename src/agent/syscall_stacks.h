/* SPDX-License-Identifier: Apache-2.0 */
/* The program that tells of system calls with their stacks: src/bpf/syscall_stack.bpf.c. */
#ifndef AP_AGENT_SYSCALL_STACKS_H
#define AP_AGENT_SYSCALL_STACKS_H

#include "abi/ledger.h"
#include "agent/bpf_object.h"

struct ap_syscall_stacks;

/* Loads it beside the sampling programs, whose ring buffer and unwind tables it uses; `returns` is the map
 * in which it is told of a call, `rate` how many stacks per second and CPU it takes (0: the default). 0,
 * -ENOMEM or the kernel's error. */
int ap_syscall_stacks_open(const struct ap_bpf_object *base, struct bpf_map *returns, uint32_t rate,
			   uint32_t n_cpus, struct ap_syscall_stacks **ret);
void ap_syscall_stacks_free(struct ap_syscall_stacks *s);
AP_DEFINE_CLEANUP(syscall_stacks, struct ap_syscall_stacks, ap_syscall_stacks_free)

/* The descriptor of the program, borrowed. */
int ap_syscall_stacks_program(const struct ap_syscall_stacks *s);
/* Brings the stage syscall_stack up to date. */
void ap_syscall_stacks_ledger(const struct ap_syscall_stacks *s, struct ap_ledger *l);
void ap_syscall_stacks_cost(const struct ap_syscall_stacks *s, struct ap_profiler_cost *cost);

#endif

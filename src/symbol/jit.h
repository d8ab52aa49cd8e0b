/* SPDX-License-Identifier: Apache-2.0 */
/* Names of code that has no file: from the perf maps of the processes that compiled it, which stay
 * open and indexed while they are asked for, also past a process's end. Where there is no name, one
 * that says why. */
#ifndef AP_SYMBOL_JIT_H
#define AP_SYMBOL_JIT_H

#include "symbol/answers.h"

struct ap_jit;

struct ap_jit *ap_jit_new(void); /* NULL = out of memory */
void ap_jit_free(struct ap_jit *j);
AP_DEFINE_CLEANUP(jit, struct ap_jit, ap_jit_free)
size_t ap_jit_bytes(const struct ap_jit *j);

/* Puts an answer, never an empty one, for each of `addrs`. `now`: CLOCK_MONOTONIC, ns. 0 or
 * -ENOMEM. */
int ap_jit_find(struct ap_jit *j, const struct ap_symbol_process *p, uint64_t now,
		const uint64_t *addrs, size_t n, struct ap_answers *a);
/* Closes the maps that were not asked for in a minute, and the least recently used past the
 * bounds. */
void ap_jit_trim(struct ap_jit *j, uint64_t now);

#endif

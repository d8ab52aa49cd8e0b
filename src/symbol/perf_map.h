/* SPDX-License-Identifier: Apache-2.0 */
/* The maps in which JIT compilers name their code: /tmp/perf-PID.map, lines "START SIZE NAME" in
 * hex. Read as a stream, keeping only what was asked for: such a file may have a million lines.
 *
 * Source: the Linux kernel, tools/perf/Documentation/jit-interface.txt. */
#ifndef AP_SYMBOL_PERF_MAP_H
#define AP_SYMBOL_PERF_MAP_H

#include "symbol/answers.h"

/* Opens the map of a living process in that process's own file system: the descriptor, -ENOENT,
 * -EPERM where it is not a regular file of the process's user or root's, or -errno. */
int ap_perf_map_open(uint32_t pid);

/* Puts an answer for each of `addrs` (sorted in place); a later line wins over an earlier one, as
 * code is replaced. Reads at most `max` bytes. 0 or -errno. */
int ap_perf_map_find(int fd, uint64_t max, uint64_t *addrs, size_t n, struct ap_answers *a);

#endif

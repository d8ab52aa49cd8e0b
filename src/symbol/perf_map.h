/* SPDX-License-Identifier: Apache-2.0 */
/* The maps in which JIT compilers name their code: /tmp/perf-PID.map, lines "START SIZE NAME" in
 * hex, to which the compiler appends as it goes. A later line wins over earlier ones, as code is
 * replaced.
 *
 * Only an index is kept: 16 bytes for a piece of code, with where its name stands in the file. Each
 * refresh reads what was appended since the last one.
 *
 * Source: the Linux kernel, tools/perf/Documentation/jit-interface.txt. */
#ifndef AP_SYMBOL_PERF_MAP_H
#define AP_SYMBOL_PERF_MAP_H

#include "base/buf.h"

#define AP_PERF_MAP_FILE_MAX	(256u << 20) /* bytes of a map that are read */
#define AP_PERF_MAP_ENTRIES_MAX (512u << 10)

struct ap_perf_map;

/* Opens the map of a living process in that process's own file system, nothing read yet.
 * `start_time`: of the process, ns since boot; 0 = unknown. -ENOENT: there is none; -EPERM: it is
 * not a regular file of the process's user or root's; -ESTALE: it was last written before the
 * process began, so it is that of another; -errno. */
int ap_perf_map_open(uint32_t pid, uint64_t start_time, struct ap_perf_map **ret);
/* The map in an open file, which is taken over. */
int ap_perf_map_new(int fd, struct ap_perf_map **ret);
void ap_perf_map_free(struct ap_perf_map *m);
AP_DEFINE_CLEANUP(perf_map, struct ap_perf_map, ap_perf_map_free)
size_t ap_perf_map_bytes(const struct ap_perf_map *m);

/* Reads what is new, all of it where the file was written anew. Works after the process has ended.
 * 0; -EFBIG: it is larger than what is read of it; -ENOMEM; -errno. */
int ap_perf_map_refresh(struct ap_perf_map *m);
/* Appends the name of the code at `addr`, as of the last refresh: 0, -ENOENT or -ENOMEM. */
int ap_perf_map_find(const struct ap_perf_map *m, uint64_t addr, struct ap_buf *out);

#endif

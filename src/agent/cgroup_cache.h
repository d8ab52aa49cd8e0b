/* SPDX-License-Identifier: Apache-2.0 */
/* The text of /proc/PID/cgroup by cgroup id, so that of many short processes of one cgroup only the
 * first is read. Holds only what the id decides alone: on machines where all controllers are in
 * cgroup v2, whose ids are the numbers of its folders and never used twice (kernfs). */
#ifndef AP_AGENT_CGROUP_CACHE_H
#define AP_AGENT_CGROUP_CACHE_H

#include "base/macro.h"

struct ap_cgroup_cache;

/* `root`: where cgroup v2 is mounted; NULL = /sys/fs/cgroup; copied. NULL = out of memory. */
struct ap_cgroup_cache *ap_cgroup_cache_new(const char *root);
void ap_cgroup_cache_free(struct ap_cgroup_cache *c);
AP_DEFINE_CLEANUP(cgroup_cache, struct ap_cgroup_cache, ap_cgroup_cache_free)

/* Valid until the next put; NULL: unknown. */
const char *ap_cgroup_cache_get(const struct ap_cgroup_cache *c, uint64_t id);
/* Keeps a copy, if the text names the cgroup of that id and nothing else: the process it was read
 * from may have been moved since its id was taken. */
void ap_cgroup_cache_put(struct ap_cgroup_cache *c, uint64_t id, const char *text);

#endif

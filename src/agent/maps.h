/* SPDX-License-Identifier: Apache-2.0 */
/* The executable mappings of one address space: disjoint ranges, sorted. */
#ifndef AP_AGENT_MAPS_H
#define AP_AGENT_MAPS_H

#include "agent/file.h"
#include "base/vec.h"

#define AP_MAPS_MAX 32768 /* ranges of one address space */

struct ap_map_range {
	uint64_t start, end;  /* half-open */
	uint64_t pgoff;	      /* offset in the file at `start` */
	struct ap_file *file; /* a reference; NULL: memory without a file, such as JIT code */
};

struct ap_maps {
	AP_VEC(struct ap_map_range) ranges;
};

void ap_maps_clear(struct ap_maps *m); /* drops all ranges and frees the memory */
/* Adds a range, taking a reference to its file; what it overlaps is cut off the older ranges, as
 * mmap() does. 0, -EINVAL (empty), -E2BIG (too many ranges), -ENOMEM; then nothing has changed. */
int ap_maps_add(struct ap_maps *m, const struct ap_map_range *range);
int ap_maps_copy(struct ap_maps *to, const struct ap_maps *from); /* replaces `to` */
/* The range that holds `address`, or NULL. */
const struct ap_map_range *ap_maps_find(const struct ap_maps *m, uint64_t address);

#endif

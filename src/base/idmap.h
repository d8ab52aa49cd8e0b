/* SPDX-License-Identifier: Apache-2.0 */
/* 64-bit ids (content hashes) to 32-bit numbers; also serves as a set. Not thread-safe. */
#ifndef AP_BASE_IDMAP_H
#define AP_BASE_IDMAP_H

#include "base/macro.h"

struct ap_idmap_slot {
	uint64_t id;
	uint32_t value;
	uint32_t used;
};

struct ap_idmap {
	struct ap_idmap_slot *slots;
	size_t n_slots; /* a power of two, or 0 */
	size_t n;	/* ids in it */
};

void ap_idmap_free(struct ap_idmap *m); /* leaves an empty map */
/* Adds `id` with `value` unless it is there: 1 added, 0 there already (its value is kept),
 * -ENOMEM. */
int ap_idmap_add(struct ap_idmap *m, uint64_t id, uint32_t value);
/* The value's place, valid until the next add; NULL where the id is not there. */
uint32_t *ap_idmap_find(const struct ap_idmap *m, uint64_t id);

static inline size_t ap_idmap_bytes(const struct ap_idmap *m)
{
	return m->n_slots * sizeof(*m->slots);
}

#define _cleanup_idmap_ _cleanup_(ap_idmap_free)

#endif

/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The table of short waits for the kernel's locks: abi/kernel_lock.h. */
#ifndef AP_BPF_PLACE_H
#define AP_BPF_PLACE_H

#include "abi/kernel_lock.h"

#define PLACE_PROBES 16 /* entries that are tried for a key */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, AP_KERNEL_LOCK_ENTRIES);
	__type(key, uint32_t);
	__type(value, struct ap_kernel_lock_entry);
} places SEC(".maps");

AP_INLINE uint64_t mark_of(const struct ap_kernel_lock_key *key)
{
	const uint64_t *words = (const void *)key;
	uint64_t hash = 0;

	for (uint32_t i = 0; i < sizeof(*key) / 8; i++) {
		hash = (hash ^ words[i]) * AP_MIX_1;
		hash ^= hash >> 32;
	}
	return hash | 1;
}

/* The entry of the mark, which is the key's; *ret_at becomes where it is. 0: all entries for it are taken. If
 * there was none, one is taken, with the frames of `fresh` where that is not 0; *ret_new says so. */
AP_INLINE struct ap_kernel_lock_entry *entry_of(uint64_t mark, const struct ap_kernel_lock_key *key,
						const struct ap_kernel_lock_sums *fresh,
						uint64_t *ret_at, bool *ret_new)
{
	uint32_t at = mark >> 32;

	*ret_new = false;
	for (uint32_t i = 0; i < PLACE_PROBES; at += ++i) {
		uint32_t place = at & (AP_KERNEL_LOCK_ENTRIES - 1);
		struct ap_kernel_lock_entry *e = bpf_map_lookup_elem(&places, &place);
		uint64_t seen = e ? e->mark : AP_KERNEL_LOCK_CLOSED;

		if (e && seen == 0 &&
		    (seen = __sync_val_compare_and_swap(&e->mark, 0, mark)) == 0) {
			e->key = *key;
			if (fresh) {
				e->sums.n_frames = fresh->n_frames;
				__builtin_memcpy(e->sums.frames, fresh->frames,
						 sizeof(fresh->frames));
			}
			__sync_fetch_and_add(&e->ready, 1);
			*ret_new = true;
			seen = mark;
		}
		if (e && seen == mark) {
			*ret_at = place;
			return e;
		}
	}
	return 0;
}

#endif

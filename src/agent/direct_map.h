/* SPDX-License-Identifier: Apache-2.0 */
/* Where the kernel maps all memory, for programs that read the memory of threads that do not run
 * (bpf/foreign.bpf.h). */
#ifndef AP_AGENT_DIRECT_MAP_H
#define AP_AGENT_DIRECT_MAP_H

#include <bpf/libbpf.h>
#include <stdint.h>

struct ap_direct_map {
	uint64_t
		variable; /* where the kernel keeps the address of the map; 0: it does not move it */
	uint64_t address; /* the map's, where it does not; both 0: unknown */
	uint32_t levels;  /* of page tables */
};

void ap_direct_map_find(struct ap_direct_map *ret);
/* Gives them to the skeleton of an object that is open and not yet loaded. */
#define AP_DIRECT_MAP_CONSTANTS(from, to)                       \
	do {                                                    \
		(to)->rodata->direct_map_at = (from)->variable; \
		(to)->rodata->direct_map = (from)->address;     \
		(to)->rodata->page_levels = (from)->levels;     \
	} while (0)

/* Runs the object's ap_foreign_check upon a word of this process: 0 or the kernel's error. Whether the word
 * was found is then in the object's foreign_works. */
int ap_direct_map_check(const struct bpf_program *check);

#endif

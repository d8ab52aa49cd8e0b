/* SPDX-License-Identifier: Apache-2.0 */
/* Where a lock lies: in a variable of a program or a library, on the heap, on a stack, in memory that
 * processes share. Its address stays what tells it from others. */
#ifndef AP_AGENT_LOCK_PLACE_H
#define AP_AGENT_LOCK_PLACE_H

#include "agent/process.h"
#include "agent/rows.h"
#include "symbol/symbolizer.h"

struct ap_lock_place {
	struct ap_file *file; /* borrowed: the program or library; NULL: it lies elsewhere */
	uint64_t offset;      /* in it: the ELF virtual address; else from the name's beginning */
	const char *name; /* borrowed from the process: a file, "[heap]", "[stack]" or "[anon]" */
	bool whole;	  /* the name alone says it: `offset` means nothing */
};

/* Of the process's mappings as they were at the beginning of the collection `serial`, or a second ago
 * where the address is in none. -ENOENT: not known. */
int ap_lock_place_find(struct ap_process *p, uint64_t address, uint64_t now, uint64_t serial,
		       struct ap_lock_place *ret);

/* What places are called. */
struct ap_lock_place_names {
	struct ap_buf text;
	uint32_t *at; /* in it, by place; NUL-terminated */
};

/* Those of `rows`: "lock in app", "app+0x4040", "[heap]+0x2a0", "[stack]"; "" where it is not known. `s` NULL:
 * nothing is found in programs and libraries. 0 or -ENOMEM. */
int ap_lock_place_names(const struct ap_rows *rows, struct ap_symbolizer *s,
			struct ap_lock_place_names *ret);
void ap_lock_place_names_free(struct ap_lock_place_names *n);

#endif

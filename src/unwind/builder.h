/* SPDX-License-Identifier: Apache-2.0 */
/* Puts rows of functions, in any order, together to one table: sorted, gaps filled, equal neighbours
 * merged, virtual addresses turned into file offsets. What lies in no executable segment is left
 * out; where functions overlap, the one that begins first holds up to the next one's beginning, and
 * of those that begin at one place the one that came first is taken. */
#ifndef AP_UNWIND_BUILDER_H
#define AP_UNWIND_BUILDER_H

#include "unwind/table.h"

struct ap_table_builder;

/* An executable PT_LOAD segment. */
struct ap_unwind_segment {
	uint64_t vaddr, offset, bytes; /* bytes: in the file */
};

/* `segments` are copied. NULL = out of memory. */
struct ap_table_builder *ap_table_builder_new(const struct ap_unwind_segment *segments, uint32_t n);
void ap_table_builder_free(struct ap_table_builder *b);
AP_DEFINE_CLEANUP(table_builder, struct ap_table_builder, ap_table_builder_free)

/* Begins a function of the virtual addresses [begin, end); its rows follow, addresses not
 * descending. Before the first one it has AP_RULE_NONE; of rows at one address the last one holds.
 * 0; -EINVAL: an empty range, or an address before the last one; -EFBIG: a limit is reached, what
 * has been added stands; -ENOMEM. */
int ap_table_builder_function(struct ap_table_builder *b, uint64_t begin, uint64_t end);
int ap_table_builder_row(struct ap_table_builder *b, uint64_t address, const struct ap_rule *rule);

/* Whether a function of those so far has the virtual address. */
bool ap_table_builder_covers(struct ap_table_builder *b, uint64_t address);

/* The table; the builder is empty afterwards. -ENODATA: no rows. */
int ap_table_builder_finish(struct ap_table_builder *b, struct ap_unwind_table **ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Call frame information: the entries of .eh_frame and .debug_frame, read in order and piece by
 * piece, so that a section need never be in memory as a whole.
 *
 * Source: DWARF 5, section 6.4.1; LSB 5.0 core, section 10.6 (.eh_frame).
 */
#ifndef AP_UNWIND_CFI_H
#define AP_UNWIND_CFI_H

#include "unwind/builder.h"

struct ap_cfi;

struct ap_cfi_options {
	bool eh;	   /* .eh_frame, else .debug_frame */
	bool stop_at_zero; /* an entry of length 0 ends the section, whose size is not known */
	uint64_t vaddr;	   /* of the section */
};

/* Rows go to `b`, borrowed. NULL = out of memory. */
struct ap_cfi *ap_cfi_new(const struct ap_cfi_options *o, struct ap_table_builder *b);
void ap_cfi_free(struct ap_cfi *c);
AP_DEFINE_CLEANUP(cfi, struct ap_cfi, ap_cfi_free)

/* Bytes of an entry after its length: longer ones are skipped. */
#define AP_CFI_ENTRY_MAX (1u << 18)
/* So many bytes hold any entry that is not skipped. */
#define AP_CFI_FEED_MIN (AP_CFI_ENTRY_MAX + 12)

/* Reads the whole entries among the next `n` bytes of the section. `ret_used`: where in the section
 * to go on, counted from `p`: past `n` where an entry is skipped, 0 where the first one is not whole.
 * 0; 1: the end, what follows is not wanted; -EFBIG: past a limit of the builder; -ENOMEM. */
int ap_cfi_feed(struct ap_cfi *c, const uint8_t *p, size_t n, uint64_t *ret_used);

#endif

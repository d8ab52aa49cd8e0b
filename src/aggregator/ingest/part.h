/* SPDX-License-Identifier: Apache-2.0 */
/* A batch as parts of one UTC day each; the buffer's own. */
#ifndef AP_AGGREGATOR_INGEST_PART_H
#define AP_AGGREGATOR_INGEST_PART_H

#include "aggregator/ingest/buffer.h"

/* What the parts of one batch share. */
struct ap_batch_data {
	uint32_t refs; /* atomic: one for each part that lives */
	struct ap_profile *profile;
	struct ap_batch_meta *meta;
	struct ap_journal_at at; /* number 0: in no journal */
	uint32_t unstored;	 /* parts; guarded by the buffer's lock */
	/* Of ap_wal_load(): how often the disk failed, and whether the record is known to be damaged. */
	uint32_t read_failures;
	bool damaged;
};

/* Takes the profile over on success, with its samples and system calls sorted by day. 0, -ENOMEM; the list is
 * empty then. */
int ap_part_split(struct ap_profile *profile, const struct ap_batch_meta *meta,
		  struct ap_batch_list *ret);
/* Gives the parts' profile back, and lets them go. */
struct ap_profile *ap_part_join(struct ap_batch_list *list);
/* Sorts the rows so that days ascend, keeping the order within each, as a split does. 0, -ENOMEM. */
int ap_part_sort(struct ap_profile *profile);
/* A part that is in the journal alone, with the rows of `b`, for ap_wal_load(); NULL = out of memory. */
struct ap_batch *ap_part_in_journal(const struct ap_batch *b);
/* Frees what the parts, which nobody else has seen, hold: it is in the journal alone from now on. */
void ap_part_spill(struct ap_batch_list *list);

#endif

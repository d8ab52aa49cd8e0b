/* SPDX-License-Identifier: Apache-2.0 */
/* A segment on its way into the store's tables, each of which has all of it or nothing. */
#ifndef AP_AGGREGATOR_STORE_SEGMENT_INSERT_H
#define AP_AGGREGATOR_STORE_SEGMENT_INSERT_H

#include "aggregator/store/rows.h"
#include "aggregator/store/store.h"

/* Insert what the store lacks of the segment's rows, those of dictionaries first. Where it is not known what of them is
 * there, it is asked first. `lost`: the store had the segment and has lost it. 0; -EBUSY while an insert that was given
 * up may still come about; errors of statements. What failed is repeated with `cut->unsure`. */

/* Frames and stacks, which may be there twice. */
int ap_segment_insert_names(struct ap_store *s, const struct ap_rows *rows,
			    const struct ap_cut *cut, bool lost, struct ap_error *err);
/* Samples, system calls and the ledger. */
int ap_segment_insert_rows(struct ap_store *s, const struct ap_rows *rows, const struct ap_cut *cut,
			   bool lost, struct ap_error *err);

#endif

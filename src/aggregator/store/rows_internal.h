/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that make rows share: rows.c samples and their dictionaries, rows_syscalls.c system
 * calls. */
#ifndef AP_AGGREGATOR_STORE_ROWS_INTERNAL_H
#define AP_AGGREGATOR_STORE_ROWS_INTERNAL_H

#include "aggregator/store/rows.h"

/* The labels of a row that have no column of their own. */
struct ap_user_labels {
	AP_VEC(struct ap_str) keys, values;
};
/* Those of a label set; empty values mean "not set" and are left out. 0 or -ENOMEM. */
int ap_user_labels_of(const struct ap_profile *p, uint32_t set, struct ap_user_labels *ret);
void ap_user_labels_put(const struct ap_user_labels *l, struct ap_native_block *b,
			uint32_t keys_column, uint32_t values_column);
void ap_user_labels_free(struct ap_user_labels *l);

/* Adds the batch's system calls: 0 or -ENOMEM. */
int ap_rows_add_syscalls(struct ap_rows *r, const struct ap_batch *b, uint64_t segment);

#endif

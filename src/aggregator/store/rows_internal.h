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

/* Samples that come together for a block, which needs them in the order of their table. */
struct ap_rows_samples;

struct ap_rows_samples *ap_rows_samples_new(void); /* NULL = out of memory */
void ap_rows_samples_free(struct ap_rows_samples *s);
void ap_rows_samples_clear(struct ap_rows_samples *s); /* gives the memory back */
/* What rows that are added later have in common: the keys of their labels in the block, one for each column, the other
 * labels, which are copied, and the event. 0 and its number, or -ENOMEM. */
int ap_rows_samples_set(struct ap_rows_samples *s, const uint32_t *keys,
			const struct ap_user_labels *labels, uint8_t event, uint32_t *ret);
int ap_rows_samples_reserve(struct ap_rows_samples *s,
			    size_t n); /* for so many more: 0 or -ENOMEM */
void ap_rows_samples_add(struct ap_rows_samples *s, uint32_t set, uint32_t time, uint64_t stack,
			 uint64_t count, uint64_t value);
/* Puts all into the block and clears it: 0 or -ENOMEM. */
int ap_rows_samples_put(struct ap_rows_samples *s, uint64_t segment, struct ap_native_block *b);

/* Adds the part's system calls: 0 or -ENOMEM. */
int ap_rows_add_syscalls(struct ap_rows *r, const struct ap_batch *b, uint64_t segment);

#endif

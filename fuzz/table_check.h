/* SPDX-License-Identifier: Apache-2.0 */
/* What must be true of any unwind table, whatever it was made from: ends the program where it is not. */
#ifndef AP_FUZZ_TABLE_CHECK_H
#define AP_FUZZ_TABLE_CHECK_H

#include "unwind/table.h"

static inline void table_check(const struct ap_unwind_table *t)
{
	const uint32_t *row = t->words + t->n_pages + 1;
	uint32_t n = t->n_pages + 1;

	if (t->n_pages == 0 || t->n_rows == 0 || t->n_words != n + t->n_rows || t->n_rules == 0 ||
	    t->n_rules > AP_TABLE_RULES_MAX || t->rules[AP_RULE_NONE].cfa != AP_CFA_NONE ||
	    t->shift < AP_PAGE_SHIFT_MIN || t->shift > AP_PAGE_SHIFT_MAX ||
	    t->words[t->n_pages] < n || t->words[t->n_pages] > t->n_words)
		abort();
	for (uint32_t i = 0; i < t->n_pages; i++)
		if (t->words[i] < n || t->words[i] > t->words[i + 1])
			abort();
	for (uint32_t i = 0; i < t->n_rows; i++) {
		const struct ap_rule *r = &t->rules[AP_MIN(row[i] >> 16, t->n_rules - 1)];

		if (row[i] >> 16 >= t->n_rules || r->cfa >= AP_CFA_KINDS ||
		    r->ra >= AP_SAVED_KINDS || (r->fp_tracked & 15) >= AP_SAVED_KINDS ||
		    r->fp_tracked >> 4 >= AP_SAVED_KINDS)
			abort();
	}
	/* Look-ups stay inside, at the edges of pages as well. */
	for (uint64_t page = 0; page <= t->n_pages; page++) {
		uint64_t offset = (t->first_page + page) << t->shift;

		if (ap_unwind_table_find(t, offset) - t->rules >= t->n_rules ||
		    ap_unwind_table_find(t, offset - 1) - t->rules >= t->n_rules)
			abort();
	}
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The unwind table of one ELF file, compiled from its .eh_frame and .debug_frame, and of a Go
 * program without them from its .gopclntab, in the form that abi/unwind.h describes but for the
 * rules, which are numbered within the table until a store takes it in.
 *
 * Files are hostile: time and memory are bounded whatever they say.
 */
#ifndef AP_UNWIND_TABLE_H
#define AP_UNWIND_TABLE_H

#include "abi/unwind.h"
#include "base/macro.h"

#define AP_TABLE_RULES_MAX \
	4096			     /* distinct rules of one file; what is past them is
					  AP_CFA_UNSUPPORTED */
#define AP_TABLE_ROWS_MAX (8u << 20) /* rows of one file */

struct ap_unwind_table {
	struct ap_rule *rules; /* rules[AP_RULE_NONE] is all zeros */
	uint32_t *words;       /* directory and rows */
	uint32_t n_rules, n_words;
	uint32_t first_page, n_pages, shift;
	uint32_t n_rows, n_functions;
	uint32_t n_unsupported; /* rows whose rule cannot be expressed */
	bool cut;		/* a limit left something out */
};

/* Compiles the table of an open file. 0; -ENODATA: it has no unwind information; -ENOEXEC: not an
 * ELF file of this machine; -EFBIG: past a limit; -ENOMEM; or the error of reading it. */
int ap_unwind_table_build(int fd, struct ap_unwind_table **ret);
void ap_unwind_table_free(struct ap_unwind_table *t);
AP_DEFINE_CLEANUP(unwind_table, struct ap_unwind_table, ap_unwind_table_free)

/* The rule in force at an offset of the file, a pointer into t->rules; rules[AP_RULE_NONE] where
 * there is none. */
const struct ap_rule *ap_unwind_table_find(const struct ap_unwind_table *t, uint64_t offset);

#endif

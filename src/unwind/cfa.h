/* SPDX-License-Identifier: Apache-2.0 */
/* Runs call frame instructions and turns each state that they lead to into a row of a table.
 *
 * Source: DWARF 5, section 6.4.2, with the GNU extensions of LSB 5.0 core, section 10.5.
 */
#ifndef AP_UNWIND_CFA_H
#define AP_UNWIND_CFA_H

#include "unwind/builder.h"
#include "unwind/expression.h"

/* How the caller's value of a register is had. */
struct ap_cfa_value {
	uint8_t how; /* enum ap_cfa_how */
	struct ap_expression e;
};

enum ap_cfa_how {
	AP_CFA_HOW_UNSET = 0,
	AP_CFA_HOW_UNDEFINED,
	AP_CFA_HOW_SAME,
	AP_CFA_HOW_MEMORY, /* stored at `e` */
	AP_CFA_HOW_VALUE,  /* `e` itself */
};

enum ap_cfa_slot {
	AP_CFA_SLOT_RA,
	AP_CFA_SLOT_SP,
	AP_CFA_SLOT_FP,
	AP_CFA_SLOT_TRACKED,
	AP_CFA_SLOTS,
};

struct ap_cfa_state {
	struct ap_expression cfa;
	int64_t cfa_offset; /* given last: an expression leaves it for a later register */
	struct ap_cfa_value at[AP_CFA_SLOTS];
};

/* What the instructions of a function need of its CIE. */
struct ap_cie {
	uint64_t code_align, ra; /* factor of advances; column of the return address */
	int64_t data_align;
	uint8_t encoding; /* of addresses: DW_EH_PE_* */
	bool augmented;	  /* FDEs have augmentation data */
	bool signal;	  /* of a signal frame */
	struct ap_cfa_state initial;
};

/* Runs the CIE's own instructions, from an empty state, into cie->initial. False: malformed. */
bool ap_cfa_run_initial(struct ap_cie *cie, struct ap_cursor program);
/* Adds the rows of a function, which the builder has begun with [begin, end), by the instructions at
 * address `at`. Malformed ones leave it unsupported from there on. 0, or an error of
 * ap_table_builder_row(). */
int ap_cfa_run(const struct ap_cie *cie, struct ap_cursor program, uint64_t at, uint64_t begin,
	       uint64_t end, struct ap_table_builder *b);

#endif

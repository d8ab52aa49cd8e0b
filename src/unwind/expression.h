/* SPDX-License-Identifier: Apache-2.0 */
/* DWARF expressions of call frame information, reduced to the few shapes that a rule can hold by
 * evaluating them on symbols: a register plus a constant, what is stored there plus a constant.
 *
 * Source: DWARF 5, sections 2.5 and 6.4.2; the shape of a PLT's from the linkers' own tables.
 */
#ifndef AP_UNWIND_EXPRESSION_H
#define AP_UNWIND_EXPRESSION_H

#include "unwind/cursor.h"

enum ap_expression_kind {
	AP_EXPRESSION_OTHER = 0, /* none of these */
	AP_EXPRESSION_CONSTANT,	 /* offset */
	AP_EXPRESSION_CFA,	 /* CFA + offset */
	AP_EXPRESSION_REGISTER,	 /* reg + offset */
	AP_EXPRESSION_DEREF,	 /* *(reg + offset) + add */
	AP_EXPRESSION_PLT,	 /* stack pointer + 8, and 8 more where (pc & 15) ≥ offset */
};

struct ap_expression {
	uint8_t kind, reg;
	int32_t offset, add;
};

/* register + offset; OTHER where that is out of range. */
struct ap_expression ap_expression_register(uint64_t reg, int64_t offset);
/* CFA + offset, likewise. */
struct ap_expression ap_expression_cfa(int64_t offset);
/* `with_cfa`: the CFA lies on the stack at the beginning, as for a register's rule. */
struct ap_expression ap_expression_parse(const uint8_t *p, size_t n, bool with_cfa);

#endif

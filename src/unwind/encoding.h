/* SPDX-License-Identifier: Apache-2.0 */
/* Pointers in exception handling data: how many bytes, and relative to what.
 *
 * Source: LSB 5.0 core, section 10.5 (DWARF exception header encoding).
 */
#ifndef AP_UNWIND_ENCODING_H
#define AP_UNWIND_ENCODING_H

#include "unwind/cursor.h"

enum {
	AP_PE_ABSOLUTE = 0x00,
	AP_PE_ULEB = 0x01,
	AP_PE_UDATA2 = 0x02,
	AP_PE_UDATA4 = 0x03,
	AP_PE_UDATA8 = 0x04,
	AP_PE_SLEB = 0x09,
	AP_PE_SDATA2 = 0x0a,
	AP_PE_SDATA4 = 0x0b,
	AP_PE_SDATA8 = 0x0c,
	AP_PE_FORMAT = 0x0f,

	AP_PE_PCREL = 0x10,
	AP_PE_TEXTREL = 0x20,
	AP_PE_DATAREL = 0x30,
	AP_PE_FUNCREL = 0x40,
	AP_PE_ALIGNED = 0x50,
	AP_PE_RELATIVE = 0x70,

	AP_PE_INDIRECT = 0x80,
	AP_PE_OMIT = 0xff,
};

/* The number alone; an unknown format makes the cursor bad. */
static inline uint64_t ap_encoded_number(struct ap_cursor *c, uint8_t encoding)
{
	switch (encoding & AP_PE_FORMAT) {
	case AP_PE_ABSOLUTE:
	case AP_PE_UDATA8:
	case AP_PE_SDATA8:
		return ap_cursor_uint(c, 8);
	case AP_PE_ULEB:
		return ap_cursor_uleb(c);
	case AP_PE_UDATA2:
		return ap_cursor_uint(c, 2);
	case AP_PE_UDATA4:
		return ap_cursor_uint(c, 4);
	case AP_PE_SLEB:
		return (uint64_t)ap_cursor_sleb(c);
	case AP_PE_SDATA2:
		return (uint64_t)ap_cursor_sint(c, 2);
	case AP_PE_SDATA4:
		return (uint64_t)ap_cursor_sint(c, 4);
	default:
		c->bad = true;
		return 0;
	}
}

/* The pointer at the cursor, whose own address is `at`; `data` is what DATAREL counts from. False,
 * with the bytes passed over: the file alone does not say where it points. Text-relative ones count
 * from 0, as in the machines' own unwinders. */
static inline bool ap_encoded_pointer(struct ap_cursor *c, uint8_t encoding, uint64_t at,
				      uint64_t data, uint64_t *ret)
{
	uint64_t v;

	if ((encoding & AP_PE_RELATIVE) == AP_PE_ALIGNED) {
		ap_cursor_take(c, -at & 7);
		v = ap_cursor_uint(c, 8);
	} else {
		v = ap_encoded_number(c, encoding);
	}
	if ((encoding & AP_PE_RELATIVE) == AP_PE_PCREL)
		v += at;
	else if ((encoding & AP_PE_RELATIVE) == AP_PE_DATAREL)
		v += data;
	*ret = v;
	return !c->bad && !(encoding & AP_PE_INDIRECT) &&
	       (encoding & AP_PE_RELATIVE) != AP_PE_FUNCREL;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Call frame information: the first byte chooses the kind of section, the others are the section, fed
 * as a whole and in pieces: both give the same table. */
#include <string.h>

#include "table_check.h"
#include "unwind/cfi.h"

enum { EH = 1, STOP_AT_ZERO = 2, PIECE = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ap_unwind_table *build(uint8_t kind, const uint8_t *p, size_t n, size_t piece)
{
	struct ap_unwind_segment segment = {0x1000, 0x400, 1 << 24};
	_cleanup_(ap_cleanup_table_builder) struct ap_table_builder *b =
		ap_table_builder_new(&segment, 1);
	struct ap_cfi_options o = {
		.eh = kind & EH,
		.stop_at_zero = kind & STOP_AT_ZERO,
		.vaddr = 0x100000,
	};
	_cleanup_(ap_cleanup_cfi) struct ap_cfi *c = ap_cfi_new(&o, b);
	struct ap_unwind_table *t = NULL;
	size_t shown = AP_MIN(piece, n);
	uint64_t used;

	if (!b || !c)
		abort();
	while (ap_cfi_feed(c, p, shown, &used) == 0) {
		if (used == 0 && shown == n)
			break;
		if (used > n)
			break;
		p += used;
		n -= (size_t)used;
		shown = used ? AP_MIN(piece, n) : AP_MIN(shown + piece, n);
	}
	return ap_table_builder_finish(b, &t) < 0 ? NULL : t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ap_cleanup_unwind_table) struct ap_unwind_table *whole = NULL, *pieces = NULL;

	if (size < 1)
		return 0;
	whole = build(data[0], data + 1, size - 1, size);
	pieces = build(data[0], data + 1, size - 1, PIECE);
	if (!whole != !pieces)
		abort();
	if (!whole)
		return 0;
	table_check(whole);
	if (whole->n_words != pieces->n_words || whole->n_rules != pieces->n_rules ||
	    memcmp(whole->words, pieces->words, whole->n_words * sizeof(*whole->words)) != 0 ||
	    memcmp(whole->rules, pieces->rules, whole->n_rules * sizeof(*whole->rules)) != 0)
		abort();
	return 0;
}

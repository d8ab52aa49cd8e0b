/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine remembers of blocks, and how it is outwitted.
 *
 * An engine remembers a block before it has put the part in its place. If that fails, for want of room, the block is
 * taken for one that is there when it comes again, and would be lost without a word.
 *  - Where a failed insert is over (embedded), the second one is made without regard to what is remembered.
 *  - At a server the first one may still be under way, and that memory is what leaves one of the two out. So the block is
 *    sent as before, and then its rows are counted. Where there are none, the block is remembered, and whoever had it
 *    remembered has ended without it: it is sent by a name that no attempt has had. What may come late of an earlier
 *    attempt has a name that is remembered. A table remembers 1,000 blocks. */
#include "aggregator/store/sure_insert.h"

#include <stdio.h>

enum { NAMES_MAX = 16 };

bool ap_store_remembers(const struct ap_store *s)
{
	return !s->driver->inserts_end && !s->cluster && s->caps & AP_STORE_CAP_DEDUPLICATION;
}

int ap_insert_make_sure(const struct ap_sure_insert *i, struct ap_error *err)
{
	uint64_t rows = 0;
	char name[128];
	int r = 0;

	for (int n = 0; n < NAMES_MAX && r == 0 && rows == 0; n++) {
		r = i->count(i->ctx, &rows, err);
		snprintf(name, sizeof(name), "%s-%d", i->name, n);
		if (r == 0 && rows == 0)
			r = i->insert(i->ctx, name, err);
	}
	if (r == 0 && rows == 0)
		r = ap_error_set(err, -EIO,
				 "the store takes %s for what it has, and has not got it", i->what);
	return r;
}

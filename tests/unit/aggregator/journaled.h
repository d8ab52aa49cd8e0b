/* SPDX-License-Identifier: Apache-2.0 */
/* A batch in the buffer as one that a log has, without a log. */
#ifndef AP_TESTS_AGGREGATOR_JOURNALED_H
#define AP_TESTS_AGGREGATOR_JOURNALED_H

#include "../wire/sample.h"
#include "aggregator/ingest/buffer.h"

/* Takes in three rows as the record of that number. */
static inline void commit_record(struct ap_buffer *buf, uint64_t number)
{
	const struct ap_journal_at at = {.file = 1, .number = number};
	_cleanup_batch_list_ struct ap_batch_list parts = {0};
	struct ap_profile *p = sample_profile(SAMPLE_START_NS, 3);
	struct ap_batch_meta meta = sample_meta(p, 1, number);

	assert_int_equal(ap_buffer_announce(buf, &p, &meta, &parts), 0);
	ap_buffer_commit(buf, &parts, &at);
}

#endif

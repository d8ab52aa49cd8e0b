/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the write-ahead log, and the saved agents in them: any bytes either are refused, or mean what
 * is saved and loaded again to the same bytes. */
#include "aggregator/ingest/agents.h"
#include "aggregator/ingest/wal_record.h"

static void round_trip(struct ap_str saved)
{
	_cleanup_buf_ struct ap_buf once = {0}, twice = {0};
	struct ap_agents *a, *b;

	if (ap_agents_new(0, &a) < 0 || ap_agents_new(0, &b) < 0)
		abort();
	if (ap_agents_load(a, saved) == 0) {
		if (ap_agents_save(a, SIZE_MAX, &once) < 0 ||
		    ap_agents_load(b, ap_buf_view(&once)) < 0 ||
		    ap_agents_save(b, SIZE_MAX, &twice) < 0)
			abort();
		if (!ap_str_eq(ap_buf_view(&once), ap_buf_view(&twice)))
			abort();
	}
	ap_agents_free(a);
	ap_agents_free(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wal_batch batch;
	struct ap_str record = {(const char *)data, size}, rest;
	int kind = wal_record_read(record, &batch, &rest);

	if (kind == WAL_BATCH) {
		if (batch.n_parts == 0 || batch.n_parts > WAL_PARTS_MAX ||
		    batch.request.n > record.n)
			abort();
	} else if (kind == WAL_AGENTS) {
		round_trip(rest);
	}
	round_trip(record);
	return 0;
}

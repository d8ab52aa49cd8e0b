/* SPDX-License-Identifier: Apache-2.0 */
/* A record of the agent's spool: whatever is in it, it is a newer version's, or damaged and set aside, or a batch that
 * reads back as long as the opening said. */
#include "agent/spool.h"
#include "scratch.h"

static void make_folder(void)
{
	char command[128];

	if (!scratch[0])
		scratch_make();
	snprintf(command, sizeof(command), "rm -f %s/*", scratch);
	must(system(command) == 0);
}

static int no_record(void *ctx, const struct ap_journal_at *at, struct ap_str payload)
{
	return -EINVAL;
}

static void append(struct ap_str record)
{
	const struct ap_journal_options o = {.dir = scratch};
	struct ap_journal_at at;
	struct ap_journal *j;

	must(ap_journal_open(&o, no_record, NULL, &j, NULL) == 0);
	must(ap_journal_append(j, record, AP_STR(""), &at) == 0);
	ap_journal_close(j);
}

struct found {
	uint32_t n;
	struct ap_spooled batch;
};

static int take(void *ctx, const struct ap_spooled *batch)
{
	struct found *f = ctx;

	f->n++;
	f->batch = *batch;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ap_buf request = {0};
	struct ap_journal_stats stats;
	struct ap_ledger deltas = {0};
	struct found f = {0};
	struct ap_error err = {0};
	struct ap_spool *s;
	int r;

	make_folder();
	append((struct ap_str){(const char *)data, size});
	r = ap_spool_open(scratch, 0, take, &f, &s, &err);
	if (r == -EPROTO)
		return 0;
	must(r == 0);
	ap_spool_get_stats(s, &stats);
	must(f.n + stats.damaged_records == 1);
	if (f.n) {
		must(ap_spool_read(s, &f.batch.at, &request, &deltas) == 0);
		must(request.n == f.batch.bytes && request.n <= size);
	}
	ap_spool_close(s);
	return 0;
}

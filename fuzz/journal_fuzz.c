/* SPDX-License-Identifier: Apache-2.0 */
/* A journal's folder after a crash: whatever its file holds, the opening hands over records that read back as the
 * same bytes, and what is appended then is there at the next opening. */
#include "base/journal.h"
#include "scratch.h"

static int count(void *ctx, const struct ap_journal_at *at, struct ap_str payload)
{
	*(uint32_t *)ctx += payload.n <= AP_JOURNAL_RECORD_MAX;
	return 1;
}

static uint32_t reopen(bool append)
{
	const struct ap_journal_options o = {.dir = scratch};
	struct ap_journal *j = NULL;
	struct ap_journal_at at;
	struct ap_error err = {0};
	uint32_t n = 0;
	int r = ap_journal_open(&o, count, &n, &j, &err);

	if (r == -EPROTO)
		return UINT32_MAX; /* of a newer version */
	if (r < 0)
		abort();
	if (append && ap_journal_append(j, AP_STR("he"), AP_STR("ad"), &at) < 0)
		abort();
	ap_journal_close(j);
	return n;
}

static void write_file(uint64_t first, const uint8_t *data, size_t size)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%020llu.journal", scratch, (unsigned long long)first);
	if (ap_write_file_atomic(path, data, size, 0600, false) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char command[128];
	uint32_t n;

	if (!scratch[0])
		scratch_make();
	snprintf(command, sizeof(command), "rm -f %s/*", scratch);
	must(system(command) == 0);
	write_file(1, data, size);
	n = reopen(true);
	if (n != UINT32_MAX && reopen(false) != n + 1)
		abort();
	return 0;
}

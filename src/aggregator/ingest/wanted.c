/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/wanted.h"

#include <sqlite3.h>
#include <stdio.h>

struct reader {
	void (*fn)(void *ctx, const char *agent, const struct ap_wanted *w);
	void *ctx;
};

int ap_wanted_put(struct ap_database *db, const char *agent, const struct ap_wanted *w,
		  struct ap_error *err)
{
	char modes[AP_MODES_MAX * AP_MODE_BYTES] = "";
	size_t n = 0;

	for (uint32_t i = 0; i < w->settings.n_modes; i++)
		n += (size_t)snprintf(modes + n, sizeof(modes) - n, "%s%s", i ? "," : "",
				      w->settings.modes[i]);
	return ap_database_run(db, err, "INSERT OR REPLACE INTO wanted VALUES(?, ?, ?, ?, ?, ?, ?)",
			       "sisiiii", agent, (int64_t)w->version, modes,
			       (int64_t)w->settings.frequency_hz,
			       (int64_t)w->settings.wait_threshold_ns,
			       (int64_t)w->settings.remaining_ns, w->until_ns);
}

static int take(void *ctx, struct sqlite3_stmt *st)
{
	const struct reader *r = ctx;
	struct ap_wanted w = {
		.version = (uint64_t)sqlite3_column_int64(st, 1),
		.settings = {.frequency_hz = (uint32_t)sqlite3_column_int64(st, 3),
			     .wait_threshold_ns = (uint64_t)sqlite3_column_int64(st, 4),
			     .remaining_ns = (uint64_t)sqlite3_column_int64(st, 5)},
		.until_ns = sqlite3_column_int64(st, 6),
	};
	struct ap_str agent = ap_database_text(st, 0), modes = ap_database_text(st, 2);

	while (modes.n && w.settings.n_modes < AP_MODES_MAX) {
		struct ap_str mode = ap_str_cut(&modes, ',');

		if (mode.n < AP_MODE_BYTES)
			memcpy(w.settings.modes[w.settings.n_modes++], mode.p, mode.n);
	}
	r->fn(r->ctx, agent.p, &w);
	return 0;
}

int ap_wanted_load(struct ap_database *db, int64_t now_ns,
		   void (*fn)(void *ctx, const char *agent, const struct ap_wanted *w), void *ctx,
		   struct ap_error *err)
{
	struct reader reader = {fn, ctx};
	int r = ap_database_run(db, err, "DELETE FROM wanted WHERE until_ns <= ?", "i", now_ns);

	return r < 0 ? r
		     : ap_database_each(db, err, take, &reader,
					"SELECT agent, version, modes, frequency_hz,"
					" wait_threshold_ns, remaining_ns, until_ns FROM wanted",
					"");
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/alert/outbox.h"

#include <sqlite3.h>

struct reader {
	int (*fn)(void *ctx, const struct ap_outbox_message *m);
	void *ctx;
};

int ap_outbox_put(struct ap_database *db, const struct ap_outbox_message *m, uint64_t *ret_id,
		  struct ap_error *err)
{
	int r = ap_database_run(
		db, err, "INSERT INTO outbox(rule, url, body, created_ms) VALUES(?, ?, ?, ?)",
		"issi", (int64_t)m->rule, m->url, m->body, m->created_ms);

	if (r == 0)
		*ret_id = ap_database_last_id(db);
	return r;
}

int ap_outbox_delete(struct ap_database *db, uint64_t id)
{
	return ap_database_run(db, NULL, "DELETE FROM outbox WHERE id = ?", "i", (int64_t)id);
}

static int take(void *ctx, struct sqlite3_stmt *st)
{
	const struct reader *r = ctx;
	const struct ap_outbox_message m = {
		.id = (uint64_t)sqlite3_column_int64(st, 0),
		.rule = (uint64_t)sqlite3_column_int64(st, 1),
		.url = ap_database_text(st, 2).p,
		.body = ap_database_text(st, 3).p,
		.created_ms = sqlite3_column_int64(st, 4),
	};

	return r->fn(r->ctx, &m);
}

int ap_outbox_load(struct ap_database *db, int (*fn)(void *ctx, const struct ap_outbox_message *m),
		   void *ctx, struct ap_error *err)
{
	struct reader r = {fn, ctx};

	return ap_database_each(db, err, take, &r,
				"SELECT id, rule, url, body, created_ms FROM outbox ORDER BY id",
				"");
}

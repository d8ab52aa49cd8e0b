/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/alert/db.h"

#include <math.h>
#include <sqlite3.h>

/* ---- Reading. ---- */

/* A state's number; what is none reads as the first. */
static enum ap_alert_state column_state(sqlite3_stmt *st, int i)
{
	int v = sqlite3_column_int(st, i);

	return v >= 0 && v <= AP_ALERT_INSUFFICIENT ? (enum ap_alert_state)v : AP_ALERT_OK;
}

static double column_value(sqlite3_stmt *st, int i)
{
	return sqlite3_column_type(st, i) == SQLITE_NULL ? NAN : sqlite3_column_double(st, i);
}

/* A reader's function with what it is called with. */
struct reading {
	const struct ap_alert_db_reader *reader;
	void *ctx;
};

static int read_rule(void *ctx, sqlite3_stmt *st)
{
	const struct reading *r = ctx;
	struct ap_alert_status s = {
		.state = column_state(st, 2),
		.open = sqlite3_column_int(st, 3) != 0,
		.announced = sqlite3_column_int(st, 4) != 0,
		.since_ms = sqlite3_column_int64(st, 5),
		.pending_ms = sqlite3_column_int64(st, 6),
		.fired_ms = sqlite3_column_int64(st, 7),
		.evaluated_ms = sqlite3_column_int64(st, 8),
		.value = column_value(st, 9),
		.samples = (uint64_t)sqlite3_column_int64(st, 10),
	};

	return r->reader->rule(r->ctx, (uint64_t)sqlite3_column_int64(st, 0),
			       ap_database_text(st, 1), &s);
}

static int read_event(void *ctx, sqlite3_stmt *st)
{
	const struct reading *r = ctx;
	int severity = sqlite3_column_int(st, 3);
	struct ap_alert_event e = {
		.id = (uint64_t)sqlite3_column_int64(st, 0),
		.rule = (uint64_t)sqlite3_column_int64(st, 1),
		.name = (char *)(uintptr_t)ap_database_text(st, 2).p,
		.severity = severity >= 0 && severity <= AP_ALERT_CRITICAL
				    ? (enum ap_alert_severity)severity
				    : AP_ALERT_INFO,
		.at_ms = sqlite3_column_int64(st, 4),
		.from = column_state(st, 5),
		.to = column_state(st, 6),
		.value = column_value(st, 7),
		.samples = (uint64_t)sqlite3_column_int64(st, 8),
	};

	return r->reader->event(r->ctx, &e);
}

static int read_silence(void *ctx, sqlite3_stmt *st)
{
	const struct reading *r = ctx;
	struct ap_alert_silence s = {
		.id = (uint64_t)sqlite3_column_int64(st, 0),
		.rule = (uint64_t)sqlite3_column_int64(st, 1),
		.from_ms = sqlite3_column_int64(st, 2),
		.until_ms = sqlite3_column_int64(st, 3),
		.comment = (char *)(uintptr_t)ap_database_text(st, 4).p,
		.filter = (char *)(uintptr_t)ap_database_text(st, 5).p,
	};

	return r->reader->silence(r->ctx, &s);
}

int ap_alert_db_load(struct ap_database *db, const struct ap_alert_db_reader *reader, void *ctx,
		     struct ap_error *err)
{
	struct reading reading = {reader, ctx};
	int r = ap_database_each(
		db, err, read_rule, &reading,
		"SELECT id, body, coalesce(state, 0), coalesce(open, 0),"
		" coalesce(announced, 0), coalesce(since_ms, 0), coalesce(pending_ms, 0), coalesce(fired_ms, 0),"
		" coalesce(evaluated_ms, 0), value, coalesce(samples, 0)"
		" FROM rules LEFT JOIN states ON rule = id ORDER BY id",
		"");

	if (r == 0)
		r = ap_database_each(
			db, err, read_event, &reading,
			"SELECT id, rule, name, severity, at_ms, from_state, to_state, value,"
			" samples FROM history ORDER BY id",
			"");
	if (r == 0)
		r = ap_database_each(
			db, err, read_silence, &reading,
			"SELECT id, rule, from_ms, until_ms, comment, filter FROM silences "
			"ORDER BY id",
			"");
	return r;
}

/* ---- Writing. ---- */

int ap_alert_db_put_rule(struct ap_database *db, uint64_t id, const struct ap_alert_rule *rule,
			 uint64_t *ret_id, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf body = {0};
	int r;

	ap_buf_byte(&body, '{');
	ap_alert_rule_json(&body, rule);
	ap_buf_append(&body, "}", 2); /* with its NUL */
	if (ap_buf_error(&body))
		return ap_error_set(err, -ENOMEM, "out of memory");
	if (id)
		r = ap_database_run(db, err, "UPDATE rules SET name = ?, body = ? WHERE id = ?",
				    "ssi", rule->name, (const char *)body.p, (int64_t)id);
	else
		r = ap_database_run(db, err, "INSERT INTO rules(name, body) VALUES(?, ?)", "ss",
				    rule->name, (const char *)body.p);
	if (r == -EEXIST)
		return ap_error_set(err, r, "there is a rule named '%.200s' already", rule->name);
	if (r == 0 && ret_id)
		*ret_id = id ? id : ap_database_last_id(db);
	return r;
}

int ap_alert_db_delete_rule(struct ap_database *db, uint64_t id, struct ap_error *err)
{
	return ap_database_run(db, err, "DELETE FROM rules WHERE id = ?", "i", (int64_t)id);
}

int ap_alert_db_put_status(struct ap_database *db, uint64_t rule, const struct ap_alert_status *s,
			   struct ap_error *err)
{
	return ap_database_run(db, err,
			       "INSERT OR REPLACE INTO states VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
			       "iiiiiiiidi", (int64_t)rule, (int64_t)s->state, (int64_t)s->open,
			       (int64_t)s->announced, s->since_ms, s->pending_ms, s->fired_ms,
			       s->evaluated_ms, s->value, (int64_t)s->samples);
}

int ap_alert_db_put_event(struct ap_database *db, const struct ap_alert_event *e,
			  struct ap_error *err)
{
	return ap_database_run(
		db, err, "INSERT OR REPLACE INTO history VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		"iisiiiidi", (int64_t)e->id, (int64_t)e->rule, e->name, (int64_t)e->severity,
		e->at_ms, (int64_t)e->from, (int64_t)e->to, e->value, (int64_t)e->samples);
}

int ap_alert_db_trim_events(struct ap_database *db, uint64_t first, struct ap_error *err)
{
	return ap_database_run(db, err, "DELETE FROM history WHERE id < ?", "i", (int64_t)first);
}

int ap_alert_db_put_silence(struct ap_database *db, const struct ap_alert_silence *s,
			    uint64_t *ret_id, struct ap_error *err)
{
	int r = ap_database_run(db, err,
				"INSERT INTO silences(rule, from_ms, until_ms, comment, filter) "
				"VALUES(?, ?, ?, ?, ?)",
				"iiiss", (int64_t)s->rule, s->from_ms, s->until_ms, s->comment,
				s->filter);

	if (r == 0)
		*ret_id = ap_database_last_id(db);
	return r;
}

int ap_alert_db_delete_silence(struct ap_database *db, uint64_t id, struct ap_error *err)
{
	return ap_database_run(db, err, "DELETE FROM silences WHERE id = ?", "i", (int64_t)id);
}

int ap_alert_db_put_left(struct ap_database *db, const char *agent, uint64_t epoch,
			 struct ap_error *err)
{
	return ap_database_run(db, err, "INSERT OR REPLACE INTO left_agents VALUES(?, ?)", "si",
			       agent, (int64_t)epoch);
}

static int found(void *ctx, sqlite3_stmt *st)
{
	*(bool *)ctx = true;
	return 0;
}

bool ap_alert_db_is_new(struct ap_database *db)
{
	bool had = false;

	ap_database_each(db, NULL, found, &had,
			 "SELECT 1 FROM sqlite_sequence WHERE name = 'rules'", "");
	return !had;
}

bool ap_alert_db_has_left(struct ap_database *db, const char *agent, uint64_t epoch)
{
	bool has = false;

	ap_database_each(db, NULL, found, &has,
			 "SELECT 1 FROM left_agents WHERE agent = ? AND epoch = ?", "si", agent,
			 (int64_t)epoch);
	return has;
}

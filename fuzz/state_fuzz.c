/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of state.db, as damage or another hand may leave them: a line is a table's name and its columns, between tabs.
 * Whoever owns a table refuses to load it or copes, and what is answered of annotations is JSON. */
#include <sqlite3.h>

#include <jansson.h>

#include "aggregator/alert/db.h"
#include "aggregator/alert/outbox.h"
#include "aggregator/annotate/deploys.h"
#include "aggregator/ingest/wanted.h"
#include "scratch.h"

#define LINES_MAX 64

static const struct {
	const char *name, *insert;
} tables[] = {
	{"rules", "INSERT OR IGNORE INTO rules VALUES(?,?,?)"},
	{"states", "INSERT OR IGNORE INTO states VALUES(?,?,?,?,?,?,?,?,?,?)"},
	{"history", "INSERT OR IGNORE INTO history VALUES(?,?,?,?,?,?,?,?,?)"},
	{"silences", "INSERT OR IGNORE INTO silences VALUES(?,?,?,?,?,?)"},
	{"left_agents", "INSERT OR IGNORE INTO left_agents VALUES(?,?)"},
	{"outbox", "INSERT OR IGNORE INTO outbox VALUES(?,?,?,?,?)"},
	{"wanted", "INSERT OR IGNORE INTO wanted VALUES(?,?,?,?,?,?,?)"},
	{"annotations", "INSERT OR IGNORE INTO annotations VALUES(?,?,?,?,?,?)"},
	{"builds", "INSERT OR IGNORE INTO builds VALUES(?,?,?,?,?,?,?)"},
};

/* In memory, and the same for all connections. */
#define PATH "file:state?mode=memory&cache=shared"

static sqlite3 *raw;
static struct {
	sqlite3_stmt *insert, *empty;
	bool filled;
} statements[AP_ARRAY_SIZE(tables)];
static struct ap_database *db;
static struct ap_annotations *annotations;

static sqlite3_stmt *prepare(const char *sql)
{
	sqlite3_stmt *st = NULL;

	must(sqlite3_prepare_v2(raw, sql, -1, &st, NULL) == SQLITE_OK);
	return st;
}

static void set_up(void)
{
	char sql[64];

	must(sqlite3_config(SQLITE_CONFIG_URI, 1) == SQLITE_OK);
	must(ap_database_open(PATH, &db, NULL) == 0);
	must(ap_annotations_open(PATH, &annotations, NULL) == 0);
	must(sqlite3_open(PATH, &raw) == SQLITE_OK);
	for (size_t i = 0; i < AP_ARRAY_SIZE(tables); i++) {
		snprintf(sql, sizeof(sql), "DELETE FROM %s", tables[i].name);
		statements[i].insert = prepare(tables[i].insert);
		statements[i].empty = prepare(sql);
		statements[i].filled = true; /* with what a new file has */
	}
}

/* ---- Rows. ---- */

static void insert(struct ap_str line)
{
	struct ap_str name = ap_str_cut(&line, '\t');

	for (size_t i = 0; i < AP_ARRAY_SIZE(tables); i++) {
		sqlite3_stmt *st = statements[i].insert;

		if (!ap_str_is(name, tables[i].name))
			continue;
		for (int c = 1; line.p && c <= sqlite3_bind_parameter_count(st); c++) {
			struct ap_str value = ap_str_cut(&line, '\t');

			/* A number becomes one by the column's affinity. */
			sqlite3_bind_text(st, c, value.p, (int)value.n, SQLITE_STATIC);
		}
		sqlite3_step(st);
		sqlite3_reset(st);
		sqlite3_clear_bindings(st);
		statements[i].filled = true;
	}
}

static void fill(struct ap_str text)
{
	must(sqlite3_exec(raw, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK);
	for (size_t i = 0; i < AP_ARRAY_SIZE(tables); i++) {
		if (!statements[i].filled)
			continue;
		must(sqlite3_step(statements[i].empty) == SQLITE_DONE);
		sqlite3_reset(statements[i].empty);
		statements[i].filled = false;
	}
	for (int i = 0; text.n && i < LINES_MAX; i++)
		insert(ap_str_cut(&text, '\n'));
	must(sqlite3_exec(raw, "COMMIT", NULL, NULL, NULL) == SQLITE_OK);
}

/* ---- Their owners. ---- */

static int on_rule(void *ctx, uint64_t id, struct ap_str body, const struct ap_alert_status *status)
{
	_cleanup_(ap_cleanup_alert_rule) struct ap_alert_rule *rule = NULL;
	const char *field;

	must(status->state <= AP_ALERT_INSUFFICIENT);
	ap_alert_rule_parse_text(body, &rule, &field, NULL);
	return 0;
}

static int on_event(void *ctx, const struct ap_alert_event *e)
{
	must(e->from <= AP_ALERT_INSUFFICIENT && e->to <= AP_ALERT_INSUFFICIENT && e->name);
	return 0;
}

static int on_silence(void *ctx, const struct ap_alert_silence *s)
{
	must(s->comment && s->filter);
	return 0;
}

static int on_message(void *ctx, const struct ap_outbox_message *m)
{
	must(strlen(m->url) < SIZE_MAX && strlen(m->body) < SIZE_MAX);
	return 0;
}

static void on_wanted(void *ctx, const char *agent, const struct ap_wanted *w)
{
	must(w->settings.n_modes <= AP_MODES_MAX);
	for (uint32_t i = 0; i < w->settings.n_modes; i++)
		must(strnlen(w->settings.modes[i], AP_MODE_BYTES) < AP_MODE_BYTES);
}

static void list(const struct ap_filter *filter)
{
	const struct ap_annotation_query q = {
		.from_ms = INT64_MIN, .to_ms = INT64_MAX, .filter = filter, .kind = -1, .limit = 8};
	_cleanup_buf_ struct ap_buf b = {0};
	uint64_t cut;
	json_t *json;

	ap_buf_byte(&b, '[');
	must(ap_annotations_list(annotations, &q, &b, &cut, NULL) == 0);
	ap_buf_byte(&b, ']');
	json = json_loadb((const char *)b.p, b.n, JSON_ALLOW_NUL, NULL);
	must(json != NULL);
	json_decref(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ap_alert_db_reader reader = {on_rule, on_event, on_silence};
	static struct ap_filter *filter;
	struct ap_deploys *deploys = NULL;
	size_t pos;

	if (!raw) {
		set_up();
		must(ap_filter_parse(AP_STR("{service=\"web\",pod=\"a\"}"), &filter, &pos, NULL) ==
		     0);
	}
	fill((struct ap_str){(const char *)data, size});
	ap_alert_db_load(db, &reader, NULL, NULL);
	ap_alert_db_has_left(db, "a", 1);
	ap_outbox_load(db, on_message, NULL, NULL);
	ap_wanted_load(db, 0, on_wanted, NULL, NULL);
	list(NULL);
	list(filter);
	if (ap_deploys_open(annotations, &deploys, NULL) == 0)
		ap_deploys_close(deploys);
	return 0;
}

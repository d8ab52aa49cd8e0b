/* SPDX-License-Identifier: Apache-2.0 */
/* Steps are never changed once released: a file that has taken one does not take it again. */
#include "aggregator/state/database.h"

const char *const ap_database_steps[] = {
	/* 1: alert rules (alert/db.c) */
	"CREATE TABLE rules(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
	" body TEXT NOT NULL);"
	"CREATE TABLE states(rule INTEGER PRIMARY KEY REFERENCES rules(id) ON DELETE CASCADE,"
	" state INTEGER NOT NULL, open INTEGER NOT NULL, announced INTEGER NOT NULL,"
	" since_ms INTEGER NOT NULL,"
	" pending_ms INTEGER NOT NULL, fired_ms INTEGER NOT NULL, evaluated_ms INTEGER NOT NULL,"
	" value REAL, samples INTEGER NOT NULL);"
	"CREATE TABLE history(id INTEGER PRIMARY KEY, rule INTEGER NOT NULL, name TEXT NOT NULL,"
	" severity INTEGER NOT NULL, at_ms INTEGER NOT NULL, from_state INTEGER NOT NULL,"
	" to_state INTEGER NOT NULL, value REAL, samples INTEGER NOT NULL);"
	"CREATE TABLE silences(id INTEGER PRIMARY KEY AUTOINCREMENT, rule INTEGER NOT NULL,"
	" from_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL, comment TEXT NOT NULL);"
	"CREATE TABLE left_agents(agent TEXT PRIMARY KEY, epoch INTEGER NOT NULL);",

	/* 2: silences of hosts and services (alert/db.c), notifications that wait (alert/outbox.c), what
	 * agents were asked (ingest/wanted.c), annotations and deploys (annotate/) */
	"ALTER TABLE silences ADD COLUMN filter TEXT NOT NULL DEFAULT '';"
	"CREATE TABLE outbox(id INTEGER PRIMARY KEY AUTOINCREMENT, rule INTEGER NOT NULL,"
	" url TEXT NOT NULL, body TEXT NOT NULL, created_ms INTEGER NOT NULL);"
	"CREATE TABLE wanted(agent TEXT PRIMARY KEY, version INTEGER NOT NULL,"
	" modes TEXT NOT NULL, frequency_hz INTEGER NOT NULL, wait_threshold_ns INTEGER NOT NULL,"
	" remaining_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL);"
	"CREATE TABLE annotations(id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL,"
	" from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, service TEXT NOT NULL,"
	" body TEXT NOT NULL);"
	"CREATE INDEX annotations_by_time ON annotations(from_ms);"
	"CREATE TABLE builds(service TEXT NOT NULL, program TEXT NOT NULL, build TEXT NOT NULL,"
	" version TEXT NOT NULL, seen_ms INTEGER NOT NULL, returns INTEGER NOT NULL,"
	" current_since_ms INTEGER NOT NULL, PRIMARY KEY(service, program, build, version));",
};
const int ap_database_version = AP_ARRAY_SIZE(ap_database_steps);

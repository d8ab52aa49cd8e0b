/* SPDX-License-Identifier: Apache-2.0 */
/* state.db, the small state that must outlive the aggregator, in SQLite: alert rules and what became of them,
 * notifications that wait, annotations, what agents were asked. Each table's statements are in the file of its
 * owner; what the tables look like, in every version there was, is in migrations.c. A write is on disk when its
 * function returns 0.
 *
 * The schema has a version (PRAGMA user_version). A file of an earlier version is brought up to date when it is
 * opened; one of a later version is refused and left as it is.
 *
 * A connection is used by one thread at a time. Owners with threads of their own each open one. */
#ifndef AP_AGGREGATOR_STATE_DATABASE_H
#define AP_AGGREGATOR_STATE_DATABASE_H

#include "base/error.h"
#include "base/str.h"

struct ap_database;
struct sqlite3_stmt;

/* Makes the file where there is none. -EEXIST: of a later version; -EBADMSG: no such file as it should be; -EIO
 * and others; `err` says what to do. */
int ap_database_open(const char *path, struct ap_database **ret, struct ap_error *err);
void ap_database_close(struct ap_database *db); /* NULL is fine */
AP_DEFINE_CLEANUP(database, struct ap_database, ap_database_close)

/* Several writes as one: all of them or none. */
int ap_database_begin(struct ap_database *db, struct ap_error *err);
int ap_database_commit(struct ap_database *db, struct ap_error *err);
void ap_database_rollback(struct ap_database *db);

/* Runs one statement without rows. `types` names its arguments, one letter each: 'i' int64_t, 'd' double (NAN is
 * NULL), 's' const char *. -EEXIST: a constraint; -ENOSPC: the disk is full; -EBADMSG: the file is damaged;
 * -ENOMEM, -EIO. */
int ap_database_run(struct ap_database *db, struct ap_error *err, const char *sql,
		    const char *types, ...);
/* Calls `row` for each row of a SELECT; a negative result ends it and is returned. */
int ap_database_each(struct ap_database *db, struct ap_error *err,
		     int (*row)(void *ctx, struct sqlite3_stmt *st), void *ctx, const char *sql,
		     const char *types, ...);
/* The id of the row inserted last, and how many rows the last statement changed. */
uint64_t ap_database_last_id(const struct ap_database *db);
uint64_t ap_database_changes(const struct ap_database *db);

/* A column's text, valid until the next row; NUL-terminated, "" for NULL. */
struct ap_str ap_database_text(struct sqlite3_stmt *st, int column);

/* ---- The schema (migrations.c). ---- */

/* Step i brings a file of version i to version i + 1. */
extern const char *const ap_database_steps[];
extern const int ap_database_version; /* how many steps there are */

#endif

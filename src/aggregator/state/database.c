/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/state/database.h"

#include <math.h>
#include <stdio.h>

#include "aggregator/state/sqlite.h"
#include "base/buf.h"

struct ap_database {
	struct ap_sqlite file;
};

/* ---- Statements. ---- */

static sqlite3_stmt *prepare(struct ap_database *db, const char *sql, const char *types, va_list ap)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(db->file.handle, sql, -1, &st, NULL) != SQLITE_OK)
		return NULL;
	for (int i = 1; types[i - 1]; i++) {
		double d;

		switch (types[i - 1]) {
		case 'i':
			sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
			break;
		case 'd':
			d = va_arg(ap, double);
			if (isfinite(d))
				sqlite3_bind_double(st, i, d);
			break;
		default:
			sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
		}
	}
	return st;
}

int ap_database_run(struct ap_database *db, struct ap_error *err, const char *sql,
		    const char *types, ...)
{
	sqlite3_stmt *st;
	va_list ap;
	int r = 0;

	va_start(ap, types);
	st = prepare(db, sql, types, ap);
	va_end(ap);
	if (!st || sqlite3_step(st) != SQLITE_DONE)
		r = ap_sqlite_fail(&db->file, err);
	sqlite3_finalize(st);
	return r;
}

int ap_database_each(struct ap_database *db, struct ap_error *err,
		     int (*row)(void *ctx, struct sqlite3_stmt *st), void *ctx, const char *sql,
		     const char *types, ...)
{
	sqlite3_stmt *st;
	int r = 0, code = SQLITE_DONE;
	va_list ap;

	va_start(ap, types);
	st = prepare(db, sql, types, ap);
	va_end(ap);
	if (!st)
		return ap_sqlite_fail(&db->file, err);
	while (r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW)
		r = row(ctx, st);
	if (r == 0 && code != SQLITE_DONE)
		r = ap_sqlite_fail(&db->file, err);
	else if (r < 0)
		ap_error_set(err, r, "%s: %s", db->file.path,
			     r == -EBADMSG ? "it holds what cannot be read; move it away"
					   : ap_strerror(r));
	sqlite3_finalize(st);
	return r;
}

uint64_t ap_database_last_id(const struct ap_database *db)
{
	return (uint64_t)sqlite3_last_insert_rowid(db->file.handle);
}

uint64_t ap_database_changes(const struct ap_database *db)
{
	return (uint64_t)sqlite3_changes(db->file.handle);
}

struct ap_str ap_database_text(struct sqlite3_stmt *st, int column)
{
	const char *p = (const char *)sqlite3_column_text(st, column);

	return (struct ap_str){p ? p : "", (size_t)sqlite3_column_bytes(st, column)};
}

int ap_database_begin(struct ap_database *db, struct ap_error *err)
{
	return ap_sqlite_exec(&db->file, "BEGIN IMMEDIATE", err);
}

int ap_database_commit(struct ap_database *db, struct ap_error *err)
{
	return ap_sqlite_exec(&db->file, "COMMIT", err);
}

void ap_database_rollback(struct ap_database *db)
{
	ap_sqlite_exec(&db->file, "ROLLBACK", NULL);
}

/* ---- Opening. ---- */

/* Opened for reading only, so that not even its log is tidied up: a file of a later version stays as it is. */
static int check_version(struct ap_database *db, const char *path, struct ap_error *err)
{
	int version, r;

	if (access(path, F_OK) < 0)
		return 0;
	r = ap_sqlite_open(&db->file, path, SQLITE_OPEN_READONLY, err);
	if (r == 0)
		r = ap_sqlite_version(&db->file, ap_database_version, &version, err);
	ap_sqlite_close(&db->file);
	return r;
}

/* All steps that are left are one transaction: a file is of one version or of another. */
static int migrate(struct ap_database *db, int version, struct ap_error *err)
{
	char set[40];
	int r = ap_database_begin(db, err);

	if (r < 0)
		return r;
	for (int i = version; i < ap_database_version && r == 0; i++)
		r = ap_sqlite_exec(&db->file, ap_database_steps[i], err);
	snprintf(set, sizeof(set), "PRAGMA user_version=%d", ap_database_version);
	if (r == 0)
		r = ap_sqlite_exec(&db->file, set, err);
	if (r == 0)
		r = ap_database_commit(db, err);
	if (r < 0)
		ap_database_rollback(db);
	return r;
}

static int set_up(struct ap_database *db, struct ap_error *err)
{
	int version = 0;
	int r = ap_sqlite_exec(
		&db->file,
		"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;", err);

	if (r == 0)
		r = ap_sqlite_version(&db->file, ap_database_version, &version, err);
	if (r == 0 && version < ap_database_version)
		r = migrate(db, version, err);
	return r;
}

int ap_database_open(const char *path, struct ap_database **ret, struct ap_error *err)
{
	_cleanup_(ap_cleanup_database) struct ap_database *db = calloc(1, sizeof(*db));
	int r;

	if (!db)
		return ap_error_set(err, -ENOMEM, "out of memory");
	db->file.damage = "move it away, and alert rules, annotations and what else it held begin "
			  "anew";
	r = check_version(db, path, err);
	if (r == 0)
		r = ap_sqlite_open(&db->file, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
				   err);
	if (r == 0)
		r = set_up(db, err);
	if (r < 0)
		return r;
	*ret = AP_TAKE_PTR(db);
	return 0;
}

void ap_database_close(struct ap_database *db)
{
	if (!db)
		return;
	ap_sqlite_close(&db->file);
	free(db);
}

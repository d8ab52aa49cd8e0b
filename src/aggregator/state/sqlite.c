/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/state/sqlite.h"

#include <string.h>

#define BUSY_MS 2000

int ap_sqlite_fail(const struct ap_sqlite *db, struct ap_error *err)
{
	int r = -EIO;

	switch (sqlite3_errcode(db->handle)) { /* SQLITE_NOMEM where there is no handle */
	case SQLITE_NOMEM:
		r = -ENOMEM;
		break;
	case SQLITE_FULL:
		r = -ENOSPC;
		break;
	case SQLITE_CONSTRAINT:
		r = -EEXIST;
		break;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
		return ap_error_set(err, -EBADMSG, "%s is damaged: %s; %s", db->path,
				    sqlite3_errmsg(db->handle), db->damage);
	}
	return ap_error_set(err, r, "%s cannot be used: %s", db->path, sqlite3_errmsg(db->handle));
}

int ap_sqlite_open(struct ap_sqlite *db, const char *path, int flags, struct ap_error *err)
{
	db->path = strdup(path);
	if (!db->path)
		return ap_error_set(err, -ENOMEM, "out of memory");
	if (sqlite3_open_v2(path, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return ap_sqlite_fail(db, err);
	sqlite3_busy_timeout(db->handle, BUSY_MS);
	return 0;
}

void ap_sqlite_close(struct ap_sqlite *db)
{
	sqlite3_close(db->handle);
	free(db->path);
	db->handle = NULL;
	db->path = NULL;
}

int ap_sqlite_exec(const struct ap_sqlite *db, const char *sql, struct ap_error *err)
{
	return sqlite3_exec(db->handle, sql, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : ap_sqlite_fail(db, err);
}

static int read_int(const struct ap_sqlite *db, const char *sql, int64_t *ret, struct ap_error *err)
{
	sqlite3_stmt *st = NULL;
	int r = 0;

	sqlite3_prepare_v2(db->handle, sql, -1, &st, NULL);
	if (st && sqlite3_step(st) == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	else
		r = ap_sqlite_fail(db, err);
	sqlite3_finalize(st);
	return r;
}

int ap_sqlite_version(const struct ap_sqlite *db, int known, int *ret, struct ap_error *err)
{
	int64_t version, tables;
	int r = read_int(db, "PRAGMA user_version", &version, err);

	if (r == 0)
		r = read_int(db, "SELECT count(*) FROM sqlite_master", &tables, err);
	if (r < 0)
		return r;
	if (version > known)
		return ap_error_set(err, -EEXIST,
				    "%s was written by a later version (%lld, this one knows %d): "
				    "run that version; the file was not touched",
				    db->path, (long long)version, known);
	if (version < 0 || (version == 0 && tables > 0))
		return ap_error_set(err, -EBADMSG, "%s is some other program's: move it away",
				    db->path);
	*ret = (int)version;
	return 0;
}

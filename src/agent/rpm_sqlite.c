/* SPDX-License-Identifier: Apache-2.0 */
/* rpm's database in SQLite, with the tables
 *
 *	Packages(hnum, blob)		a package's number and header
 *	Basenames(key, hnum, idx)	by a file's name: package, and place in its list of files */
#include <sqlite3.h>
#include <stdio.h>
#include <sys/stat.h>

#include "agent/rpm_format.h"

#define DATABASE "rpmdb.sqlite"
#define BLOB_MAX (64 << 20)
#define STEPS_MAX \
	1000000 /* of SQLite's machine; one look-up by the index takes less than a thousand */

static int give_up(void *ctx)
{
	return 1;
}

static int error_of(int rc)
{
	if (rc == SQLITE_NOMEM)
		return -ENOMEM;
	return rc == SQLITE_BUSY || rc == SQLITE_LOCKED ? -EAGAIN : -EBADMSG;
}

/* rpm keeps the file in WAL mode, where even a reader may have to make files beside it. While there is no log, which is
 * so but for the time of a transaction, it is read as one that does not change. */
static int open_database(const char *dir, void **ret)
{
	_cleanup_free_ char *log = NULL;
	sqlite3 *db = NULL;
	struct stat st;
	char *uri;
	int rc;

	if (asprintf(&log, "%s/" DATABASE "-wal", dir) < 0) {
		log = NULL;
		return -ENOMEM;
	}
	uri = sqlite3_mprintf("file:%s/" DATABASE "?mode=ro%s", dir,
			      stat(log, &st) == 0 && st.st_size > 0 ? "" : "&immutable=1");
	if (!uri)
		return -ENOMEM;
	rc = sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX,
			     NULL);
	sqlite3_free(uri);
	if (rc != SQLITE_OK) {
		sqlite3_close(db);
		return error_of(rc);
	}
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, BLOB_MAX);
	sqlite3_progress_handler(db, STEPS_MAX, give_up, NULL);
	sqlite3_exec(db, "PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON", NULL, NULL, NULL);
	*ret = db;
	return 0;
}

static int find_places(void *db, struct ap_str name, struct ap_rpm_places *ret)
{
	static const char sql[] = "SELECT hnum, idx FROM Basenames WHERE key = ?"
				  " ORDER BY hnum DESC LIMIT ?";
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return error_of(rc);
	sqlite3_bind_text(st, 1, name.p, (int)name.n, SQLITE_STATIC);
	sqlite3_bind_int(st, 2, AP_RPM_PLACES_MAX);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		ap_rpm_places_add(ret, (uint32_t)sqlite3_column_int64(st, 0),
				  (uint32_t)sqlite3_column_int64(st, 1));
	sqlite3_finalize(st);
	return rc == SQLITE_DONE ? 0 : error_of(rc);
}

static int read_header(void *db, uint32_t package, size_t max, struct ap_buf *ret)
{
	sqlite3_stmt *st;
	size_t n;
	int r, rc;

	rc = sqlite3_prepare_v2(db, "SELECT blob FROM Packages WHERE hnum = ?", -1, &st, NULL);
	if (rc != SQLITE_OK)
		return error_of(rc);
	sqlite3_bind_int64(st, 1, package);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		const void *blob = sqlite3_column_blob(st, 0);

		n = (size_t)sqlite3_column_bytes(st, 0);
		if (n <= max)
			ap_buf_append(ret, blob, n);
		r = n <= max ? ap_buf_error(ret) : -EFBIG;
	} else {
		r = rc == SQLITE_DONE ? -ENOENT : error_of(rc);
	}
	sqlite3_finalize(st);
	return r;
}

static void close_database(void *db)
{
	sqlite3_close(db);
}

const struct ap_rpm_format ap_rpm_sqlite = {
	.database = DATABASE,
	.index = DATABASE "-wal",
	.open = open_database,
	.find = find_places,
	.read = read_header,
	.close = close_database,
};

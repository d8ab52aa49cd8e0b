/* SPDX-License-Identifier: Apache-2.0 */
/* A file of SQLite as the aggregator keeps them: opened, asked for its version, and with errors that say what to do.
 * What is in one is its owner's: state.db (database.h), and the tokens and audit log (guard/db.h). */
#ifndef AP_AGGREGATOR_STATE_SQLITE_H
#define AP_AGGREGATOR_STATE_SQLITE_H

#include <sqlite3.h>

#include "base/error.h"

struct ap_sqlite {
	sqlite3 *handle; /* NULL: not open */
	char *path;	 /* owned */
	const char *
		damage; /* what to do about a damaged file: "move it away and …"; set by the owner */
};

/* `flags` are SQLite's own, SQLITE_OPEN_READWRITE and so on. A lock of another connection is waited for, at most two
 * seconds each time. Errors as of ap_sqlite_fail(). */
int ap_sqlite_open(struct ap_sqlite *db, const char *path, int flags, struct ap_error *err);
void ap_sqlite_close(struct ap_sqlite *db); /* one that is not open is fine */

/* The last error on `db`: -EEXIST for a constraint, -ENOSPC for a full disk, -EBADMSG for a damaged file, -ENOMEM,
 * else -EIO. */
int ap_sqlite_fail(const struct ap_sqlite *db, struct ap_error *err);

/* Runs statements without arguments, whose rows nobody needs. */
int ap_sqlite_exec(const struct ap_sqlite *db, const char *sql, struct ap_error *err);

/* Gives the version that the schema is of (PRAGMA user_version), 0 for a file without any tables. -EEXIST: later than
 * `known`; -EBADMSG: it has tables and no version, so that another program made it. */
int ap_sqlite_version(const struct ap_sqlite *db, int known, int *ret, struct ap_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/guard/db.h"

#include <fcntl.h>

#include "aggregator/state/sqlite.h"
#include "base/vec.h"

#define VERSION 1
#define SCHEMA                                                                                  \
	"CREATE TABLE tokens(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"  \
	" role INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE, created_ms INTEGER NOT NULL,"       \
	" expires_ms INTEGER NOT NULL);"                                                        \
	"CREATE TABLE audit(id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL,"      \
	" who TEXT NOT NULL, origin TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL," \
	" status INTEGER NOT NULL);"

const char *const ap_role_names[] = {"none", "push", "read", "admin", NULL};

struct ap_guard_db {
	struct ap_sqlite file;
	sqlite3_stmt *version; /* kept, since each request asks; NULL: not asked yet */
};

static sqlite3_stmt *prepare(struct ap_guard_db *db, const char *sql)
{
	sqlite3_stmt *st = NULL;

	sqlite3_prepare_v2(db->file.handle, sql, -1, &st, NULL);
	return st;
}

/* Runs a statement to its end and frees it; NULL is one that could not be prepared. */
static int finish(struct ap_guard_db *db, sqlite3_stmt *st, struct ap_error *err)
{
	int r = st && sqlite3_step(st) == SQLITE_DONE ? 0 : ap_sqlite_fail(&db->file, err);

	sqlite3_finalize(st);
	return r;
}

static int set_up(struct ap_guard_db *db, struct ap_error *err)
{
	int version = 0, r = ap_sqlite_exec(&db->file, "BEGIN IMMEDIATE", err);

	if (r == 0)
		r = ap_sqlite_version(&db->file, VERSION, &version, err);
	if (r == 0 && version == 0)
		r = ap_sqlite_exec(&db->file, SCHEMA "PRAGMA user_version=1;", err);
	if (r < 0) {
		ap_sqlite_exec(&db->file, "ROLLBACK", NULL);
		return r;
	}
	return ap_sqlite_exec(&db->file,
			      "COMMIT; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;", err);
}

int ap_guard_db_open(const char *path, struct ap_guard_db **ret, struct ap_error *err)
{
	_cleanup_(ap_cleanup_guard_db) struct ap_guard_db *db = calloc(1, sizeof(*db));
	int fd, r;

	if (!db)
		return ap_error_set(err, -ENOMEM, "out of memory");
	db->file.damage = "move it away and create tokens anew";
	/* Before SQLite does, whose files everybody may read. One that is there is left alone: closing any descriptor of it
	 * would drop the locks of this process's other connections. */
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		return ap_error_set(err, -errno, "cannot open %s: %s", path, ap_strerror(errno));
	if (fd >= 0)
		close(fd);
	r = ap_sqlite_open(&db->file, path, SQLITE_OPEN_READWRITE, err);
	if (r == 0)
		r = set_up(db, err);
	if (r < 0)
		return r;
	*ret = AP_TAKE_PTR(db);
	return 0;
}

void ap_guard_db_close(struct ap_guard_db *db)
{
	if (!db)
		return;
	sqlite3_finalize(db->version);
	ap_sqlite_close(&db->file);
	free(db);
}

/* What is said of a token must hold after the power has failed; the last entries of the audit log need not, which are
 * written where a request waits for it. */
static int finish_durably(struct ap_guard_db *db, sqlite3_stmt *st, struct ap_error *err)
{
	int r = ap_sqlite_exec(&db->file, "PRAGMA synchronous=FULL", err);

	if (r < 0)
		sqlite3_finalize(st);
	else
		r = finish(db, st, err);
	ap_sqlite_exec(&db->file, "PRAGMA synchronous=NORMAL", NULL);
	return r;
}

int ap_guard_db_version(struct ap_guard_db *db, int64_t *ret)
{
	int r = -EIO;

	if (!db->version)
		db->version = prepare(db, "PRAGMA data_version");
	if (db->version && sqlite3_step(db->version) == SQLITE_ROW) {
		*ret = sqlite3_column_int64(db->version, 0);
		r = 0;
	}
	sqlite3_reset(db->version);
	return r;
}

/* ---- Tokens. ---- */

/* False: the row is none that this program wrote. */
static bool read_token(sqlite3_stmt *st, struct ap_token *t)
{
	const char *name = (const char *)sqlite3_column_text(st, 1);
	int role = sqlite3_column_int(st, 2);
	const void *hash = sqlite3_column_blob(st, 3);

	*t = (struct ap_token){.id = (uint64_t)sqlite3_column_int64(st, 0),
			       .role = (enum ap_role)role,
			       .created_ms = sqlite3_column_int64(st, 4),
			       .expires_ms = sqlite3_column_int64(st, 5)};
	if (!name || strlen(name) > AP_TOKEN_NAME_MAX || role <= AP_ROLE_NONE ||
	    role >= AP_ROLE_MAX || !hash || sqlite3_column_bytes(st, 3) != AP_SHA256_BYTES)
		return false;
	strcpy(t->name, name);
	memcpy(t->hash, hash, AP_SHA256_BYTES);
	return true;
}

int ap_guard_db_tokens(struct ap_guard_db *db, struct ap_token **ret, size_t *ret_n,
		       struct ap_error *err)
{
	AP_VEC(struct ap_token) list = {0};
	sqlite3_stmt *st = prepare(
		db,
		"SELECT id, name, role, hash, created_ms, expires_ms FROM tokens ORDER BY name");
	int r = 0, code = SQLITE_ERROR;

	while (st && r == 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		struct ap_token t;

		if (read_token(st, &t) && ap_vec_push(&list, t) < 0)
			r = ap_error_set(err, -ENOMEM, "out of memory");
	}
	if (r == 0 && code != SQLITE_DONE)
		r = ap_sqlite_fail(&db->file, err);
	sqlite3_finalize(st);
	if (r < 0) {
		ap_vec_free(&list);
		return r;
	}
	*ret = list.p;
	*ret_n = list.n;
	return 0;
}

int ap_guard_db_add(struct ap_guard_db *db, const struct ap_token *token, struct ap_error *err)
{
	sqlite3_stmt *st =
		prepare(db, "INSERT INTO tokens(name, role, hash, created_ms, expires_ms)"
			    " VALUES(?, ?, ?, ?, ?)");
	int r;

	if (st) {
		sqlite3_bind_text(st, 1, token->name, -1, SQLITE_STATIC);
		sqlite3_bind_int(st, 2, (int)token->role);
		sqlite3_bind_blob(st, 3, token->hash, AP_SHA256_BYTES, SQLITE_STATIC);
		sqlite3_bind_int64(st, 4, token->created_ms);
		sqlite3_bind_int64(st, 5, token->expires_ms);
	}
	r = finish_durably(db, st, err);
	if (r == -EEXIST)
		return ap_error_set(
			err, r,
			"there is a token named '%s' already: revoke it first, or choose "
			"another name",
			token->name);
	return r;
}

int ap_guard_db_revoke(struct ap_guard_db *db, const char *name, struct ap_error *err)
{
	sqlite3_stmt *st = prepare(db, "DELETE FROM tokens WHERE name = ?");
	int r;

	if (st)
		sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	r = finish_durably(db, st, err);
	if (r == 0 && sqlite3_changes(db->file.handle) == 0)
		return ap_error_set(err, -ENOENT, "there is no token named '%.64s'", name);
	return r;
}

/* ---- The audit log. ---- */

int ap_guard_db_audit(struct ap_guard_db *db, const struct ap_audit_entry *e, uint64_t keep,
		      struct ap_error *err)
{
	sqlite3_stmt *st =
		prepare(db, "INSERT INTO audit(at_ms, who, origin, action, target, status)"
			    " VALUES(?, ?, ?, ?, ?, ?)");
	int64_t oldest;
	int r;

	if (st) {
		sqlite3_bind_int64(st, 1, e->at_ms);
		sqlite3_bind_text(st, 2, e->who, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 3, e->from, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 4, e->action, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 5, e->target, -1, SQLITE_STATIC);
		sqlite3_bind_int64(st, 6, e->status);
	}
	r = finish(db, st, err);
	oldest = sqlite3_last_insert_rowid(db->file.handle) - (int64_t)keep;
	if (r < 0 || oldest <= 0)
		return r;
	st = prepare(db, "DELETE FROM audit WHERE id <= ?");
	if (st)
		sqlite3_bind_int64(st, 1, oldest);
	return finish(db, st, err);
}

static const char *text(sqlite3_stmt *st, int column)
{
	return (const char *)sqlite3_column_text(st, column) ?: "";
}

int ap_guard_db_audit_list(struct ap_guard_db *db, uint64_t before, uint32_t limit,
			   int (*each)(void *ctx, const struct ap_audit_entry *e), void *ctx,
			   struct ap_error *err)
{
	sqlite3_stmt *st =
		prepare(db, "SELECT id, at_ms, who, origin, action, target, status FROM audit"
			    " WHERE ?1 = 0 OR id < ?1 ORDER BY id DESC LIMIT ?2");
	int r = 0, code = SQLITE_ERROR;

	if (st) {
		sqlite3_bind_int64(st, 1, (int64_t)AP_MIN(before, (uint64_t)INT64_MAX));
		sqlite3_bind_int64(st, 2, limit);
	}
	while (st && r >= 0 && (code = sqlite3_step(st)) == SQLITE_ROW) {
		const struct ap_audit_entry e = {
			.id = (uint64_t)sqlite3_column_int64(st, 0),
			.at_ms = sqlite3_column_int64(st, 1),
			.who = text(st, 2),
			.from = text(st, 3),
			.action = text(st, 4),
			.target = text(st, 5),
			.status = (uint32_t)sqlite3_column_int64(st, 6),
		};

		r = each(ctx, &e);
	}
	if (r >= 0 && code != SQLITE_DONE)
		r = ap_sqlite_fail(&db->file, err);
	sqlite3_finalize(st);
	return r < 0 ? r : 0;
}

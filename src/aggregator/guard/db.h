/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens and the audit log, in SQLite (guard.db in the data folder), readable by its owner alone. The aggregator and
 * the command `aperture-aggregator token` use it at the same time. Of a token its hash is kept, never the
 * token. One connection is one thread's at a time.
 *
 * The schema has a version (PRAGMA user_version); a file of a later version is refused. */
#ifndef AP_AGGREGATOR_GUARD_DB_H
#define AP_AGGREGATOR_GUARD_DB_H

#include "aggregator/guard/role.h"
#include "base/error.h"
#include "base/str.h"
#include "tls/secret.h"

#define AP_TOKEN_NAME_MAX 64

struct ap_token {
	uint64_t id; /* never used again */
	char name[AP_TOKEN_NAME_MAX + 1];
	enum ap_role role;
	uint8_t hash[AP_SHA256_BYTES];
	int64_t created_ms, expires_ms; /* Unix; expires 0: never */
};

/* What somebody did, or tried to. */
struct ap_audit_entry {
	uint64_t id;	    /* ascending */
	int64_t at_ms;	    /* Unix */
	const char *who;    /* the token's name; "anonymous", "local" (the command line) */
	const char *from;   /* "10.0.0.7"; "" for the command line */
	const char *action; /* "POST /api/alerts", "login", "token create" */
	const char *target; /* what it was done to where the action does not say; "" */
	uint32_t status;    /* as HTTP has them: 200 done, 403 refused, … */
};

struct ap_guard_db;

/* Makes the file where there is none. -EEXIST: of a later version; -EBADMSG: damaged, or another program's;
 * -EIO and others; `err` says what to do. */
int ap_guard_db_open(const char *path, struct ap_guard_db **ret, struct ap_error *err);
void ap_guard_db_close(struct ap_guard_db *db); /* NULL is fine */
AP_DEFINE_CLEANUP(guard_db, struct ap_guard_db, ap_guard_db_close)

/* Changes whenever another connection has changed the file. */
int ap_guard_db_version(struct ap_guard_db *db, int64_t *ret);
/* All tokens, by name, those that have expired too; free() the array. */
int ap_guard_db_tokens(struct ap_guard_db *db, struct ap_token **ret, size_t *ret_n,
		       struct ap_error *err);
/* Its `id` is not looked at. -EEXIST: there is one of that name. */
int ap_guard_db_add(struct ap_guard_db *db, const struct ap_token *token, struct ap_error *err);
/* -ENOENT: there is none of that name. */
int ap_guard_db_revoke(struct ap_guard_db *db, const char *name, struct ap_error *err);

/* Adds an entry, whose `id` is not looked at; the oldest beyond `keep` go. */
int ap_guard_db_audit(struct ap_guard_db *db, const struct ap_audit_entry *e, uint64_t keep,
		      struct ap_error *err);
/* The entries before id `before` (0: all), newest first, at most `limit`. A negative result of `each` ends it. */
int ap_guard_db_audit_list(struct ap_guard_db *db, uint64_t before, uint32_t limit,
			   int (*each)(void *ctx, const struct ap_audit_entry *e), void *ctx,
			   struct ap_error *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The guard: who asks, by a token or by a session that a token began; and the log of what was changed by whom.
 *
 *	token ──┐                         ┌─▶ role of the caller ─▶ the route's rule (api/access.h)
 *	cookie ─┴─▶ guard (tokens' hashes ┤
 *	            and sessions)         └─▶ audit log
 *
 * Tokens are in guard.db (guard/db.h), which the command line changes as well: each look at a token notices.
 * Where no tokens are asked for, every caller is "anonymous" and may do everything: the addresses that are listened
 * on, or client certificates, decide then who calls. Thread-safe; nothing but audit entries and changes of tokens waits
 * for the disk. */
#ifndef AP_AGGREGATOR_GUARD_GUARD_H
#define AP_AGGREGATOR_GUARD_GUARD_H

#include "aggregator/guard/db.h"

struct ap_guard;

struct ap_guard_options {
	const char *path;	/* of guard.db */
	bool required;		/* tokens are asked for */
	uint32_t max_sessions;	/* 0 = 256 */
	uint64_t session_ns;	/* without use, a session ends; 0 = 12 h */
	uint64_t audit_entries; /* kept; 0 = 100,000 */
	/* Told of each entry of the audit log, of any thread; NULL: nobody. */
	void (*on_audit)(const struct ap_audit_entry *e);
};

int ap_guard_open(const struct ap_guard_options *o, struct ap_guard **ret, struct ap_error *err);
void ap_guard_close(struct ap_guard *g); /* NULL is fine */
bool ap_guard_required(const struct ap_guard *g);

/* Who asks. */
struct ap_caller {
	char name[AP_TOKEN_NAME_MAX + 1];
	enum ap_role role;
	char csrf[AP_SECRET_TEXT]; /* of a session; "": it came with a token */
};

/* 0; -EACCES: the token is unknown, was revoked or has expired, which is counted. */
int ap_guard_check_token(struct ap_guard *g, struct ap_str token, struct ap_caller *ret);
/* 0; -EACCES: there is no such session, or no longer. */
int ap_guard_check_session(struct ap_guard *g, struct ap_str id, struct ap_caller *ret);
/* Whether a request of that session proves that a page of ours sent it. */
bool ap_guard_check_csrf(const struct ap_caller *c, struct ap_str given);

/* Begins a session: its id in `ret_id`. -EACCES: as for a token; -EAGAIN: this address has failed too often, and has to
 * wait `*ret_wait_s` seconds; -EBUSY: there are as many sessions as there may be. */
int ap_guard_login(struct ap_guard *g, struct ap_str token, const char *from,
		   char ret_id[static AP_SECRET_TEXT], struct ap_caller *ret, uint32_t *ret_wait_s);
void ap_guard_logout(struct ap_guard *g, struct ap_str id);

/* Makes a token, which is nowhere else but in `ret`. `expires_ms` 0: never. -EINVAL: the name is not 1 to
 * AP_TOKEN_NAME_MAX letters, digits, '.', '_', '-' and '@'; -EEXIST; others as ap_guard_db_add(). */
int ap_guard_create(struct ap_guard_db *db, const char *name, enum ap_role role, int64_t expires_ms,
		    char ret[static AP_SECRET_TEXT], struct ap_error *err);

/* The same over the guard's own connection, and what ap_guard_db_*() of the name does. */
int ap_guard_create_token(struct ap_guard *g, const char *name, enum ap_role role,
			  int64_t expires_ms, char ret[static AP_SECRET_TEXT],
			  struct ap_error *err);
int ap_guard_revoke_token(struct ap_guard *g, const char *name, struct ap_error *err);
int ap_guard_list_tokens(struct ap_guard *g, struct ap_token **ret, size_t *ret_n,
			 struct ap_error *err);
int ap_guard_list_audit(struct ap_guard *g, uint64_t before, uint32_t limit,
			int (*each)(void *ctx, const struct ap_audit_entry *e), void *ctx,
			struct ap_error *err);
/* Logs; the entry's time is now. An entry that cannot be written is counted. */
void ap_guard_audit(struct ap_guard *g, const struct ap_audit_entry *e);

struct ap_guard_stats {
	uint64_t logins, logins_failed, logins_limited, sessions_refused;
	uint64_t tokens_unknown; /* requests with a token or a cookie that is none */
	uint64_t missing;	 /* requests with neither */
	uint64_t forbidden;	 /* requests of callers whose role did not suffice */
	uint64_t audit_written, audit_failed;
	uint32_t sessions, max_sessions;
};
void ap_guard_get_stats(struct ap_guard *g, struct ap_guard_stats *ret);
/* Counts a request that showed nothing, or whose role did not suffice. */
void ap_guard_count_missing(struct ap_guard *g);
void ap_guard_count_forbidden(struct ap_guard *g);

#endif

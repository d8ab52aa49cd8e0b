/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/guard/guard.h"

#include <pthread.h>
#include <stdio.h>

#include "aggregator/guard/logins.h"
#include "aggregator/guard/sessions.h"
#include "base/clock.h"

enum { DEFAULT_SESSIONS = 256, DEFAULT_AUDIT = 100000 };
#define DEFAULT_SESSION_NS (12 * 3600 * AP_NSEC_PER_SEC)

struct ap_guard {
	struct ap_guard_options opt;
	pthread_mutex_t write_lock; /* guards `writer`; never taken with `lock` held */
	struct ap_guard_db *writer;
	pthread_mutex_t lock; /* guards all below */
	struct ap_guard_db *reader;
	int64_t version; /* of the file when `tokens` was read */
	struct ap_token *tokens;
	size_t n_tokens;
	struct ap_sessions sessions;
	struct ap_logins logins;
	struct ap_guard_stats stats;
};

static int64_t now_ms(void)
{
	return ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_MSEC;
}

/* Reads the tokens again if somebody has changed the file. Where that fails, what was read last holds. With the
 * lock held. */
static void refresh(struct ap_guard *g)
{
	struct ap_token *tokens;
	int64_t version;
	size_t n;

	if (ap_guard_db_version(g->reader, &version) < 0 || version == g->version ||
	    ap_guard_db_tokens(g->reader, &tokens, &n, NULL) < 0)
		return;
	free(g->tokens);
	g->tokens = tokens;
	g->n_tokens = n;
	g->version = version;
	ap_sessions_keep(&g->sessions, tokens, n);
}

int ap_guard_open(const struct ap_guard_options *o, struct ap_guard **ret, struct ap_error *err)
{
	struct ap_guard *g = calloc(1, sizeof(*g));
	int r;

	if (!g)
		return ap_error_set(err, -ENOMEM, "out of memory");
	g->opt = *o;
	g->opt.max_sessions = o->max_sessions ? o->max_sessions : DEFAULT_SESSIONS;
	g->opt.session_ns = o->session_ns ? o->session_ns : DEFAULT_SESSION_NS;
	g->opt.audit_entries = o->audit_entries ? o->audit_entries : DEFAULT_AUDIT;
	pthread_mutex_init(&g->lock, NULL);
	pthread_mutex_init(&g->write_lock, NULL);
	r = ap_guard_db_open(o->path, &g->writer, err);
	if (r == 0)
		r = ap_guard_db_open(o->path, &g->reader, err);
	if (r == 0 && ap_sessions_init(&g->sessions, g->opt.max_sessions, g->opt.session_ns) < 0)
		r = ap_error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = ap_guard_db_version(g->reader, &g->version);
	if (r == 0)
		r = ap_guard_db_tokens(g->reader, &g->tokens, &g->n_tokens, err);
	if (r < 0) {
		ap_guard_close(g);
		return r;
	}
	*ret = g;
	return 0;
}

void ap_guard_close(struct ap_guard *g)
{
	if (!g)
		return;
	ap_guard_db_close(g->writer);
	ap_guard_db_close(g->reader);
	ap_sessions_free(&g->sessions);
	free(g->tokens);
	pthread_mutex_destroy(&g->lock);
	pthread_mutex_destroy(&g->write_lock);
	free(g);
}

bool ap_guard_required(const struct ap_guard *g)
{
	return g->opt.required;
}

static bool has_expired(const struct ap_token *t)
{
	return t->expires_ms && t->expires_ms <= now_ms();
}

/* All of them are compared, whichever it is. With the lock held. */
static const struct ap_token *find_token(struct ap_guard *g, struct ap_str token)
{
	const struct ap_token *found = NULL;
	uint8_t hash[AP_SHA256_BYTES];

	refresh(g);
	ap_secret_hash(token, hash);
	for (size_t i = 0; i < g->n_tokens; i++)
		if (ap_secret_equal(g->tokens[i].hash, hash))
			found = &g->tokens[i];
	if (found && !has_expired(found))
		return found;
	g->stats.tokens_unknown++;
	return NULL;
}

static void set_caller(struct ap_caller *c, const struct ap_token *t,
		       const struct ap_session *session)
{
	*c = (struct ap_caller){.role = t->role};
	strcpy(c->name, t->name);
	if (session)
		strcpy(c->csrf, session->csrf);
}

int ap_guard_check_token(struct ap_guard *g, struct ap_str token, struct ap_caller *ret)
{
	const struct ap_token *t;

	pthread_mutex_lock(&g->lock);
	t = find_token(g, token);
	if (t)
		set_caller(ret, t, NULL);
	pthread_mutex_unlock(&g->lock);
	return t ? 0 : -EACCES;
}

int ap_guard_check_session(struct ap_guard *g, struct ap_str id, struct ap_caller *ret)
{
	const struct ap_session *s;
	int r = -EACCES;

	pthread_mutex_lock(&g->lock);
	refresh(g);
	s = ap_sessions_find(&g->sessions, id, ap_clock_mono_ns());
	for (size_t i = 0; s && i < g->n_tokens; i++) {
		if (g->tokens[i].id != s->token || has_expired(&g->tokens[i]))
			continue;
		set_caller(ret, &g->tokens[i], s);
		r = 0;
	}
	if (r < 0)
		g->stats.tokens_unknown++;
	pthread_mutex_unlock(&g->lock);
	return r;
}

bool ap_guard_check_csrf(const struct ap_caller *c, struct ap_str given)
{
	uint8_t a[AP_SHA256_BYTES], b[AP_SHA256_BYTES];

	ap_secret_hash(ap_str_of(c->csrf), a);
	ap_secret_hash(given, b);
	return !c->csrf[0] || ap_secret_equal(a, b);
}

int ap_guard_login(struct ap_guard *g, struct ap_str token, const char *from,
		   char ret_id[static AP_SECRET_TEXT], struct ap_caller *ret, uint32_t *ret_wait_s)
{
	uint64_t now = ap_clock_mono_ns(), wait;
	const struct ap_session *session;
	const struct ap_token *t = NULL;
	int r = -EACCES;

	pthread_mutex_lock(&g->lock);
	wait = ap_logins_wait_ns(&g->logins, from, now);
	if (wait) {
		*ret_wait_s = (uint32_t)((wait + AP_NSEC_PER_SEC - 1) / AP_NSEC_PER_SEC);
		g->stats.logins_limited++;
		r = -EAGAIN;
	} else {
		t = find_token(g, token);
	}
	if (t)
		r = ap_sessions_add(&g->sessions, t->id, now, ret_id, &session);
	if (r == 0) {
		set_caller(ret, t, session);
		g->stats.logins++;
	} else if (r == -EACCES) {
		ap_logins_failed(&g->logins, from, now);
		g->stats.logins_failed++;
	} else if (r == -EBUSY) {
		g->stats.sessions_refused++;
	}
	pthread_mutex_unlock(&g->lock);
	return r;
}

void ap_guard_logout(struct ap_guard *g, struct ap_str id)
{
	pthread_mutex_lock(&g->lock);
	ap_sessions_end(&g->sessions, id);
	pthread_mutex_unlock(&g->lock);
}

/* ---- Tokens. ---- */

static bool name_is_good(const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < n; i++)
		if (!(name[i] >= 'a' && name[i] <= 'z') && !(name[i] >= 'A' && name[i] <= 'Z') &&
		    !(name[i] >= '0' && name[i] <= '9') && !strchr("._-@", name[i]))
			return false;
	return n > 0 && n <= AP_TOKEN_NAME_MAX;
}

int ap_guard_create(struct ap_guard_db *db, const char *name, enum ap_role role, int64_t expires_ms,
		    char ret[static AP_SECRET_TEXT], struct ap_error *err)
{
	struct ap_token t = {.role = role, .created_ms = now_ms(), .expires_ms = expires_ms};
	char secret[AP_SECRET_TEXT];
	int r;

	if (!name_is_good(name))
		return ap_error_set(
			err, -EINVAL,
			"a token's name is 1 to %d letters, digits, '.', '_', '-' and '@'",
			AP_TOKEN_NAME_MAX);
	strcpy(t.name, name);
	r = ap_secret_make(AP_TOKEN_PREFIX, secret);
	if (r < 0)
		return ap_error_set(err, r, "no random bytes: %s", ap_strerror(r));
	ap_secret_hash(ap_str_of(secret), t.hash);
	r = ap_guard_db_add(db, &t, err);
	if (r == 0)
		memcpy(ret, secret, sizeof(secret));
	explicit_bzero(secret, sizeof(secret));
	return r;
}

int ap_guard_create_token(struct ap_guard *g, const char *name, enum ap_role role,
			  int64_t expires_ms, char ret[static AP_SECRET_TEXT], struct ap_error *err)
{
	int r;

	pthread_mutex_lock(&g->write_lock);
	r = ap_guard_create(g->writer, name, role, expires_ms, ret, err);
	pthread_mutex_unlock(&g->write_lock);
	return r;
}

int ap_guard_revoke_token(struct ap_guard *g, const char *name, struct ap_error *err)
{
	int r;

	pthread_mutex_lock(&g->write_lock);
	r = ap_guard_db_revoke(g->writer, name, err);
	pthread_mutex_unlock(&g->write_lock);
	return r;
}

int ap_guard_list_tokens(struct ap_guard *g, struct ap_token **ret, size_t *ret_n,
			 struct ap_error *err)
{
	int r;

	pthread_mutex_lock(&g->write_lock);
	r = ap_guard_db_tokens(g->writer, ret, ret_n, err);
	pthread_mutex_unlock(&g->write_lock);
	return r;
}

/* ---- The audit log. ---- */

int ap_guard_list_audit(struct ap_guard *g, uint64_t before, uint32_t limit,
			int (*each)(void *ctx, const struct ap_audit_entry *e), void *ctx,
			struct ap_error *err)
{
	int r;

	pthread_mutex_lock(&g->write_lock);
	r = ap_guard_db_audit_list(g->writer, before, limit, each, ctx, err);
	pthread_mutex_unlock(&g->write_lock);
	return r;
}

void ap_guard_audit(struct ap_guard *g, const struct ap_audit_entry *entry)
{
	struct ap_audit_entry e = *entry;
	int r;

	e.at_ms = now_ms();
	pthread_mutex_lock(&g->write_lock);
	r = ap_guard_db_audit(g->writer, &e, g->opt.audit_entries, NULL);
	pthread_mutex_unlock(&g->write_lock);
	pthread_mutex_lock(&g->lock);
	g->stats.audit_written += r == 0;
	g->stats.audit_failed += r < 0;
	pthread_mutex_unlock(&g->lock);
	if (g->opt.on_audit)
		g->opt.on_audit(&e);
}

void ap_guard_get_stats(struct ap_guard *g, struct ap_guard_stats *ret)
{
	pthread_mutex_lock(&g->lock);
	*ret = g->stats;
	ret->sessions = ap_sessions_count(&g->sessions, ap_clock_mono_ns());
	ret->max_sessions = g->opt.max_sessions;
	pthread_mutex_unlock(&g->lock);
}

void ap_guard_count_missing(struct ap_guard *g)
{
	pthread_mutex_lock(&g->lock);
	g->stats.missing++;
	pthread_mutex_unlock(&g->lock);
}

void ap_guard_count_forbidden(struct ap_guard *g)
{
	pthread_mutex_lock(&g->lock);
	g->stats.forbidden++;
	pthread_mutex_unlock(&g->lock);
}

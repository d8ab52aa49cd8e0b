/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of the dashboard, tokens, what another host needs to join, and the audit log. */
#include <jansson.h>
#include <stdio.h>

#include "aggregator/api/access.h"
#include "aggregator/api/answer.h"
#include "base/clock.h"
#include "tls/join.h"

#define INVALID "invalid_argument"

enum { AUDIT_LIMIT = 1000, AUDIT_DEFAULT = 100 };

static void fail(struct ap_http_request *req, int code, const struct ap_error *err)
{
	if (code == -EEXIST)
		ap_http_reply_error(req, 409, "exists", "name", "%s", err->msg);
	else if (code == -ENOENT)
		ap_http_reply_error(req, 404, "not_found", "name", "%s", err->msg);
	else if (code == -EINVAL)
		ap_http_reply_error(req, 400, INVALID, "name", "%s", err->msg);
	else
		ap_http_reply_error(req, 500, "internal", NULL, "%s", err->msg);
}

static bool no_parameters(struct ap_http_request *req)
{
	static const char *const names[] = {NULL};
	struct ap_params p;

	return ap_params_query(req, names, &p);
}

/* ---- Sessions. ---- */

/* `caller` NULL: nobody. */
static void answer_session(struct ap_http_request *req, const struct ap_api *api,
			   const struct ap_caller *caller)
{
	_cleanup_buf_ struct ap_buf b = {0};

	ap_buf_byte(&b, '{');
	ap_answer_bool(&b, "required", ap_guard_required(api->guard));
	ap_answer_bool(&b, "authenticated", caller != NULL);
	if (caller) {
		ap_answer_str(&b, "name", ap_str_of(caller->name));
		ap_answer_str(&b, "role", ap_str_of(ap_role_names[caller->role]));
	} else {
		ap_answer_null(&b, "name");
		ap_answer_null(&b, "role");
	}
	if (caller && caller->csrf[0])
		ap_answer_str(&b, "csrf", ap_str_of(caller->csrf));
	else
		ap_answer_null(&b, "csrf");
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

/* Lives as long as the browser; "": ends it. */
static void set_cookie(struct ap_http_request *req, const char *id)
{
	char cookie[256];

	snprintf(cookie, sizeof(cookie),
		 AP_SESSION_COOKIE "=%s; Path=/; HttpOnly; SameSite=Strict%s%s", id,
		 ap_http_is_tls(req) ? "; Secure" : "", id[0] ? "" : "; Max-Age=0");
	ap_http_header_set(req, "Set-Cookie", cookie);
}

void ap_api_session(struct ap_http_request *req, void *ctx)
{
	const struct ap_api *api = ctx;
	struct ap_caller caller = {.name = "anonymous", .role = AP_ROLE_ADMIN};

	if (!no_parameters(req))
		return;
	if (ap_guard_required(api->guard) && ap_api_identify(req, api, &caller) < 0)
		answer_session(req, api, NULL);
	else
		answer_session(req, api, &caller);
}

static void refuse_login(struct ap_http_request *req, const struct ap_api *api, int why,
			 uint32_t wait_s)
{
	char after[16];

	if (why == -EACCES) {
		ap_api_audit(req, api, "anonymous", "login", "", 401);
		ap_http_reply_error(req, 401, "unauthenticated", "token",
				    "the token is not known here, was revoked or has expired");
	} else if (why == -EAGAIN) {
		snprintf(after, sizeof(after), "%u", wait_s);
		ap_http_header_set(req, "Retry-After", after);
		ap_http_reply_error(req, 429, "too_many_attempts", NULL,
				    "too many failed attempts from this address: try again in %u s",
				    wait_s);
	} else if (why == -EBUSY) {
		ap_http_header_set(req, "Retry-After", "60");
		ap_http_reply_error(req, 503, "too_many_sessions", NULL,
				    "there are as many sessions as --max-sessions permits: log out "
				    "elsewhere");
	} else {
		ap_http_reply_error(req, 500, "internal", NULL, "%s", ap_strerror(why));
	}
}

void ap_api_session_begin(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"token", NULL};
	const struct ap_api *api = ctx;
	char id[AP_SECRET_TEXT];
	struct ap_caller caller;
	struct ap_params p;
	struct ap_str token;
	uint32_t wait_s = 0;
	int r;

	if (!ap_params_body(req, names, &p))
		return;
	if (!ap_params_get(&p, "token", &token)) {
		ap_http_reply_error(req, 400, INVALID, "token", "give the token");
		return;
	}
	r = ap_guard_login(api->guard, ap_str_trim(token), ap_http_peer(req), id, &caller, &wait_s);
	if (r < 0) {
		refuse_login(req, api, r, wait_s);
		return;
	}
	ap_api_audit(req, api, caller.name, "login", "", 200);
	set_cookie(req, id);
	explicit_bzero(id, sizeof(id));
	answer_session(req, api, &caller);
}

void ap_api_session_end(struct ap_http_request *req, void *ctx)
{
	struct ap_str cookie = ap_http_cookie(req, AP_SESSION_COOKIE);
	const struct ap_api *api = ctx;
	struct ap_caller caller;

	if (!no_parameters(req))
		return;
	if (cookie.n && ap_guard_check_session(api->guard, cookie, &caller) == 0) {
		if (!ap_guard_check_csrf(&caller, ap_http_header(req, AP_CSRF_HEADER))) {
			ap_http_reply_error(req, 403, "csrf", NULL,
					    "a log-out has to carry the session's " AP_CSRF_HEADER);
			return;
		}
		ap_guard_logout(api->guard, cookie);
		ap_api_audit(req, api, caller.name, "logout", "", 200);
	}
	set_cookie(req, "");
	answer_session(req, api, NULL);
}

/* ---- Tokens. ---- */

static void answer_expiry(struct ap_buf *b, int64_t expires_ms)
{
	if (expires_ms)
		ap_answer_i64(b, "expires", expires_ms);
	else
		ap_answer_null(b, "expires");
}

void ap_api_tokens(struct ap_http_request *req, void *ctx)
{
	_cleanup_buf_ struct ap_buf b = {0};
	_cleanup_free_ struct ap_token *tokens = NULL;
	const struct ap_api *api = ctx;
	struct ap_error err = {0};
	size_t n;
	int r;

	if (!no_parameters(req))
		return;
	r = ap_guard_list_tokens(api->guard, &tokens, &n, &err);
	if (r < 0) {
		fail(req, r, &err);
		return;
	}
	ap_buf_puts(&b, "{\"tokens\":[");
	for (size_t i = 0; i < n; i++) {
		ap_answer_element(&b);
		ap_answer_str(&b, "name", ap_str_of(tokens[i].name));
		ap_answer_str(&b, "role", ap_str_of(ap_role_names[tokens[i].role]));
		ap_answer_i64(&b, "created", tokens[i].created_ms);
		answer_expiry(&b, tokens[i].expires_ms);
		ap_buf_byte(&b, '}');
	}
	ap_buf_puts(&b, "]}");
	ap_http_reply_json(req, 200, &b);
}

/* The parameter "name" as a string of its own; NULL: answered. */
static const char *name_param(struct ap_http_request *req, const struct ap_params *p)
{
	struct ap_str name;
	const char *copy;

	if (!ap_params_get(p, "name", &name)) {
		ap_http_reply_error(req, 400, INVALID, "name", "give the token a name");
		return NULL;
	}
	copy = ap_arena_strdup(ap_http_arena(req), name);
	if (!copy)
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
	return copy;
}

static int64_t expiry_of(uint64_t seconds)
{
	return seconds ? ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_MSEC + (int64_t)seconds * 1000
		       : 0;
}

void ap_api_tokens_add(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"name", "role", "expires_in_s", NULL};
	static const char *const roles[] = {"read", "push", "admin", NULL};
	static const enum ap_role values[] = {AP_ROLE_READ, AP_ROLE_PUSH, AP_ROLE_ADMIN};
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	char token[AP_SECRET_TEXT];
	struct ap_error err = {0};
	struct ap_params p;
	uint64_t seconds;
	unsigned int role;
	const char *name;
	int64_t expires;
	int r;

	if (!ap_params_body(req, names, &p) || !ap_params_choice(&p, "role", roles, &role) ||
	    !ap_params_uint(&p, "expires_in_s", 0, 10ull * 366 * 86400, 0, &seconds) ||
	    !(name = name_param(req, &p)))
		return;
	expires = expiry_of(seconds);
	r = ap_guard_create_token(api->guard, name, values[role], expires, token, &err);
	if (r < 0) {
		fail(req, r, &err);
		return;
	}
	ap_buf_byte(&b, '{');
	ap_answer_str(&b, "name", ap_str_of(name));
	ap_answer_str(&b, "role", ap_str_of(roles[role]));
	ap_answer_str(&b, "token", ap_str_of(token));
	answer_expiry(&b, expires);
	ap_buf_byte(&b, '}');
	explicit_bzero(token, sizeof(token));
	ap_http_reply_json(req, 200, &b);
}

void ap_api_tokens_revoke(struct ap_http_request *req, void *ctx)
{
	_cleanup_buf_ struct ap_buf b = {0};
	const char *name = ap_arena_strdup(ap_http_arena(req), ap_http_path_param(req, "name"));
	const struct ap_api *api = ctx;
	struct ap_error err = {0};
	int r;

	if (!no_parameters(req))
		return;
	r = name ? ap_guard_revoke_token(api->guard, name, &err)
		 : ap_error_set(&err, -ENOMEM, "out of memory");
	if (r < 0) {
		fail(req, r, &err);
		return;
	}
	ap_buf_byte(&b, '{');
	ap_answer_str(&b, "name", ap_str_of(name));
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

/* ---- Another host. ---- */

void ap_api_join(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"name", NULL};
	_cleanup_buf_ struct ap_buf b = {0}, text = {0}, command = {0};
	const struct ap_api *api = ctx;
	struct ap_join join = {0};
	struct ap_error err = {0};
	struct ap_params p;
	const char *name;
	int r;

	if (!ap_params_body(req, names, &p) || !(name = name_param(req, &p)))
		return;
	if (!api->tls || ap_tls_source_ca(api->tls, join.fingerprint) < 0) {
		ap_http_reply_error(
			req, 409, "no_ca", NULL,
			api->tls ? "the CA's certificate does not stand behind the server's "
				   "own in --tls-cert: append it there"
				 : "this aggregator speaks no TLS: `aperture-aggregator setup` "
				   "makes what it needs");
		return;
	}
	r = ap_guard_create_token(api->guard, name, AP_ROLE_PUSH, 0, join.token, &err);
	if (r < 0) {
		fail(req, r, &err);
		return;
	}
	snprintf(join.server, sizeof(join.server), "%s", api->agent_address);
	ap_join_format(&join, &text);
	ap_join_command(&join, &command);
	explicit_bzero(&join, sizeof(join));
	ap_buf_byte(&b, '{');
	ap_answer_str(&b, "name", ap_str_of(name));
	ap_answer_str(&b, "join", ap_buf_view(&text));
	ap_answer_str(&b, "command", ap_buf_view(&command));
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

/* ---- The audit log. ---- */

struct audit_answer {
	struct ap_buf *b;
	uint64_t next; /* the id of the last one shown */
};

static int answer_entry(void *ctx, const struct ap_audit_entry *e)
{
	struct audit_answer *a = ctx;

	ap_answer_element(a->b);
	ap_answer_u64(a->b, "id", e->id);
	ap_answer_i64(a->b, "at", e->at_ms);
	ap_answer_str(a->b, "who", ap_str_of(e->who));
	ap_answer_str(a->b, "from", ap_str_of(e->from));
	ap_answer_str(a->b, "action", ap_str_of(e->action));
	ap_answer_str(a->b, "target", ap_str_of(e->target));
	ap_answer_u64(a->b, "status", e->status);
	ap_buf_byte(a->b, '}');
	a->next = e->id;
	return ap_buf_error(a->b);
}

void ap_api_audit_list(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"limit", "before", NULL};
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct audit_answer a = {.b = &b};
	struct ap_error err = {0};
	struct ap_params p;
	uint64_t limit, before;
	int r;

	if (!ap_params_query(req, names, &p) ||
	    !ap_params_uint(&p, "limit", 1, AUDIT_LIMIT, AUDIT_DEFAULT, &limit) ||
	    !ap_params_uint(&p, "before", 0, INT64_MAX, 0, &before))
		return;
	ap_buf_puts(&b, "{\"entries\":[");
	r = ap_guard_list_audit(api->guard, before, (uint32_t)limit, answer_entry, &a, &err);
	if (r < 0) {
		fail(req, r, &err);
		return;
	}
	ap_buf_byte(&b, ']');
	ap_answer_u64(&b, "before", a.next);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

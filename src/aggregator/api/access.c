/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/access.h"

#include <stdio.h>
#include <strings.h>

#define SERVICE "/aperture.aggregator.v1.Aggregator/"

#define GET    AP_HTTP_GET
#define POST   AP_HTTP_POST
#define PUT    AP_HTTP_PUT
#define DELETE AP_HTTP_DELETE

static const struct rule {
	enum ap_http_method method;
	const char *path;
	enum ap_access access;
} rules[] = {
	/* Probes have no secrets, and say none. */
	{GET, "/healthz", AP_ACCESS_PUBLIC},
	{GET, "/readyz", AP_ACCESS_PUBLIC},
	{GET, "/api/openapi.json", AP_ACCESS_PUBLIC},
	/* Who logs in is nobody yet. */
	{GET, "/api/v1/session", AP_ACCESS_PUBLIC},
	{POST, "/api/v1/session", AP_ACCESS_PUBLIC},
	{DELETE, "/api/v1/session", AP_ACCESS_PUBLIC},

	{GET, "/metrics", AP_ACCESS_READ},
	{GET, "/api/health", AP_ACCESS_READ},
	{GET, "/api/batches", AP_ACCESS_READ},
	{GET, "/api/v1/profile-types", AP_ACCESS_READ},
	{GET, "/api/v1/labels", AP_ACCESS_READ},
	{GET, "/api/v1/label-values", AP_ACCESS_READ},
	{GET, "/api/v1/services", AP_ACCESS_READ},
	{GET, "/api/v1/agents", AP_ACCESS_READ},
	{GET, "/api/v1/ledger", AP_ACCESS_READ},
	{GET, "/api/v1/flamegraph", AP_ACCESS_READ},
	{GET, "/api/v1/top", AP_ACCESS_READ},
	{GET, "/api/v1/callers", AP_ACCESS_READ},
	{GET, "/api/v1/callees", AP_ACCESS_READ},
	{GET, "/api/v1/heatmap", AP_ACCESS_READ},
	{GET, "/api/v1/series", AP_ACCESS_READ},
	{GET, "/api/v1/syscalls", AP_ACCESS_READ},
	{GET, "/api/v1/diff", AP_ACCESS_READ},
	{GET, "/api/v1/locks", AP_ACCESS_READ},
	{GET, "/api/v1/modules", AP_ACCESS_READ},
	{GET, "/api/v1/symbols/missing", AP_ACCESS_READ},
	{GET, "/api/v1/store", AP_ACCESS_READ},
	{GET, "/api/v1/aggregator", AP_ACCESS_READ},
	{GET, "/api/v1/annotations", AP_ACCESS_READ},
	{GET, "/api/export/:format", AP_ACCESS_READ},
	{GET, "/api/alerts", AP_ACCESS_READ},
	{GET, "/api/alerts/history", AP_ACCESS_READ},
	/* Questions whose parameters are a body. */
	{POST, "/api/aggregate", AP_ACCESS_READ},
	{POST, "/api/diff", AP_ACCESS_READ},
	{POST, "/api/alerts/dry-run", AP_ACCESS_READ},

	/* What pipelines add is data, as what agents push. */
	{POST, "/api/v1/annotations", AP_ACCESS_PUSH},
	{DELETE, "/api/v1/annotations/:id", AP_ACCESS_ADMIN},
	{POST, "/api/v1/agents/:agent/settings", AP_ACCESS_ADMIN},
	{DELETE, "/api/v1/agents/:agent/settings", AP_ACCESS_ADMIN},
	{POST, "/api/v1/symbols", AP_ACCESS_ADMIN},
	{POST, "/api/alerts", AP_ACCESS_ADMIN},
	{POST, "/api/alerts/evaluate", AP_ACCESS_ADMIN},
	{POST, "/api/alerts/silences", AP_ACCESS_ADMIN},
	{DELETE, "/api/alerts/silences/:id", AP_ACCESS_ADMIN},
	{PUT, "/api/alerts/:id", AP_ACCESS_ADMIN},
	{DELETE, "/api/alerts/:id", AP_ACCESS_ADMIN},
	{POST, "/api/alerts/:id/toggle", AP_ACCESS_ADMIN},
	{GET, "/api/v1/tokens", AP_ACCESS_ADMIN},
	{POST, "/api/v1/tokens", AP_ACCESS_ADMIN},
	{DELETE, "/api/v1/tokens/:name", AP_ACCESS_ADMIN},
	{POST, "/api/v1/join", AP_ACCESS_ADMIN},
	{GET, "/api/v1/audit", AP_ACCESS_ADMIN},
};

static const struct {
	const char *method;
	enum ap_access access;
} methods[] = {
	{SERVICE "Push", AP_ACCESS_PUSH},	  {SERVICE "Query", AP_ACCESS_READ},
	{SERVICE "QueryStorage", AP_ACCESS_READ}, {SERVICE "Aggregate", AP_ACCESS_READ},
	{SERVICE "Diff", AP_ACCESS_READ},	  {SERVICE "Callers", AP_ACCESS_READ},
	{SERVICE "Callees", AP_ACCESS_READ},	  {SERVICE "Heatmap", AP_ACCESS_READ},
};

enum ap_access ap_api_access(const struct ap_http_route *route)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(rules); i++)
		if (rules[i].method == route->method && strcmp(rules[i].path, route->path) == 0)
			return rules[i].access;
	return AP_ACCESS_NONE;
}

enum ap_access ap_grpc_access(const char *method)
{
	for (size_t i = 0; i < AP_ARRAY_SIZE(methods); i++)
		if (strcmp(methods[i].method, method) == 0)
			return methods[i].access;
	return AP_ACCESS_NONE;
}

/* What stands behind "Bearer" (RFC 6750); p = NULL: it is another scheme, or nothing. */
static struct ap_str bearer(struct ap_str header)
{
	static const char scheme[] = "Bearer ";
	size_t n = sizeof(scheme) - 1;

	if (header.n <= n || strncasecmp(header.p, scheme, n) != 0)
		return (struct ap_str){0};
	return ap_str_trim((struct ap_str){header.p + n, header.n - n});
}

int ap_api_identify(struct ap_http_request *req, const struct ap_api *api, struct ap_caller *ret)
{
	struct ap_str header = ap_http_header(req, "Authorization");
	struct ap_str cookie = ap_http_cookie(req, AP_SESSION_COOKIE);

	if (header.p)
		return ap_guard_check_token(api->guard, bearer(header), ret);
	if (cookie.n)
		return ap_guard_check_session(api->guard, cookie, ret);
	return -ENOENT;
}

void ap_api_audit(struct ap_http_request *req, const struct ap_api *api, const char *who,
		  const char *action, const char *target, unsigned int status)
{
	const struct ap_audit_entry e = {.who = who,
					 .from = ap_http_peer(req),
					 .action = action,
					 .target = target,
					 .status = status};

	ap_guard_audit(api->guard, &e);
}

/* "POST /api/alerts/3/toggle" */
static void audit_request(struct ap_http_request *req, const struct ap_api *api,
			  const struct ap_caller *caller, unsigned int status)
{
	char action[256];
	struct ap_str path = ap_http_path(req);

	snprintf(action, sizeof(action), "%s %.*s", ap_http_method_name(req),
		 (int)AP_MIN(path.n, (size_t)200), path.p);
	ap_api_audit(req, api, caller->name, action, "", status);
}

/* Changes are logged: what admins do, and the notes of pipelines. Questions are not, nor what everybody may do. */
static bool is_audited(const struct ap_http_route *route)
{
	enum ap_access access = ap_api_access(route);

	return route->method != AP_HTTP_GET &&
	       (access == AP_ACCESS_ADMIN || access == AP_ACCESS_PUSH);
}

static bool refuse_unknown(struct ap_http_request *req, const struct ap_api *api, int why)
{
	if (why == -ENOENT)
		ap_guard_count_missing(api->guard);
	ap_http_header_set(req, "WWW-Authenticate", "Bearer realm=\"aperture\"");
	ap_http_reply_error(
		req, 401, "unauthenticated", NULL, "%s",
		why == -ENOENT ? "who asks? Send a token as `Authorization: Bearer TOKEN`, or log "
				 "in on the dashboard"
			       : "the token or session is not known here, was revoked or has "
				 "expired");
	return false;
}

static bool refuse_role(struct ap_http_request *req, const struct ap_api *api,
			const struct ap_http_route *route, const struct ap_caller *caller)
{
	enum ap_access access = ap_api_access(route);

	ap_guard_count_forbidden(api->guard);
	if (is_audited(route))
		audit_request(req, api, caller, 403);
	ap_http_reply_error(req, 403, "forbidden", NULL,
			    access == AP_ACCESS_NONE ? "nobody may do this: it has no rule"
						     : "'%s' has the role %s, and this needs %s",
			    caller->name, ap_role_names[caller->role],
			    access == AP_ACCESS_ADMIN  ? "admin"
			    : access == AP_ACCESS_PUSH ? "push"
						       : "read");
	return false;
}

static bool authorize(struct ap_http_request *req, const struct ap_http_route *route,
		      const struct ap_api *api)
{
	struct ap_caller *caller = ap_arena_alloc(ap_http_arena(req), sizeof(*caller));
	int r;

	if (!caller) {
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
		return false;
	}
	*caller = (struct ap_caller){.name = "anonymous", .role = AP_ROLE_ADMIN};
	ap_http_set_user(req, caller);
	if (!ap_guard_required(api->guard) || ap_api_access(route) == AP_ACCESS_PUBLIC)
		return true;
	r = ap_api_identify(req, api, caller);
	if (r < 0)
		return refuse_unknown(req, api, r);
	if (!ap_role_may(caller->role, ap_api_access(route)))
		return refuse_role(req, api, route, caller);
	if (route->method != AP_HTTP_GET &&
	    !ap_guard_check_csrf(caller, ap_http_header(req, AP_CSRF_HEADER))) {
		ap_http_reply_error(
			req, 403, "csrf", NULL,
			"a change by a browser's session has to carry its " AP_CSRF_HEADER
			" (GET /api/v1/session tells it)");
		return false;
	}
	return true;
}

/* While it starts or stops there is little to answer with: what is public, and metrics. */
static bool is_answered_now(struct ap_http_request *req, const struct ap_http_route *route,
			    const struct ap_api *api)
{
	const char *pause = ap_api_pause(api);

	if (!pause || ap_api_access(route) == AP_ACCESS_PUBLIC ||
	    strcmp(route->path, "/metrics") == 0)
		return true;
	ap_http_header_set(req, "Retry-After", "2");
	ap_http_reply_error(req, 503, "not_ready", NULL, "the aggregator is %s", pause);
	return false;
}

bool ap_api_authorize(struct ap_http_request *req, const struct ap_http_route *route, void *ctx)
{
	return authorize(req, route, ctx) && is_answered_now(req, route, ctx);
}

void ap_api_observe(struct ap_http_request *req, const struct ap_http_route *route,
		    unsigned int status, void *ctx)
{
	const struct ap_caller *caller = ap_http_user(req);

	if (caller && is_audited(route))
		audit_request(req, ctx, caller, status);
}

void ap_grpc_authorize(void *ctx, const struct ap_rpc_caller *caller, struct ap_rpc_status *status)
{
	enum ap_access access = ap_grpc_access(caller->method);
	struct ap_caller who;

	if (!ap_guard_required(ctx))
		return;
	if (!caller->authorization.p) {
		ap_guard_count_missing(ctx);
		ap_rpc_status_set(status, AP_RPC_UNAUTHENTICATED,
				  "no token: send it as metadata `authorization: Bearer TOKEN` (an "
				  "agent: --token-file)");
	} else if (ap_guard_check_token(ctx, bearer(caller->authorization), &who) < 0) {
		ap_rpc_status_set(status, AP_RPC_UNAUTHENTICATED,
				  "the token is not known here, was revoked or has expired");
	} else if (!ap_role_may(who.role, access)) {
		ap_guard_count_forbidden(ctx);
		ap_rpc_status_set(status, AP_RPC_PERMISSION_DENIED,
				  "'%s' has the role %s, and this needs %s", who.name,
				  ap_role_names[who.role],
				  access == AP_ACCESS_PUSH ? "push" : "read");
	}
}

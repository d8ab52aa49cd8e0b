/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "http/internal.h"

static const char *const method_names[] = {"GET, HEAD", "POST", "PUT", "DELETE"};

/* Whether `path` fits `pattern`, segment by segment. `name` not NULL: also gives what that
 * placeholder matched. */
static bool match(const char *pattern, struct ap_str path, const char *name, struct ap_str *ret)
{
	struct ap_str want = ap_str_of(pattern);

	while (want.p && path.p) {
		struct ap_str w = ap_str_cut(&want, '/'), p = ap_str_cut(&path, '/');

		if (w.n && w.p[0] == ':') {
			if (p.n == 0)
				return false;
			if (name && ap_str_is((struct ap_str){w.p + 1, w.n - 1}, name))
				*ret = p;
		} else if (!ap_str_eq(w, p)) {
			return false;
		}
	}
	return !want.p && !path.p;
}

struct ap_str ap_http_path_param(const struct ap_http_request *req, const char *name)
{
	struct ap_str v = {0};

	if (req->route)
		match(req->route->path, req->path, name, &v);
	return v;
}

static bool is_reserved(const struct ap_http_request *req)
{
	struct ap_str prefix = ap_str_of(req->server->opt.reserved);

	if (prefix.n == 0)
		return false;
	return ap_str_starts(req->path, prefix) ||
	       ap_str_eq(req->path, (struct ap_str){prefix.p, prefix.n - 1});
}

static bool refuse_method(struct ap_http_request *req, const char *allow)
{
	ap_http_header_set(req, "Allow", allow);
	ap_http_reply_error(req, 405, "method_not_allowed", NULL, "this address answers to %s",
			    allow);
	return false;
}

bool ap_http_route_find(struct ap_http_request *req)
{
	const struct ap_http_options *opt = &req->server->opt;
	char allow[64] = "";
	size_t n = 0;

	for (size_t i = 0; i < opt->n_routes; i++) {
		const struct ap_http_route *r = &opt->routes[i];

		if (!match(r->path, req->path, NULL, NULL))
			continue;
		if ((int)r->method == req->method) {
			req->route = r;
			req->body_max = r->max_body ? r->max_body : opt->max_body;
			return true;
		}
		n += (size_t)snprintf(allow + n, sizeof(allow) - n, "%s%s", n ? ", " : "",
				      method_names[r->method]);
	}
	if (n)
		return refuse_method(req, allow);
	if (!opt->files || is_reserved(req)) {
		ap_http_reply_error(req, 404, "not_found", NULL, "there is nothing at %.*s",
				    AP_STR_ARG(req->path));
		return false;
	}
	return req->method == AP_HTTP_GET || refuse_method(req, method_names[AP_HTTP_GET]);
}

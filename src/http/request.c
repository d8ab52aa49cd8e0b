/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

#include <jansson.h>

#include "base/clock.h"
#include "http/internal.h"

struct ap_http_request *ap_http_request_new(struct ap_http_server *s, struct MHD_Connection *conn,
					    const char *uri)
{
	struct ap_http_request *req = calloc(1, sizeof(*req));
	char *copy;

	if (!req)
		return NULL;
	req->server = s;
	req->conn = conn;
	req->refs = 1;
	req->arena.limit = AP_HTTP_ARENA_BYTES;
	copy = ap_arena_strdup(&req->arena, ap_str_of(uri));
	if (!copy) {
		ap_http_request_unref(req);
		return NULL;
	}
	req->uri = ap_str_of(copy);
	return req;
}

void ap_http_request_unref(struct ap_http_request *req)
{
	if (__atomic_sub_fetch(&req->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (req->response)
		MHD_destroy_response(req->response);
	if (req->json)
		json_decref(req->json);
	ap_buf_free(&req->body);
	ap_arena_free(&req->arena);
	free(req);
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool ap_http_decode(struct ap_arena *a, struct ap_str in, bool plus, struct ap_str *ret)
{
	char *out = ap_arena_alloc(a, in.n + 1);
	size_t n = 0;

	if (!out)
		return false;
	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];

		if (c == '%') {
			int hi = ap_range_ok(i + 1, 2, in.n) ? hex(in.p[i + 1]) : -1;
			int lo = hi >= 0 ? hex(in.p[i + 2]) : -1;

			if (lo < 0)
				return false;
			c = (char)(hi << 4 | lo);
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		if (c == '\0')
			return false;
		out[n++] = c;
	}
	out[n] = '\0';
	*ret = (struct ap_str){out, n};
	return true;
}

static bool parse_query(struct ap_http_request *req, struct ap_str query)
{
	req->params = ap_arena_alloc(&req->arena, AP_HTTP_PARAMS_MAX * sizeof(*req->params));
	if (!req->params)
		return false;
	while (query.n) {
		struct ap_str value = ap_str_cut(&query, '&');
		struct ap_str name = ap_str_cut(&value, '=');
		struct ap_http_param *p = &req->params[req->n_params];

		if (name.n == 0 && value.n == 0)
			continue;
		if (req->n_params == AP_HTTP_PARAMS_MAX ||
		    !ap_http_decode(&req->arena, name, true, &p->name) ||
		    !ap_http_decode(&req->arena, value, true, &p->value))
			return false;
		req->n_params++;
	}
	return true;
}

static bool parse_uri(struct ap_http_request *req)
{
	struct ap_str query = req->uri;
	struct ap_str path = ap_str_cut(&query, '?');

	if (path.n == 0 || path.p[0] != '/' ||
	    !ap_http_decode(&req->arena, path, false, &req->path) || !parse_query(req, query)) {
		ap_http_reply_error(req, 400, "bad_request", NULL,
				    "the address is malformed: check its percent-escapes (at most "
				    "%d parameters)",
				    AP_HTTP_PARAMS_MAX);
		return false;
	}
	return true;
}

static enum MHD_Result take_header(void *cls, enum MHD_ValueKind kind, const char *key,
				   const char *value)
{
	struct ap_http_request *req = cls;
	struct ap_http_param *h = &req->headers[req->n_headers];

	if (req->n_headers == AP_HTTP_HEADERS_MAX)
		return MHD_NO;
	h->name.p = ap_arena_strdup(&req->arena, ap_str_of(key));
	h->value.p = ap_arena_strdup(&req->arena, ap_str_of(value ? value : ""));
	if (!h->name.p || !h->value.p)
		return MHD_NO;
	h->name.n = strlen(h->name.p);
	h->value.n = strlen(h->value.p);
	req->n_headers++;
	return MHD_YES;
}

static void take_peer(struct ap_http_request *req)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(req->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = info ? info->client_addr : NULL;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)sa;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)sa;

	if (sa && sa->sa_family == AF_INET) {
		req->local = ntohl(v4->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
		inet_ntop(AF_INET, &v4->sin_addr, req->peer, sizeof(req->peer));
	} else if (sa && sa->sa_family == AF_INET6) {
		req->local = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
		inet_ntop(AF_INET6, &v6->sin6_addr, req->peer, sizeof(req->peer));
	}
}

static const char *const method_names[] = {"GET", "POST", "PUT", "DELETE"};

static void parse_method(struct ap_http_request *req, const char *method)
{
	req->head = strcmp(method, "HEAD") == 0;
	req->method = req->head ? AP_HTTP_GET : -1;
	for (int i = 0; i < AP_HTTP_METHOD_MAX; i++) {
		if (strcmp(method, method_names[i]) == 0)
			req->method = i;
	}
}

/* Whether the request may come from a page of another site that runs in this machine's browser. */
static bool check_origin(struct ap_http_request *req)
{
	const struct ap_http_options *opt = &req->server->opt;
	struct ap_str host = ap_http_header(req, "Host");
	struct ap_str site = ap_http_header(req, "Sec-Fetch-Site");

	if (req->server->address.loopback && host.p && !ap_address_host_ok(host, opt->host_names)) {
		ap_http_reply_error(
			req, 403, "host_refused", NULL,
			"'%.*s' is not a name of this machine (a protection against DNS "
			"rebinding): use localhost or 127.0.0.1, or allow the name in "
			"the server's configuration",
			AP_STR_ARG(host));
		return false;
	}
	if (req->method != AP_HTTP_GET && site.p && !ap_str_is(site, "same-origin") &&
	    !ap_str_is(site, "none")) {
		ap_http_reply_error(req, 403, "cross_site", NULL,
				    "a page of another site may not send this request");
		return false;
	}
	return true;
}

static bool authorize(struct ap_http_request *req)
{
	const struct ap_http_options *opt = &req->server->opt;

	return !req->route || !opt->authorize || opt->authorize(req, req->route, opt->ctx);
}

bool ap_http_request_parse(struct ap_http_request *req, const char *method)
{
	parse_method(req, method);
	take_peer(req);
	req->headers = ap_arena_alloc(&req->arena, AP_HTTP_HEADERS_MAX * sizeof(*req->headers));
	if (req->headers)
		MHD_get_connection_values(req->conn, MHD_HEADER_KIND, take_header, req);
	return parse_uri(req) && check_origin(req) && ap_http_route_find(req) && authorize(req);
}

const char *ap_http_peer(const struct ap_http_request *req)
{
	return req->peer;
}

const char *ap_http_method_name(const struct ap_http_request *req)
{
	return req->method >= 0 ? method_names[req->method] : "";
}

bool ap_http_is_tls(const struct ap_http_request *req)
{
	return req->server->opt.tls != NULL;
}

void ap_http_set_user(struct ap_http_request *req, void *user)
{
	req->user = user;
}

void *ap_http_user(const struct ap_http_request *req)
{
	return req->user;
}

struct ap_str ap_http_cookie_find(struct ap_str header, const char *name)
{
	while (header.p) {
		struct ap_str value = ap_str_cut(&header, ';');
		struct ap_str key = ap_str_trim(ap_str_cut(&value, '='));

		if (!value.p || !ap_str_is(key, name))
			continue;
		value = ap_str_trim(value);
		if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
			value = (struct ap_str){value.p + 1, value.n - 2};
		return value;
	}
	return (struct ap_str){0};
}

struct ap_str ap_http_cookie(const struct ap_http_request *req, const char *name)
{
	return ap_http_cookie_find(ap_http_header(req, "Cookie"), name);
}

struct ap_str ap_http_path(const struct ap_http_request *req)
{
	return req->path;
}

const struct ap_http_param *ap_http_query(const struct ap_http_request *req, size_t *ret_n)
{
	*ret_n = req->n_params;
	return req->params;
}

bool ap_http_query_get(const struct ap_http_request *req, const char *name, struct ap_str *ret)
{
	for (size_t i = 0; i < req->n_params; i++) {
		if (ap_str_is(req->params[i].name, name)) {
			*ret = req->params[i].value;
			return true;
		}
	}
	return false;
}

struct ap_str ap_http_header(const struct ap_http_request *req, const char *name)
{
	for (size_t i = 0; i < req->n_headers; i++) {
		if (strcasecmp(req->headers[i].name.p, name) == 0)
			return req->headers[i].value;
	}
	return (struct ap_str){0};
}

struct ap_str ap_http_body(const struct ap_http_request *req)
{
	return ap_buf_view(&req->body);
}

int ap_http_body_json(struct ap_http_request *req, json_t **ret)
{
	json_error_t e;

	if (!req->json) {
		struct ap_str body = ap_http_body(req);

		req->json = json_loadb(body.p ? body.p : "", body.n, JSON_REJECT_DUPLICATES, &e);
	}
	if (!req->json) {
		ap_http_reply_error(req, 400, "bad_json", NULL,
				    "the body is not valid JSON: line %d, column %d: %s", e.line,
				    e.column, e.text);
		return -EINVAL;
	}
	*ret = req->json;
	return 0;
}

struct ap_arena *ap_http_arena(struct ap_http_request *req)
{
	return &req->arena;
}

const atomic_bool *ap_http_gone(const struct ap_http_request *req)
{
	return &req->gone;
}

uint64_t ap_http_started_ns(const struct ap_http_request *req)
{
	return req->started_ns;
}

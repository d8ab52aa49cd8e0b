/* SPDX-License-Identifier: Apache-2.0 */
/* Modules without symbols, what they lack, and symbols that come later. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "aggregator/api/answer.h"

#define INVALID "invalid_argument"

enum {
	SYMBOLS_MAX = 10000, /* of one request, both ways */
	BUILD_ID_MAX = 128,
};

static void answer_module(struct ap_buf *b, const struct ap_module *m, uint64_t total)
{
	ap_answer_element(b);
	ap_answer_str(b, "module", m->path);
	ap_answer_str(b, "build_id", m->build_id);
	ap_answer_u64(b, "kind", m->kind);
	ap_answer_u64(b, "total", m->total);
	ap_answer_u64(b, "self", m->self);
	ap_answer_share(b, "share", total ? (double)m->total / (double)total : -1);
	ap_answer_u64(b, "frames", m->frames);
	ap_buf_byte(b, '}');
}

void ap_api_modules(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"from", "to", "type", "filter", "limit", NULL};
	_cleanup_(ap_cleanup_modules) struct ap_modules *modules = NULL;
	_cleanup_answer_ struct ap_answer a = {0};
	const struct ap_query *q = &a.selection.query;
	uint64_t limit;
	int r;

	if (!ap_answer_ask(&a, req, ctx, names) ||
	    !ap_params_uint(&a.params, "limit", 1, 10000, 100, &limit))
		return;
	r = ap_query_modules(a.api->query, q, (uint32_t)limit, &modules, &a.coverage, &a.err);
	if (!ap_answer_open(&a, r))
		return;
	ap_answer_selection(&a.b, q);
	ap_answer_array(&a.b, "modules");
	for (uint32_t i = 0; i < modules->n; i++)
		answer_module(&a.b, &modules->rows[i], modules->total);
	ap_buf_byte(&a.b, ']');
	ap_answer_u64(&a.b, "total", modules->total);
	ap_answer_close(&a);
}

/* False: answered. */
static bool check_build_id(struct ap_http_request *req, struct ap_str id)
{
	bool ok = id.n > 0 && id.n <= BUILD_ID_MAX;

	for (size_t i = 0; i < id.n && ok; i++)
		ok = (id.p[i] >= '0' && id.p[i] <= '9') || (id.p[i] >= 'a' && id.p[i] <= 'f');
	if (!ok)
		ap_http_reply_error(req, 400, INVALID, "build_id",
				    "a build-id is needed, in lower-case hex as `readelf -n` and "
				    "/api/v1/modules show it");
	return ok;
}

static void answer_error(struct ap_http_request *req, int code, const struct ap_error *err)
{
	if (code == -ENOENT)
		ap_http_reply_error(req, 404, "not_found", "build_id", "%s", err->msg);
	else
		ap_answer_query_error(req, code, err);
}

void ap_api_symbols_missing(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {"build_id", "after", "limit", NULL};
	_cleanup_(ap_missing_symbols_free) struct ap_missing_symbols m = {0};
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_str build_id = {0}, unused;
	struct ap_error err = {0};
	struct ap_params p;
	uint64_t limit, after;
	int r;

	if (!ap_params_query(req, names, &p))
		return;
	ap_params_get(&p, "build_id", &build_id);
	if (!check_build_id(req, build_id) ||
	    !ap_params_uint(&p, "after", 0, INT64_MAX, 0, &after) ||
	    !ap_params_uint(&p, "limit", 1, SYMBOLS_MAX, SYMBOLS_MAX, &limit))
		return;
	r = ap_query_missing_symbols(api->query, build_id,
				     ap_params_get(&p, "after", &unused) ? &after : NULL,
				     (size_t)limit, &m, &err);
	if (r < 0) {
		answer_error(req, r, &err);
		return;
	}
	ap_buf_byte(&b, '{');
	ap_answer_str(&b, "build_id", build_id);
	ap_answer_array(&b, "offsets");
	for (size_t i = 0; i < m.n; i++) {
		ap_json_next(&b);
		ap_json_u64(&b, m.offsets[i]);
	}
	ap_buf_byte(&b, ']');
	ap_answer_u64(&b, "total", m.total);
	ap_answer_u64(&b, "unnamed", m.unnamed);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

/* A request's symbols; the strings are the parsed body's, the arrays the request's. */
struct upload {
	struct ap_http_request *req;
	struct ap_str build_id;
	uint64_t *offsets;
	struct ap_symbol *symbols;
	size_t n;
};

/* "symbols[3].functions[0]": MESSAGE. Always false. */
static bool refuse(const struct upload *u, size_t symbol, size_t function, const char *message)
{
	char field[64];

	if (function == SIZE_MAX)
		snprintf(field, sizeof(field), "symbols[%zu]", symbol);
	else
		snprintf(field, sizeof(field), "symbols[%zu].functions[%zu]", symbol, function);
	ap_http_reply_error(u->req, 400, INVALID, field, "%s: %s", field, message);
	return false;
}

static bool parse_level(const struct upload *u, size_t symbol, size_t i, json_t *v,
			struct ap_symbol_level *ret)
{
	struct ap_symbol_level l = {AP_STR(""), AP_STR(""), AP_STR(""), 0, 0};
	json_int_t line = 0, start_line = 0;
	json_error_t e;

	if (json_unpack_ex(v, &e, JSON_STRICT, "{s:s%,s?s%,s?s%,s?I,s?I}", "name", &l.name.p,
			   &l.name.n, "system_name", &l.system_name.p, &l.system_name.n, "file",
			   &l.file.p, &l.file.n, "line", &line, "start_line", &start_line) < 0)
		return refuse(u, symbol, i, e.text);
	if (l.name.n == 0)
		return refuse(u, symbol, i, "a function has a name");
	if (AP_MAX(l.name.n, AP_MAX(l.system_name.n, l.file.n)) > AP_SYMBOL_TEXT_MAX)
		return refuse(u, symbol, i, "a text is longer than 32768 bytes");
	if (line < 0 || line > UINT32_MAX || start_line < 0 || start_line > UINT32_MAX)
		return refuse(u, symbol, i, "a line is a number from 0 to 4294967295");
	l.line = (uint32_t)line;
	l.start_line = (uint32_t)start_line;
	*ret = l;
	return true;
}

static bool parse_symbol(struct upload *u, size_t i, json_t *v)
{
	struct ap_symbol_level *levels;
	json_t *functions;
	json_int_t offset;
	json_error_t e;
	size_t n;

	if (json_unpack_ex(v, &e, JSON_STRICT, "{s:I,s:o}", "offset", &offset, "functions",
			   &functions) < 0)
		return refuse(u, i, SIZE_MAX, e.text);
	n = json_array_size(functions); /* 0 where it is no array */
	if (offset < 0 || n == 0 || n > AP_SYMBOL_LEVELS_MAX)
		return refuse(u, i, SIZE_MAX,
			      offset < 0 ? "an offset is not negative"
					 : "functions is an array of 1 to 256, outermost first");
	levels = ap_arena_zalloc(ap_http_arena(u->req), n * sizeof(*levels));
	if (!levels) {
		ap_http_reply_error(u->req, 413, "too_large", "symbols",
				    "the symbols take too much memory: send fewer at a time");
		return false;
	}
	for (size_t k = 0; k < n; k++)
		if (!parse_level(u, i, k, json_array_get(functions, k), &levels[k]))
			return false;
	u->offsets[i] = (uint64_t)offset;
	u->symbols[i] = (struct ap_symbol){levels, (uint32_t)n};
	if (i && u->offsets[i] <= u->offsets[i - 1])
		return refuse(u, i, SIZE_MAX, "offsets must ascend");
	return true;
}

static bool parse_upload(struct upload *u, json_t *body)
{
	json_t *symbols;
	json_error_t e;

	if (json_unpack_ex(body, &e, JSON_STRICT, "{s:s%,s:o}", "build_id", &u->build_id.p,
			   &u->build_id.n, "symbols", &symbols) < 0) {
		ap_http_reply_error(u->req, 400, INVALID, NULL, "the body: %s", e.text);
		return false;
	}
	if (!check_build_id(u->req, u->build_id))
		return false;
	u->n = json_array_size(symbols);
	if (u->n == 0 || u->n > SYMBOLS_MAX) {
		ap_http_reply_error(u->req, 400, INVALID, "symbols",
				    "symbols is an array of 1 to %d: send more in further requests",
				    SYMBOLS_MAX);
		return false;
	}
	u->offsets = ap_arena_alloc(ap_http_arena(u->req), u->n * sizeof(*u->offsets));
	u->symbols = ap_arena_alloc(ap_http_arena(u->req), u->n * sizeof(*u->symbols));
	if (!u->offsets || !u->symbols)
		return false;
	for (size_t i = 0; i < u->n; i++)
		if (!parse_symbol(u, i, json_array_get(symbols, i)))
			return false;
	return true;
}

void ap_api_symbols_put(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {NULL};
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct upload u = {.req = req};
	struct ap_put_symbols put;
	struct ap_error err = {0};
	struct ap_params p;
	json_t *body;
	int r;

	if (!ap_params_query(req, names, &p) || ap_http_body_json(req, &body) < 0 ||
	    !parse_upload(&u, body))
		return;
	r = ap_query_put_symbols(api->query, u.build_id, u.offsets, u.symbols, u.n, &put, &err);
	if (r < 0) {
		answer_error(req, r, &err);
		return;
	}
	ap_buf_byte(&b, '{');
	ap_answer_u64(&b, "stored", put.stored);
	ap_answer_u64(&b, "unchanged", put.unchanged);
	ap_answer_u64(&b, "unknown", put.unknown);
	ap_buf_byte(&b, '}');
	ap_http_reply_json(req, 200, &b);
}

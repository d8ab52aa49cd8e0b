/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include <zlib.h>

#include "base/json.h"
#include "http/internal.h"

#define GZIP_MIN   1024
#define GZIP_LEVEL 4

static const char csp[] = "default-src 'self'; style-src 'self' 'unsafe-inline'; "
			  "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; "
			  "base-uri 'none'; form-action 'self'";

/* Whether `list` (as in Accept-Encoding) takes `coding`, by its q value. */
static bool list_takes(struct ap_str list, const char *coding)
{
	while (list.p) {
		struct ap_str params = ap_str_cut(&list, ',');
		struct ap_str name = ap_str_trim(ap_str_cut(&params, ';'));
		double q = 1;

		if (name.n != strlen(coding) || strncasecmp(name.p, coding, name.n) != 0)
			continue;
		params = ap_str_trim(params);
		if (ap_str_starts(params, AP_STR("q=")) &&
		    ap_parse_double((struct ap_str){params.p + 2, params.n - 2}, &q) < 0)
			return false;
		return q > 0;
	}
	return false;
}

bool ap_http_accepts_gzip(const struct ap_http_request *req)
{
	return list_takes(ap_http_header(req, "Accept-Encoding"), "gzip");
}

void ap_http_header_set(struct ap_http_request *req, const char *name, const char *value)
{
	struct ap_http_param *h;
	char *n = ap_arena_strdup(&req->arena, ap_str_of(name));
	char *v = ap_arena_strdup(&req->arena, ap_str_of(value));

	if (!n || !v || req->n_set == AP_ARRAY_SIZE(req->set))
		return;
	h = &req->set[req->n_set++];
	h->name = ap_str_of(n);
	h->value = ap_str_of(v);
}

void ap_http_response_headers(struct ap_http_request *req, struct MHD_Response *resp,
			      const char *content_type)
{
	bool cached = false;

	for (size_t i = 0; i < req->n_set; i++) {
		MHD_add_response_header(resp, req->set[i].name.p, req->set[i].value.p);
		cached |= strcasecmp(req->set[i].name.p, "Cache-Control") == 0;
	}
	if (content_type)
		MHD_add_response_header(resp, "Content-Type", content_type);
	if (!cached)
		MHD_add_response_header(resp, "Cache-Control", "no-store");
	MHD_add_response_header(resp, "Content-Security-Policy", csp);
	MHD_add_response_header(resp, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(resp, "Referrer-Policy", "no-referrer");
	MHD_add_response_header(resp, "X-Frame-Options", "DENY");
	MHD_add_response_header(resp, "Cross-Origin-Opener-Policy", "same-origin");
	MHD_add_response_header(resp, "Cross-Origin-Resource-Policy", "same-origin");
}

/* Replaces `body` by its gzip form; leaves it alone where that fails or does not help. */
static bool gzip(struct ap_buf *body)
{
	z_stream z = {0};
	struct ap_buf out = {0};
	size_t bound;
	bool ok;

	if (body->n > UINT32_MAX ||
	    deflateInit2(&z, GZIP_LEVEL, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
		return false;
	bound = deflateBound(&z, body->n);
	z.next_in = body->p;
	z.avail_in = (uInt)body->n;
	z.next_out = ap_buf_reserve(&out, bound);
	z.avail_out = (uInt)bound;
	ok = z.next_out && deflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out < body->n;
	out.n = ok ? z.total_out : 0;
	deflateEnd(&z);
	if (!ok) {
		ap_buf_free(&out);
		return false;
	}
	ap_buf_free(body);
	*body = out;
	return true;
}

static bool compressible(const char *content_type)
{
	return strncmp(content_type, "text/", 5) == 0 || strstr(content_type, "json") ||
	       strstr(content_type, "svg") || strstr(content_type, "vnd.aperture");
}

void ap_http_reply(struct ap_http_request *req, unsigned int status, const char *content_type,
		   struct ap_buf *body)
{
	struct ap_buf b = *body;
	bool small = b.n < GZIP_MIN || !compressible(content_type);

	*body = (struct ap_buf){0};
	if (req->streaming || req->response) { /* only the first answer counts */
		ap_buf_free(&b);
		return;
	}
	if (ap_buf_error(&b)) {
		ap_buf_free(&b);
		ap_http_reply_error(req, 500, "internal", NULL, "out of memory");
		return;
	}
	if (!small) {
		ap_http_header_set(req, "Vary", "Accept-Encoding");
		if (!req->local && ap_http_accepts_gzip(req) && gzip(&b))
			ap_http_header_set(req, "Content-Encoding", "gzip");
	}
	if (b.n == 0) {
		ap_buf_free(&b);
		req->response = MHD_create_response_from_buffer(0, (void *)(uintptr_t)"",
								MHD_RESPMEM_PERSISTENT);
	} else {
		req->response = MHD_create_response_from_buffer(b.n, b.p, MHD_RESPMEM_MUST_FREE);
		if (!req->response)
			ap_buf_free(&b);
	}
	req->status = status;
	if (req->response)
		ap_http_response_headers(req, req->response, content_type);
}

void ap_http_reply_json(struct ap_http_request *req, unsigned int status, struct ap_buf *body)
{
	ap_http_reply(req, status, "application/json", body);
}

void ap_http_reply_error(struct ap_http_request *req, unsigned int status, const char *code,
			 const char *field, const char *fmt, ...)
{
	_cleanup_buf_ struct ap_buf b = {0};
	char msg[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(msg, sizeof(msg), fmt, ap);
	va_end(ap);
	ap_buf_puts(&b, "{\"error\":{\"code\":");
	ap_json_string(&b, ap_str_of(code));
	ap_buf_puts(&b, ",\"message\":");
	ap_json_string(&b, ap_str_of(msg));
	ap_buf_puts(&b, ",\"field\":");
	if (field)
		ap_json_string(&b, ap_str_of(field));
	else
		ap_buf_puts(&b, "null");
	ap_buf_puts(&b, "}}\n");
	if (ap_buf_error(&b)) /* no memory even for the error: MHD closes the connection */
		return;
	ap_http_reply_json(req, status, &b);
}

/* If-None-Match: a list of entity tags, or "*". */
static bool etag_matches(struct ap_str list, const char *etag)
{
	while (list.p) {
		struct ap_str tag = ap_str_trim(ap_str_cut(&list, ','));

		if (ap_str_starts(tag, AP_STR("W/")))
			tag = (struct ap_str){tag.p + 2, tag.n - 2};
		if (ap_str_is(tag, etag) || ap_str_is(tag, "*"))
			return true;
	}
	return false;
}

void ap_http_reply_file(struct ap_http_request *req, const struct ap_http_file *f)
{
	bool same = etag_matches(ap_http_header(req, "If-None-Match"), f->etag);

	ap_http_header_set(req, "ETag", f->etag);
	ap_http_header_set(req, "Cache-Control",
			   f->immutable ? "public, max-age=31536000, immutable" : "no-cache");
	if (f->has_gzip)
		ap_http_header_set(req, "Vary", "Accept-Encoding");
	if (f->gzip && !same)
		ap_http_header_set(req, "Content-Encoding", "gzip");
	req->response = MHD_create_response_from_buffer(
		same ? 0 : f->bytes.n, (void *)(uintptr_t)(f->bytes.p ? f->bytes.p : ""),
		MHD_RESPMEM_PERSISTENT);
	req->status = same ? 304 : 200;
	if (req->response)
		ap_http_response_headers(req, req->response, same ? NULL : f->content_type);
}

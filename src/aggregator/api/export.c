/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles as files to download. */
#include <stdio.h>
#include <time.h>

#include "aggregator/api/answer.h"
#include "profile/format.h"

/* A profile is in memory until its client has taken it all: so many at once. */
enum { EXPORTS_MAX = 4 };

/* The formats that can be downloaded: HTML is the dashboard's own matter. */
static bool find_format(struct ap_http_request *req, enum ap_format *ret)
{
	struct ap_str name = ap_http_path_param(req, "format");

	if (ap_format_by_name(name, ret) == 0 && *ret != AP_FORMAT_HTML)
		return true;
	ap_http_reply_error(req, 404, "not_found", NULL,
			    "'%.*s' is no format to export: json, collapsed, pprof, speedscope and "
			    "svg are",
			    (int)AP_MIN(name.n, (size_t)100), name.p);
	return false;
}

/* What the filter pins the service to, in letters that any file system takes; "all" without one. */
static void file_subject(const struct ap_filter *f, char *out, size_t cap)
{
	struct ap_str service = AP_STR("all");
	size_t n = 0;

	for (uint32_t i = 0; f && i < f->n; i++) {
		if (f->matchers[i].op == AP_FILTER_EQ && f->matchers[i].value.n &&
		    ap_str_is(f->matchers[i].label, "service"))
			service = f->matchers[i].value;
	}
	for (size_t i = 0; i < service.n && n + 1 < cap; i++) {
		char c = service.p[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '-' || c == '_';

		out[n++] = plain ? c : '-';
	}
	out[n] = '\0';
}

static void set_headers(struct ap_http_request *req, const struct ap_selection *s,
			const char *extension, const struct ap_coverage *cov)
{
	char subject[64], when[32], value[160];
	time_t from = (time_t)(s->query.from_ms / 1000);
	struct tm tm;

	file_subject(s->filter, subject, sizeof(subject));
	gmtime_r(&from, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(value, sizeof(value), "attachment; filename=\"aperture-%s-%s%s\"", subject, when,
		 extension);
	ap_http_header_set(req, "Content-Disposition", value);
	if (cov->truncated) {
		snprintf(value, sizeof(value), "%s %llu", cov->truncated,
			 (unsigned long long)cov->cut);
		ap_http_header_set(req, "Aperture-Truncated", value);
	}
	if (cov->pending) {
		snprintf(value, sizeof(value), "%llu", (unsigned long long)cov->pending);
		ap_http_header_set(req, "Aperture-Pending", value);
	}
}

static int sink_stream(void *ctx, const void *p, size_t n)
{
	return ap_http_stream_write(ctx, p, n);
}

static void export(struct ap_http_request *req, const struct ap_api *api, enum ap_format format,
		   const struct ap_selection *s)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *profile = NULL;
	struct ap_format_options o = {.type = s->query.type, .max_nodes = s->query.max_nodes};
	struct ap_http_stream *stream;
	struct ap_coverage cov;
	struct ap_error err = {0};
	int r = ap_query_profile(api->query, &s->query, 0, &profile, &cov, &err);

	if (r < 0) {
		ap_answer_query_error(req, r, &err);
		return;
	}
	set_headers(req, s, ap_format_info(format)->extension, &cov);
	stream = ap_http_stream_begin(req, ap_format_info(format)->content_type);
	if (!stream)
		return;
	r = ap_format_write(format, profile, &o,
			    (struct ap_sink){.write = sink_stream, .ctx = stream}, &err);
	ap_http_stream_end(stream, r);
}

void ap_api_export(struct ap_http_request *req, void *ctx)
{
	static const char *const names[] = {AP_PARAMS_SELECTION, NULL};
	_cleanup_selection_ struct ap_selection s = {0};
	const struct ap_api *api = ctx;
	struct ap_params p;
	enum ap_format format;

	if (!find_format(req, &format) || !ap_params_query(req, names, &p) ||
	    !ap_params_selection(&p, "", &s))
		return;
	if (atomic_fetch_add(api->exports, 1) < EXPORTS_MAX) {
		export(req, api, format, &s);
	} else {
		ap_http_header_set(req, "Retry-After", "5");
		ap_http_reply_error(req, 503, "busy", NULL,
				    "%d exports are being sent already: try again in a moment",
				    EXPORTS_MAX);
	}
	atomic_fetch_sub(api->exports, 1);
}

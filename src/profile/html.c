/* SPDX-License-Identifier: Apache-2.0 */
/* One self-contained page: the dashboard's standalone.html, which holds its own script and style,
 * with the flame graph's JSON put in place of a marker. */
#include <fcntl.h>
#include <math.h>

#include "abi/ledger.h"
#include "base/io.h"
#include "base/json.h"
#include "profile/flamegraph_json.h"
#include "profile/tree_builder.h"
#include "profile/writer.h"

#define MARKER "<!--APERTURE_PROFILE_DATA-->"

enum { TEMPLATE_BYTES_MAX = 16 << 20 };

static int read_template(const struct ap_write_job *job, struct ap_buf *ret)
{
	const char *path = job->o.html_template;
	int r;

	if (!path)
		return ap_error_set(job->err, -ENOENT,
				    "an HTML file needs the dashboard's standalone.html: install "
				    "the dashboard, or write SVG instead");
	r = ap_read_file(AT_FDCWD, path, TEMPLATE_BYTES_MAX, ret);
	if (r < 0)
		return ap_error_set(job->err, r,
				    "%s cannot be read: %s (it comes with the dashboard; SVG needs "
				    "no such file)",
				    path, ap_strerror(r));
	return 0;
}

/* What the picture rests on, as in the REST API's answers. */
static void put_coverage(const struct ap_write_job *job, struct ap_buf *out)
{
	uint64_t reasons[AP_REASONS_MAX] = {0}, samples = 0;

	AP_VEC_FOREACH(&job->p->samples, s) {
		uint16_t reason = ap_profile_get_stack(job->p, s->stack).reason;

		if (!ap_profile_type_has(job->o.type, s->event))
			continue;
		samples = ap_sum_saturating(samples, s->count);
		reason = reason < AP_REASONS_MAX ? reason : AP_REASONS_MAX - 1;
		reasons[reason] = ap_sum_saturating(reasons[reason], s->count);
	}
	ap_json_key(out, "coverage");
	ap_buf_puts(out, "{\"hosts_reporting\":1,\"hosts_expected\":1,\"truncated\":null");
	ap_json_key(out, "samples");
	ap_json_u64(out, samples);
	ap_json_key(out, "complete_share");
	ap_json_double(out, samples ? ap_reason_complete_share(reasons) : NAN);
	ap_json_key(out, "lost");
	if (job->o.lost)
		ap_json_u64(out, *job->o.lost);
	else
		ap_buf_puts(out, "null");
	ap_json_key(out, "reasons");
	ap_buf_byte(out, '{');
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		if (!reasons[i])
			continue;
		ap_json_key(out, ap_reason_name(i));
		ap_json_u64(out, reasons[i]);
	}
	ap_buf_puts(out, "}}");
}

static void put_meta(const struct ap_write_job *job, struct ap_buf *out)
{
	const struct ap_profile_type *t = job->o.type;
	_cleanup_buf_ struct ap_buf title = {0};

	ap_write_title(job, &title);
	ap_buf_puts(out, "\"title\":");
	ap_json_string(out, ap_buf_view(&title));
	ap_json_key(out, "type");
	ap_json_string(out, ap_str_of(t->name));
	ap_json_key(out, "unit");
	ap_json_string(out, ap_str_of(t->unit));
	ap_json_key(out, "from");
	ap_json_i64(out, job->p->start_ns / 1000000);
	ap_json_key(out, "to");
	ap_json_i64(out, job->p->end_ns / 1000000);
	put_coverage(job, out);
	if (ap_buf_error(&title))
		out->err = ap_buf_error(&title);
}

/* In JSON '<' stands within strings only, where it may be written so that no "</script>" and no
 * "<!--" can arise. */
static void put_escaped(struct ap_out *o, struct ap_str json)
{
	while (json.p) {
		ap_buf_str(&o->buf, ap_str_cut(&json, '<'));
		if (json.p)
			ap_buf_puts(&o->buf, "\\u003c");
		ap_out_pass(o);
	}
}

int ap_write_html(struct ap_write_job *job)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	_cleanup_buf_ struct ap_buf page = {0}, meta = {0}, json = {0};
	struct ap_str rest;
	const char *at;
	int r = read_template(job, &page);

	if (r < 0)
		return r;
	rest = ap_buf_view(&page);
	at = rest.n ? memmem(rest.p, rest.n, MARKER, strlen(MARKER)) : NULL;
	if (!at)
		return ap_error_set(job->err, -EINVAL,
				    "%s has no place for a profile: it belongs to another version "
				    "of the dashboard",
				    job->o.html_template);
	r = ap_write_tree(job, &tree, NULL);
	if (r < 0)
		return r;
	put_meta(job, &meta);
	ap_flamegraph_write_json(tree, ap_buf_view(&meta), &json);
	if (ap_buf_error(&meta) || ap_buf_error(&json))
		return -ENOMEM;
	ap_buf_append(&job->out.buf, rest.p, (size_t)(at - rest.p));
	ap_buf_puts(&job->out.buf, "<script type=\"application/json\" id=\"aperture-profile\">");
	put_escaped(&job->out, ap_buf_view(&json));
	ap_buf_puts(&job->out.buf, "</script>");
	at += strlen(MARKER);
	ap_buf_append(&job->out.buf, at, rest.n - (size_t)(at - rest.p));
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/format.h"

#include <strings.h>

#include "base/clock.h"
#include "base/io.h"
#include "profile/writer.h"

enum { PASS_BYTES = 64 * 1024 };

static const struct {
	struct ap_format_info info;
	int (*write)(struct ap_write_job *job);
} formats[AP_FORMAT_MAX] = {
	[AP_FORMAT_JSON] = {{"json", ".json", "application/json", "Aperture's own, lossless"},
			    ap_write_json},
	[AP_FORMAT_COLLAPSED] = {{"collapsed", ".collapsed", "text/plain; charset=utf-8",
				  "a line per stack"},
				 ap_write_collapsed},
	[AP_FORMAT_PPROF] = {{"pprof", ".pb.gz", "application/octet-stream",
			      "for go tool pprof, Grafana, Pyroscope"},
			     ap_write_pprof},
	[AP_FORMAT_SPEEDSCOPE] = {{"speedscope", ".speedscope.json", "application/json",
				   "for speedscope.app"},
				  ap_write_speedscope},
	[AP_FORMAT_SVG] = {{"svg", ".svg", "image/svg+xml", "a static flame graph"}, ap_write_svg},
	[AP_FORMAT_HTML] = {{"html", ".html", "text/html; charset=utf-8",
			     "one page with the dashboard's flame graph"},
			    ap_write_html},
};

const struct ap_format_info *ap_format_info(enum ap_format f)
{
	return &formats[f].info;
}

int ap_format_by_name(struct ap_str name, enum ap_format *ret)
{
	for (unsigned int i = 0; i < AP_FORMAT_MAX; i++) {
		if (ap_str_is(name, formats[i].info.name)) {
			*ret = (enum ap_format)i;
			return 0;
		}
	}
	return -ENOENT;
}

int ap_format_guess(struct ap_str filename, enum ap_format *ret)
{
	/* The longest endings first. */
	static const struct {
		const char *end;
		enum ap_format format;
	} ends[] = {
		{".speedscope.json", AP_FORMAT_SPEEDSCOPE},
		{".collapsed", AP_FORMAT_COLLAPSED},
		{".folded", AP_FORMAT_COLLAPSED},
		{".pb.gz", AP_FORMAT_PPROF},
		{".pprof", AP_FORMAT_PPROF},
		{".json", AP_FORMAT_JSON},
		{".html", AP_FORMAT_HTML},
		{".htm", AP_FORMAT_HTML},
		{".svg", AP_FORMAT_SVG},
		{".pb", AP_FORMAT_PPROF},
	};

	for (size_t i = 0; i < AP_ARRAY_SIZE(ends); i++) {
		size_t n = strlen(ends[i].end);

		if (filename.n > n &&
		    strncasecmp(filename.p + filename.n - n, ends[i].end, n) == 0) {
			*ret = ends[i].format;
			return 0;
		}
	}
	return -ENOENT;
}

int ap_sink_fd(void *ctx, const void *p, size_t n)
{
	return ap_write_all(*(int *)ctx, p, n);
}

int ap_sink_buf(void *ctx, const void *p, size_t n)
{
	ap_buf_append(ctx, p, n);
	return ap_buf_error(ctx);
}

static void pass_on(struct ap_out *o)
{
	if (o->err == 0 && ap_buf_error(&o->buf) == 0 && o->buf.n)
		o->err = o->sink.write(o->sink.ctx, o->buf.p, o->buf.n);
	if (ap_buf_error(&o->buf) == 0)
		ap_buf_clear(&o->buf);
}

void ap_out_pass(struct ap_out *o)
{
	if (o->buf.n >= PASS_BYTES)
		pass_on(o);
}

int ap_out_finish(struct ap_out *o)
{
	pass_on(o);
	return o->err ? o->err : ap_buf_error(&o->buf);
}

bool ap_profile_has_exact_times(const struct ap_profile *p)
{
	AP_VEC_FOREACH(&p->samples, s)
		if (s->time_ns % (int64_t)AP_NSEC_PER_SEC)
			return true;
	return false;
}

static const struct ap_profile_type *type_of(enum ap_event event, bool is_value)
{
	for (size_t i = 0; i < ap_profile_type_count; i++)
		if (ap_profile_types[i].events == AP_EVENT_BIT(event) &&
		    ap_profile_types[i].is_value == is_value)
			return &ap_profile_types[i];
	return &ap_profile_types[0];
}

const struct ap_profile_type *ap_format_type(enum ap_format f, const struct ap_profile *p,
					     const struct ap_format_options *o)
{
	const struct ap_profile_type *wall = ap_profile_type_find(AP_STR("wall:nanoseconds"));
	bool has_count = false, has_value = false, is_value;
	uint32_t event = AP_EVENT_NONE, events = 0;

	if (o && o->type)
		return o->type;
	AP_VEC_FOREACH(&p->samples, s) {
		if (s->event == AP_EVENT_NONE)
			continue;
		events |= AP_EVENT_BIT(s->event);
		if (event == AP_EVENT_NONE || s->event < event)
			event = s->event;
	}
	/* Who has recorded both wants each thread's time whole. */
	if ((events & wall->events) == wall->events)
		return wall;
	AP_VEC_FOREACH(&p->samples, s) {
		if (s->event != event)
			continue;
		has_count |= s->count != 0;
		has_value |= s->value != 0;
	}
	/* A foreign file may hold only one of the two numbers. */
	is_value = f == AP_FORMAT_COLLAPSED && event == AP_EVENT_CPU ? !has_count : has_value;
	return type_of((enum ap_event)event, is_value || event == AP_EVENT_NONE);
}

void ap_write_title(const struct ap_write_job *job, struct ap_buf *out)
{
	if (job->o.title)
		ap_buf_puts(out, job->o.title);
	else
		ap_buf_printf(out, "Aperture: %s", job->o.type->text);
}

static bool has_several(const struct ap_write_job *job, struct ap_str key)
{
	const struct ap_profile *p = job->p;
	struct ap_str first = {0};

	AP_VEC_FOREACH(&p->samples, s) {
		struct ap_str v = ap_profile_label_value(p, s->labels, key);

		if (!ap_profile_type_has(job->o.type, s->event) || !v.n)
			continue;
		if (first.n && !ap_str_eq(first, v))
			return true;
		first = v;
	}
	return false;
}

int ap_write_tree(const struct ap_write_job *job, struct ap_tree **ret, bool *ret_grouped)
{
	struct ap_tree_rows rows = {.type = job->o.type, .by = job->o.by};
	int r;

	if (!rows.by && has_several(job, AP_STR("comm")))
		rows.by = "comm";
	if (rows.by && !*rows.by)
		rows.by = NULL;
	r = ap_tree_from_rows(job->p, &rows, job->o.max_nodes, ret);
	if (r == 0 && ret_grouped)
		*ret_grouped = rows.by != NULL;
	return r;
}

int ap_format_write(enum ap_format f, const struct ap_profile *p, const struct ap_format_options *o,
		    struct ap_sink sink, struct ap_error *err)
{
	struct ap_write_job job = {.p = p, .out = {.sink = sink}};
	struct ap_error said = {0};
	int r;

	if ((unsigned int)f >= AP_FORMAT_MAX)
		return ap_error_set(err, -EINVAL, "there is no such format");
	if (o)
		job.o = *o;
	job.o.type = ap_format_type(f, p, o);
	job.err = &said;
	r = formats[f].write(&job);
	if (r == 0)
		r = ap_out_finish(&job.out);
	ap_buf_free(&job.out.buf);
	if (r == 0)
		return 0;
	if (said.code)
		return ap_error_set(err, said.code, "%s", said.msg);
	return ap_error_set(err, r, "writing the profile as %s failed: %s", formats[f].info.name,
			    ap_strerror(r));
}

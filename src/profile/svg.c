/* SPDX-License-Identifier: Apache-2.0 */
/* A static flame graph, root on top: no scripts, tooltips by <title>. A frame narrower than a third
 * of a pixel is not drawn, and neither is what stands below it; how many those are is said. */
#include <stdio.h>
#include <time.h>

#include "profile/value.h"
#include "profile/writer.h"

enum {
	WIDTH = 1200,
	MARGIN = 10,
	GRAPH_WIDTH = WIDTH - 2 * MARGIN,
	ROW_HEIGHT = 17,
	TOP = 62,    /* where the root's row begins */
	BOTTOM = 50, /* below the last row: legend and remarks */
	LEGEND_STEP = 110,
	N_SHADES = 4,
};

#define CHAR_WIDTH 6.65 /* of the 11 px monospace font */
#define NARROWEST  0.33

/* Hues of the Okabe-Ito palette, which colour-blind people can tell apart, light enough for dark
 * text; the kinds differ in hue, neighbours in shade. */
static const struct {
	const char *name;
	const char *shades[N_SHADES];
} kinds[AP_FRAME_KIND_MAX] = {
	[AP_FRAME_NATIVE] = {"native", {"#f6c177", "#f2b45f", "#f9cf93", "#eea84a"}},
	[AP_FRAME_KERNEL] = {"kernel", {"#8ec7e8", "#7bbbe2", "#a6d4ef", "#6bb0dc"}},
	[AP_FRAME_JIT] = {"jit", {"#e0b4cf", "#d8a3c4", "#e8c6db", "#cf94b9"}},
	[AP_FRAME_INLINED] = {"inlined", {"#8fd3bd", "#7cc9b0", "#a7dfcd", "#6bbfa4"}},
	[AP_FRAME_GPU] = {"gpu", {"#f2e66b", "#eadb4f", "#f6ee92", "#e2d13a"}},
};

struct svg {
	const struct ap_tree *t;
	struct ap_write_job *job;
	uint64_t *next; /* by depth: where the next node of that depth begins */
	uint32_t rows;
	uint32_t narrow; /* nodes not drawn */
	bool grouped;	 /* the first level is no functions */
	bool seen[AP_FRAME_KIND_MAX];
};

/* XML 1.0 text: control characters cannot stand in it, not even escaped. */
static void put_text(struct ap_buf *out, struct ap_str s)
{
	_cleanup_buf_ struct ap_buf clean = {0};

	ap_buf_utf8(&clean, s);
	if (ap_buf_error(&clean))
		out->err = ap_buf_error(&clean);
	for (size_t i = 0; i < clean.n; i++) {
		uint8_t c = clean.p[i];

		if (c == '&')
			ap_buf_puts(out, "&amp;");
		else if (c == '<')
			ap_buf_puts(out, "&lt;");
		else if (c == '>')
			ap_buf_puts(out, "&gt;");
		else if (c < 0x20 || c == 0x7f)
			ap_buf_puts(out, "\xef\xbf\xbd");
		/* U+FFFE and U+FFFF are valid UTF-8, but no XML. */
		else if (c == 0xef && clean.p[i + 1] == 0xbf && clean.p[i + 2] >= 0xbe)
			i += 2;
		else
			ap_buf_byte(out, c);
	}
}

/* The longest head of `s` that is at most `max` characters. */
static struct ap_str clip(struct ap_str s, size_t max)
{
	size_t n = 0;

	for (; max > 0 && n < s.n; max--) {
		size_t len = ap_str_utf8_len((struct ap_str){s.p + n, s.n - n});

		n += AP_MAX(len, (size_t)1);
	}
	return (struct ap_str){s.p, n};
}

static double width_of(const struct svg *s, uint32_t node)
{
	uint64_t all = s->t->total[0][0];

	return all ? (double)s->t->total[0][node] / (double)all * GRAPH_WIDTH : 0;
}

static unsigned int shade(struct ap_str name)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (uint8_t)name.p[i]) * 16777619u;
	return (h ^ h >> 15) % N_SHADES;
}

static void put_percent(struct ap_buf *out, uint64_t part, uint64_t whole)
{
	_cleanup_buf_ struct ap_buf text = {0};

	ap_value_percent(&text, part, whole);
	put_text(out, ap_buf_view(&text));
}

static void put_tooltip(struct svg *s, uint32_t i)
{
	const struct ap_tree *t = s->t;
	struct ap_buf *out = &s->job->out.buf;
	const char *unit = s->job->o.type->unit;

	ap_buf_puts(out, "<title>");
	put_text(out, t->strings[t->name[i]]);
	if (t->module[i]) {
		ap_buf_puts(out, " (");
		put_text(out, t->strings[t->module[i]]);
		ap_buf_byte(out, ')');
	}
	ap_buf_puts(out, ": ");
	ap_value_text(out, t->total[0][i], unit);
	ap_buf_puts(out, ", ");
	put_percent(out, t->total[0][i], t->total[0][0]);
	ap_buf_puts(out, "; self ");
	ap_value_text(out, t->self[0][i], unit);
	ap_buf_puts(out, "</title>");
}

/* What is no function: the root, a label's value, what was folded. */
static bool is_plain(const struct svg *s, uint32_t i)
{
	const struct ap_tree *t = s->t;

	if (i == 0 || (s->grouped && t->depth[i] == 1 && !t->module[i]))
		return true;
	return !t->module[i] && ap_str_is(t->strings[t->name[i]], "(other)");
}

static void put_frame(struct svg *s, uint32_t i, double x)
{
	const struct ap_tree *t = s->t;
	struct ap_buf *out = &s->job->out.buf;
	struct ap_str name = t->strings[t->name[i]];
	double width = width_of(s, i);
	uint32_t y = TOP + t->depth[i] * ROW_HEIGHT;
	size_t room = width > 2 * CHAR_WIDTH ? (size_t)((width - 5) / CHAR_WIDTH) : 0;
	struct ap_str shown = clip(name, room);

	ap_buf_puts(out, "<g>");
	put_tooltip(s, i);
	ap_buf_printf(out, "<rect x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"%d\" class=\"", x, y,
		      AP_MAX(width, NARROWEST), ROW_HEIGHT - 1);
	if (is_plain(s, i))
		ap_buf_puts(out, "o\"/>");
	else
		ap_buf_printf(out, "k%u%u\"/>", t->kind[i], shade(name));
	if (shown.n < name.n)
		shown = clip(name, room ? room - 1 : 0);
	if (room >= 3 || (room && shown.n == name.n)) {
		ap_buf_printf(out, "<text x=\"%.1f\" y=\"%u\">", x + 3, y + 12);
		put_text(out, shown);
		ap_buf_puts(out, shown.n < name.n ? "…</text>" : "</text>");
	}
	ap_buf_puts(out, "</g>\n");
	ap_out_pass(&s->job->out);
}

/* How many rows there are to draw, and what is too narrow for that. */
static int measure(struct svg *s)
{
	uint32_t depth = 0;

	for (uint32_t i = 0; i < s->t->n; i++) {
		depth = AP_MAX(depth, s->t->depth[i]);
		if (i && width_of(s, i) < NARROWEST) {
			s->narrow++;
			continue;
		}
		s->rows = AP_MAX(s->rows, s->t->depth[i] + 1);
		if (!is_plain(s, i))
			s->seen[s->t->kind[i]] = true;
	}
	s->next = calloc((size_t)depth + 2, sizeof(*s->next));
	return s->next ? 0 : -ENOMEM;
}

static void put_frames(struct svg *s)
{
	double scale = s->t->total[0][0] ? GRAPH_WIDTH / (double)s->t->total[0][0] : 0;

	for (uint32_t i = 0; i < s->t->n; i++) {
		uint32_t depth = s->t->depth[i];
		uint64_t start = s->next[depth];

		s->next[depth] += s->t->total[0][i];
		s->next[depth + 1] = start;
		if (i == 0 || width_of(s, i) >= NARROWEST)
			put_frame(s, i, MARGIN + (double)start * scale);
	}
}

static void put_style(struct ap_buf *out)
{
	ap_buf_puts(out, "<style>text{font:11px ui-monospace,Menlo,Consolas,\"DejaVu Sans "
			 "Mono\",monospace;fill:#1a1a1a;white-space:pre}"
			 ".h{font-size:17px}.s{fill:#555}rect.o{fill:#dcdcdc}"
			 "g:hover>rect{stroke:#1a1a1a}");
	for (unsigned int k = 0; k < AP_FRAME_KIND_MAX; k++)
		for (unsigned int n = 0; n < N_SHADES; n++)
			ap_buf_printf(out, ".k%u%u{fill:%s}", k, n, kinds[k].shades[n]);
	ap_buf_puts(out, "</style>\n");
}

/* "12.3 s · 2026-11-23 10:00:00 UTC". */
static void put_subtitle(const struct svg *s, struct ap_buf *out)
{
	time_t start = (time_t)(s->job->p->start_ns / 1000000000);
	struct tm tm;
	char when[64];

	ap_buf_puts(out, s->job->o.type->text);
	ap_buf_puts(out, ": ");
	ap_value_text(out, s->t->total[0][0], s->job->o.type->unit);
	if (start > 0 && gmtime_r(&start, &tm)) {
		strftime(when, sizeof(when), " · %Y-%m-%d %H:%M:%S UTC", &tm);
		ap_buf_puts(out, when);
	}
	if (s->job->p->end_ns > s->job->p->start_ns && start > 0) {
		ap_buf_puts(out, " for ");
		ap_value_text(out, (uint64_t)s->job->p->end_ns - (uint64_t)s->job->p->start_ns,
			      "nanoseconds");
	}
}

static void put_head(struct svg *s)
{
	struct ap_buf *out = &s->job->out.buf;
	_cleanup_buf_ struct ap_buf title = {0};
	uint32_t height = TOP + s->rows * ROW_HEIGHT + BOTTOM;

	ap_write_title(s->job, &title);
	ap_buf_printf(out,
		      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
		      "viewBox=\"0 0 %d %u\">\n<title>",
		      WIDTH, height, WIDTH, height);
	put_text(out, ap_buf_view(&title));
	ap_buf_puts(out, "</title>\n");
	put_style(out);
	ap_buf_puts(out, "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
	ap_buf_printf(out, "<text class=\"h\" x=\"%d\" y=\"26\">", MARGIN);
	put_text(out, ap_buf_view(&title));
	ap_buf_printf(out, "</text>\n<text class=\"s\" x=\"%d\" y=\"46\">", MARGIN);
	put_subtitle(s, out);
	ap_buf_puts(out, "</text>\n");
}

static void put_foot(struct svg *s)
{
	struct ap_buf *out = &s->job->out.buf;
	uint32_t y = TOP + s->rows * ROW_HEIGHT + 10;
	int x = MARGIN;

	for (unsigned int k = 0; k < AP_FRAME_KIND_MAX; k++) {
		if (!s->seen[k])
			continue;
		ap_buf_printf(out,
			      "<rect x=\"%d\" y=\"%u\" width=\"11\" height=\"11\" class=\"k%u0\"/>"
			      "<text x=\"%d\" y=\"%u\">%s</text>\n",
			      x, y, k, x + 16, y + 10, kinds[k].name);
		x += LEGEND_STEP;
	}
	if (s->narrow || s->t->folded_nodes) {
		ap_buf_printf(out, "<text class=\"s\" x=\"%d\" y=\"%u\">", MARGIN, y + 28);
		ap_value_grouped(out, s->narrow);
		ap_buf_puts(out, " frames too narrow to draw, ");
		ap_value_grouped(out, s->t->folded_nodes);
		ap_buf_puts(out, " folded into (other) with ");
		put_percent(out, s->t->folded_total[0], s->t->total[0][0]);
		ap_buf_puts(out, "</text>\n");
	}
	ap_buf_puts(out, "</svg>\n");
}

int ap_write_svg(struct ap_write_job *job)
{
	_cleanup_(ap_cleanup_tree) struct ap_tree *tree = NULL;
	struct svg s = {.job = job};
	int r = ap_write_tree(job, &tree, &s.grouped);

	if (r < 0)
		return r;
	s.t = tree;
	r = measure(&s);
	if (r < 0)
		return r;
	put_head(&s);
	put_frames(&s);
	put_foot(&s);
	free(s.next);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include "base/text.h"
#include "cli/cell.h"

enum { NUMBERS_WIDTH = 30, FUNCTION_WIDTH_MIN = 20, LOCATION_WIDTH = 34 };

/* Control characters, C1 ones too, could drive the reader's terminal; invisible ones that order or join
 * text would show another name than there is. `len` bytes of UTF-8. */
static bool is_control(const unsigned char *c, size_t len)
{
	if (len == 1)
		return c[0] < 0x20 || c[0] == 0x7f;
	if (len == 2)
		return c[0] == 0xc2 && c[1] < 0xa0;
	if (len != 3)
		return false;
	return (c[0] == 0xe2 && c[1] == 0x80 && c[2] >= 0x8b && c[2] <= 0x8f) || /* U+200B … */
	       (c[0] == 0xe2 && c[1] == 0x80 && c[2] >= 0xa8 && c[2] <= 0xae) || /* U+2028 … */
	       (c[0] == 0xe2 && c[1] == 0x81 && c[2] >= 0xa0 && c[2] <= 0xaf) || /* U+2060 … */
	       (c[0] == 0xef && c[1] == 0xbb && c[2] == 0xbf);			 /* U+FEFF */
}

void ap_report_text(struct ap_buf *out, struct ap_str s, size_t max)
{
	size_t shown = 0;

	while (s.n) {
		size_t len = ap_str_utf8_len(s);

		if (max && shown + 1 == max && len < s.n) {
			ap_buf_puts(out, "…");
			return;
		}
		if (len == 0 || is_control((const unsigned char *)s.p, len))
			ap_buf_byte(out, '?');
		else
			ap_buf_append(out, s.p, len);
		len = AP_MAX(len, (size_t)1);
		s.p += len;
		s.n -= len;
		shown++;
	}
}

void ap_report_colour(struct ap_buf *out, const struct ap_report_style *style,
		      enum ap_report_colour colour)
{
	static const char *const codes[] = {
		[AP_REPORT_PLAIN] = "\033[0m",	 [AP_REPORT_DIM] = "\033[2m",
		[AP_REPORT_BOLD] = "\033[1m",	 [AP_REPORT_HOT] = "\033[1;31m",
		[AP_REPORT_KERNEL] = "\033[36m", [AP_REPORT_INLINED] = "\033[32m",
		[AP_REPORT_JIT] = "\033[35m",
	};

	if (style->terminal.colour)
		ap_buf_puts(out, codes[colour]);
}

enum ap_report_colour ap_report_kind_colour(enum ap_frame_kind kind)
{
	return kind == AP_FRAME_KERNEL	  ? AP_REPORT_KERNEL
	       : kind == AP_FRAME_INLINED ? AP_REPORT_INLINED
	       : kind == AP_FRAME_JIT	  ? AP_REPORT_JIT
					  : AP_REPORT_PLAIN;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100 * (double)part / (double)whole : 0;
}

/* The column's heading says what the counts are. */
static void put_value(struct ap_buf *out, uint64_t v, const char *unit, size_t width)
{
	ap_cell_value(out, v, strcmp(unit, "samples") == 0 ? "count" : unit, width);
}

static void put_share(struct ap_buf *out, const struct ap_report_style *style, uint64_t part,
		      uint64_t whole, bool heat)
{
	double share = percent(part, whole);

	if (heat)
		ap_report_colour(out, style,
				 share >= 10  ? AP_REPORT_HOT
				 : share >= 1 ? AP_REPORT_BOLD
					      : AP_REPORT_DIM);
	ap_buf_printf(out, "%6.1f %%", share);
	if (heat)
		ap_report_colour(out, style, AP_REPORT_PLAIN);
}

struct level {
	uint32_t lines, line; /* below this node: how many, and how many are drawn */
	size_t prefix;	      /* bytes of drawer.prefix that stand before its children */
	uint32_t n_hidden;    /* children too small or too deep to show */
	uint64_t hidden;      /* what they hold */
};

struct drawer {
	const struct ap_tree *t;
	const struct ap_report_style *style;
	struct ap_buf *out, prefix;
	uint32_t *after;
	AP_VEC(struct level) path; /* the nodes on the way to the current one */
};

static bool is_shown(const struct drawer *d, uint32_t i)
{
	if (i == 0)
		return true;
	if (d->style->depth && d->t->depth[i] > d->style->depth)
		return false;
	return percent(d->t->total[0][i], d->t->total[0][0]) >= d->style->min_percent;
}

/* Per node, the next one in preorder that is not below it. */
static int find_after(struct drawer *d)
{
	const struct ap_tree *t = d->t;
	AP_VEC(uint32_t) open = {0};
	int r = 0;

	d->after = calloc(t->n, sizeof(*d->after));
	if (!d->after)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->n && r == 0; i++) {
		while (open.n > t->depth[i])
			d->after[open.p[--open.n]] = i;
		r = ap_vec_push(&open, i);
	}
	while (open.n)
		d->after[open.p[--open.n]] = t->n;
	ap_vec_free(&open);
	return r;
}

static struct level level_of(const struct drawer *d, uint32_t i, size_t prefix)
{
	struct level l = {.prefix = prefix};

	for (uint32_t c = i + 1; c < d->after[i]; c = d->after[c]) {
		if (is_shown(d, c)) {
			l.lines++;
			continue;
		}
		l.n_hidden++;
		l.hidden += d->t->total[0][c];
	}
	if (l.n_hidden && percent(l.hidden, d->t->total[0][0]) >= d->style->min_percent)
		l.lines++;
	else
		l.n_hidden = 0;
	return l;
}

/* What stands left of a name below `parent`; leaves in `prefix` what stands left of its children. */
static void put_branch(struct drawer *d, struct level *parent)
{
	bool last = ++parent->line == parent->lines;

	d->prefix.n = parent->prefix;
	ap_buf_str(d->out, ap_buf_view(&d->prefix));
	if (parent->lines == 1)
		return;
	ap_buf_puts(d->out, last ? "└─ " : "├─ ");
	ap_buf_puts(&d->prefix, last ? "   " : "│  ");
}

/* Columns that are left for a name. 0: it is not cut. */
static size_t room(const struct drawer *d)
{
	size_t used = NUMBERS_WIDTH;

	if (!d->style->width)
		return 0;
	used += ap_text_columns(ap_buf_view(&d->prefix));
	return used + FUNCTION_WIDTH_MIN < d->style->width ? d->style->width - used
							   : FUNCTION_WIDTH_MIN;
}

static void put_numbers(struct drawer *d, uint64_t total, uint64_t self)
{
	uint64_t all = d->t->total[0][0];

	put_share(d->out, d->style, total, all, false);
	put_value(d->out, total, d->style->unit, 10);
	put_share(d->out, d->style, self, all, true);
	ap_buf_puts(d->out, "    ");
}

/* The line that stands for the children that are not shown, as the last one below its parent. */
static void close_level(struct drawer *d)
{
	struct level *l = &d->path.p[d->path.n - 1];

	if (l->n_hidden) {
		put_numbers(d, l->hidden, 0);
		put_branch(d, l);
		ap_report_colour(d->out, d->style, AP_REPORT_DIM);
		ap_buf_printf(d->out, "… %u more", l->n_hidden);
		ap_report_colour(d->out, d->style, AP_REPORT_PLAIN);
		ap_buf_byte(d->out, '\n');
	}
	d->path.n--;
}

static int draw_node(struct drawer *d, uint32_t i)
{
	const struct ap_tree *t = d->t;
	struct ap_str name = t->strings[t->name[i]], module = t->strings[t->module[i]];
	size_t left;

	put_numbers(d, t->total[0][i], t->self[0][i]);
	d->prefix.n = 0;
	if (i)
		put_branch(d, &d->path.p[d->path.n - 1]);
	left = room(d);
	ap_report_colour(d->out, d->style, ap_report_kind_colour((enum ap_frame_kind)t->kind[i]));
	ap_report_text(d->out, name, left);
	ap_report_colour(d->out, d->style, AP_REPORT_PLAIN);
	if (module.n && (!left || name.n + module.n + 3 <= left)) {
		ap_report_colour(d->out, d->style, AP_REPORT_DIM);
		ap_buf_puts(d->out, "  ");
		ap_report_text(d->out, module, 0);
		ap_report_colour(d->out, d->style, AP_REPORT_PLAIN);
	}
	ap_buf_byte(d->out, '\n');
	return ap_vec_push(&d->path, level_of(d, i, d->prefix.n));
}

int ap_report_tree(struct ap_buf *out, const struct ap_tree *t, const struct ap_report_style *style)
{
	struct drawer d = {.t = t, .style = style, .out = out};
	uint32_t i = 0;
	int r = find_after(&d);

	ap_report_colour(out, style, AP_REPORT_BOLD);
	ap_buf_printf(out, "%8s%10s%8s    %s\n", "TOTAL", "", "SELF", style->title ?: "CALL TREE");
	ap_report_colour(out, style, AP_REPORT_PLAIN);
	while (i < t->n && r == 0) {
		while (d.path.n > t->depth[i])
			close_level(&d);
		if (is_shown(&d, i)) {
			r = draw_node(&d, i);
			i++;
		} else {
			i = d.after[i];
		}
	}
	while (d.path.n)
		close_level(&d);
	if (ap_buf_error(&d.prefix))
		r = ap_buf_error(&d.prefix);
	ap_buf_free(&d.prefix);
	free(d.after);
	ap_vec_free(&d.path);
	return r;
}

static void put_location(struct ap_buf *out, const struct ap_top_row *row)
{
	_cleanup_buf_ struct ap_buf where = {0};
	struct ap_str file = row->file;

	/* The end of a path tells more than its beginning. */
	if (file.n > LOCATION_WIDTH) {
		ap_buf_puts(&where, "…");
		file.p += file.n - LOCATION_WIDTH;
		file.n = LOCATION_WIDTH;
	}
	ap_report_text(&where, file, 0);
	if (row->line)
		ap_buf_printf(&where, ":%u", row->line);
	ap_buf_str(out, ap_buf_view(&where));
}

void ap_report_top(struct ap_buf *out, const struct ap_top *t, const struct ap_report_style *style)
{
	size_t left = 0;

	if (style->width)
		left = style->width > NUMBERS_WIDTH + FUNCTION_WIDTH_MIN
			       ? style->width - NUMBERS_WIDTH
			       : FUNCTION_WIDTH_MIN;
	ap_report_colour(out, style, AP_REPORT_BOLD);
	ap_buf_printf(out, "%8s%10s%8s    %s\n", "SELF", "", "TOTAL", "FUNCTION");
	ap_report_colour(out, style, AP_REPORT_PLAIN);
	for (uint32_t i = 0; i < t->n; i++) {
		const struct ap_top_row *row = &t->rows[i];
		size_t used = row->name.n + row->module.n + 4;

		put_share(out, style, row->self[0], t->total[0], true);
		put_value(out, row->self[0], style->unit, 10);
		put_share(out, style, row->total[0], t->total[0], false);
		ap_buf_puts(out, "    ");
		ap_report_colour(out, style, ap_report_kind_colour(row->kind));
		ap_report_text(out, row->name, left);
		ap_report_colour(out, style, AP_REPORT_DIM);
		if (row->module.n && (!left || used <= left)) {
			ap_buf_puts(out, "  ");
			ap_report_text(out, row->module, 0);
		}
		if (row->file.n && (!left || used + LOCATION_WIDTH + 12 <= left)) {
			ap_buf_puts(out, "  ");
			put_location(out, row);
		}
		ap_report_colour(out, style, AP_REPORT_PLAIN);
		ap_buf_byte(out, '\n');
	}
	if (t->n < t->n_functions)
		ap_buf_printf(out, "%30s%u more functions: --top %u shows them\n", "",
			      t->n_functions - t->n, t->n_functions);
}

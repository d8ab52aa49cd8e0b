/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>

#include "aggregator/query/filter.h"
#include "aggregator/query/filter_regex.h"

enum { MATCHERS_MAX = 64, VALUE_MAX = 4096, REGEX_MAX = 1024 };

struct parser {
	struct ap_str text;
	size_t at;
	struct ap_error *err;
	struct ap_filter *f;
};

static int fail(struct parser *p, int code, size_t at, const char *what)
{
	p->at = at;
	return ap_error_set(p->err, code, "selector, byte %zu: %s", at, what);
}

static int peek(const struct parser *p)
{
	return p->at < p->text.n ? (unsigned char)p->text.p[p->at] : -1;
}

static void skip_space(struct parser *p)
{
	while (isspace(peek(p)))
		p->at++;
}

static bool name_char(int c, bool first)
{
	return c >= 0 && c < 0x80 &&
	       (isalpha(c) || c == '_' || (!first && (isdigit(c) || strchr(".:/-", c)))) && c != 0;
}

bool ap_label_name_ok(struct ap_str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!name_char((unsigned char)s.p[i], i == 0))
			return false;
	return s.n > 0;
}

static int parse_name(struct parser *p, struct ap_str *ret)
{
	size_t start = p->at;

	while (name_char(peek(p), p->at == start))
		p->at++;
	if (p->at == start)
		return fail(p, -EINVAL, start, "a label's name is expected, as in {service=\"x\"}");
	*ret = (struct ap_str){p->text.p + start, p->at - start};
	return 0;
}

static int parse_op(struct parser *p, enum ap_filter_op *ret)
{
	struct ap_str rest = {p->text.p + p->at, p->text.n - p->at};
	size_t n = 2;

	if (ap_str_starts(rest, AP_STR("=~")))
		*ret = AP_FILTER_RE;
	else if (ap_str_starts(rest, AP_STR("!~")))
		*ret = AP_FILTER_NRE;
	else if (ap_str_starts(rest, AP_STR("!=")))
		*ret = AP_FILTER_NE;
	else if (ap_str_starts(rest, AP_STR("="))) {
		*ret = AP_FILTER_EQ;
		n = 1;
	} else {
		return fail(p, -EINVAL, p->at, "one of = != =~ !~ is expected after the label");
	}
	p->at += n;
	return 0;
}

static int hex_digit(int c)
{
	return isdigit(c) ? c - '0' : isxdigit(c) ? tolower(c) - 'a' + 10 : -1;
}

static int parse_escape(struct parser *p, struct ap_buf *out)
{
	static const char from[] = "\\\"'nrt", to[] = "\\\"'\n\r\t";
	int c, high, low;

	p->at++;
	c = peek(p);
	if (c == 'x') {
		high = p->at + 1 < p->text.n ? hex_digit((unsigned char)p->text.p[p->at + 1]) : -1;
		low = p->at + 2 < p->text.n ? hex_digit((unsigned char)p->text.p[p->at + 2]) : -1;
		if (high < 0 || low < 0)
			return fail(p, -EINVAL, p->at - 1, "\\x takes two hexadecimal digits");
		ap_buf_byte(out, (uint8_t)(high << 4 | low));
		p->at += 3;
		return 0;
	}
	if (c <= 0 || !strchr(from, c))
		return fail(
			p, -EINVAL, p->at - 1,
			"unknown escape: \\\\ \\\" \\' \\n \\r \\t \\xHH are known (in a regular "
			"expression write \\\\, or quote it with backticks)");
	ap_buf_byte(out, (uint8_t)to[strchr(from, c) - from]);
	p->at++;
	return 0;
}

static int parse_string(struct parser *p, struct ap_buf *out)
{
	size_t start = p->at;
	int quote = peek(p), r;

	if (quote != '"' && quote != '\'' && quote != '`')
		return fail(p, -EINVAL, start, "a quoted value is expected, as in {service=\"x\"}");
	p->at++;
	while (peek(p) != quote) {
		if (peek(p) < 0)
			return fail(p, -EINVAL, start, "this quote is never closed");
		if (peek(p) == '\\' && quote != '`') {
			r = parse_escape(p, out);
			if (r < 0)
				return r;
		} else {
			ap_buf_byte(out, (uint8_t)p->text.p[p->at++]);
		}
		if (out->n > VALUE_MAX)
			return fail(p, -E2BIG, start, "the value is longer than 4096 bytes");
	}
	p->at++;
	if (!ap_str_utf8_ok(ap_buf_view(out)) || (out->n && memchr(out->p, 0, out->n)))
		return fail(p, -EINVAL, start, "the value must be UTF-8 without NUL");
	return ap_buf_error(out);
}

static int compile(struct parser *p, struct ap_matcher *m, size_t start)
{
	struct ap_error why = {0};
	size_t in_regex;
	char what[400];
	int r;

	if (m->value.n > REGEX_MAX)
		return fail(p, -E2BIG, start, "the regular expression is longer than 1024 bytes");
	r = ap_regex_new(m->value, &m->regex, &in_regex, &why);
	if (r < 0) {
		snprintf(what, sizeof(what), "in the regular expression, byte %zu: %s", in_regex,
			 why.msg[0] ? why.msg : ap_strerror(r));
		return fail(p, r, start, what);
	}
	return 0;
}

static int parse_matcher(struct parser *p)
{
	_cleanup_buf_ struct ap_buf value = {0};
	struct ap_matcher *m;
	enum ap_filter_op op = AP_FILTER_EQ;
	struct ap_str label;
	size_t start;
	int r;

	if (p->f->n == MATCHERS_MAX)
		return fail(p, -E2BIG, p->at, "more than 64 matchers");
	r = parse_name(p, &label);
	if (r < 0)
		return r;
	skip_space(p);
	r = parse_op(p, &op);
	if (r < 0)
		return r;
	skip_space(p);
	start = p->at;
	r = parse_string(p, &value);
	if (r < 0)
		return r;
	m = &p->f->matchers[p->f->n++];
	m->op = op;
	m->label = (struct ap_str){ap_str_dup(label), label.n};
	m->value = (struct ap_str){ap_str_dup(ap_buf_view(&value)), value.n};
	if (!m->label.p || !m->value.p)
		return -ENOMEM;
	return op == AP_FILTER_RE || op == AP_FILTER_NRE ? compile(p, m, start) : 0;
}

static int parse_all(struct parser *p)
{
	int r;

	skip_space(p);
	if (peek(p) < 0)
		return 0;
	if (peek(p) != '{')
		return fail(p, -EINVAL, p->at, "a selector begins with {, as in {service=\"x\"}");
	p->at++;
	for (;;) {
		skip_space(p);
		if (peek(p) == '}')
			break;
		r = parse_matcher(p);
		if (r < 0)
			return r;
		skip_space(p);
		if (peek(p) == ',')
			p->at++;
		else if (peek(p) != '}')
			return fail(p, -EINVAL, p->at, "a comma or } is expected after a value");
	}
	p->at++;
	skip_space(p);
	if (peek(p) >= 0)
		return fail(p, -EINVAL, p->at, "nothing may follow the }");
	return 0;
}

int ap_filter_parse(struct ap_str text, struct ap_filter **ret, size_t *ret_pos,
		    struct ap_error *err)
{
	_cleanup_(ap_cleanup_filter) struct ap_filter *f = calloc(1, sizeof(*f));
	struct parser p = {.text = text, .err = err, .f = f};
	int r;

	if (!f)
		return -ENOMEM;
	f->matchers = calloc(MATCHERS_MAX, sizeof(*f->matchers));
	if (!f->matchers)
		return -ENOMEM;
	r = parse_all(&p);
	if (r == 0)
		*ret = AP_TAKE_PTR(f);
	else if (ret_pos)
		*ret_pos = p.at;
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The two libraries agree on the plain language of regular expressions; at the edges one refuses
 * what the other takes, or both take it for different things. This walks an expression and passes
 * only what is the same. RE2: https://github.com/google/re2/wiki/Syntax; PCRE2: pcre2pattern(3). */
#include "aggregator/query/regex.h"

#include <ctype.h>

struct walk {
	struct ap_str re;
	size_t at;
	struct ap_buf *out;
	struct ap_error *err;
};

static int refuse(struct walk *w, size_t at, const char *what)
{
	w->at = at;
	return ap_error_set(w->err, -EINVAL, "%s", what);
}

static int peek(const struct walk *w, size_t ahead)
{
	return w->at + ahead < w->re.n ? (unsigned char)w->re.p[w->at + ahead] : -1;
}

static void copy(struct walk *w, size_t n)
{
	ap_buf_append(w->out, w->re.p + w->at, n);
	w->at += n;
}

/* \xHH or \x{H…} */
static int hex_escape(struct walk *w)
{
	size_t n = 2, digits = 0;
	bool braces = peek(w, n) == '{';

	n += braces;
	while (isxdigit(peek(w, n)) && digits < (braces ? 6 : 2)) {
		n++;
		digits++;
	}
	if (digits == 0 || (!braces && digits != 2) || (braces && peek(w, n) != '}'))
		return refuse(w, w->at, "a hexadecimal escape is \\x41 or \\x{1F600}");
	copy(w, n + braces);
	return 0;
}

static int escape(struct walk *w, bool in_class)
{
	int c = peek(w, 1);

	if (c < 0)
		return refuse(w, w->at, "the expression ends in a backslash");
	if (c == 'x')
		return hex_escape(w);
	/* RE2's \s has no vertical tab, PCRE2's has. */
	if (c == 's' || (c == 'S' && !in_class)) {
		if (in_class)
			ap_buf_puts(w->out, "\\t\\n\\f\\r ");
		else
			ap_buf_puts(w->out, c == 's' ? "[\\t\\n\\f\\r ]" : "[^\\t\\n\\f\\r ]");
		w->at += 2;
		return 0;
	}
	if (strchr("dDwWaftnr", c) || (!in_class && strchr("bBAz", c)) ||
	    (c < 0x80 && ispunct(c))) {
		copy(w, 2);
		return 0;
	}
	return refuse(
		w, w->at,
		isdigit(c)
			? "back references and octal escapes are not supported"
			: "this escape is not supported: \\d \\D \\w \\W \\s \\S \\b \\B \\A \\z "
			  "\\a \\f \\t \\n \\r \\xHH and escaped punctuation are");
}

/* [[:alpha:]]: 0 copied, 1 not one, negative refused. */
static int posix_class(struct walk *w)
{
	static const char *const names[] = {"alnum", "alpha", "ascii", "blank", "cntrl",
					    "digit", "graph", "lower", "print", "punct",
					    "upper", "word",  "xdigit"};
	struct ap_str rest = {w->re.p + w->at, w->re.n - w->at};
	size_t colon = 2 + (peek(w, 2) == '^');

	if (peek(w, 1) != ':')
		return peek(w, 1) == '.' || peek(w, 1) == '='
			       ? refuse(w, w->at, "collating elements are not supported")
			       : 1;
	for (size_t i = 0; i < AP_ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i]);

		if (rest.n >= colon + n + 2 && memcmp(rest.p + colon, names[i], n) == 0 &&
		    rest.p[colon + n] == ':' && rest.p[colon + n + 1] == ']') {
			copy(w, colon + n + 2);
			return 0;
		}
	}
	return refuse(w, w->at, "not a known character class, such as [:alpha:]");
}

/* A member of a bracket expression that can be the end of a range. */
static bool is_set_escape(const struct walk *w)
{
	return (peek(w, 0) == '\\' && peek(w, 1) > 0 && strchr("dDwWsS", peek(w, 1))) ||
	       (peek(w, 0) == '[' && peek(w, 1) == ':');
}

static int bracket_member(struct walk *w)
{
	int r;

	if (peek(w, 0) == '\\')
		return escape(w, true);
	if (peek(w, 0) == '[') {
		r = posix_class(w);
		if (r <= 0)
			return r;
		ap_buf_byte(w->out, '\\');
	}
	copy(w, 1);
	return 0;
}

static int bracket(struct walk *w)
{
	size_t start = w->at, members = 0;
	int r;

	copy(w, 1);
	if (peek(w, 0) == '^')
		copy(w, 1);
	while (peek(w, 0) != ']' || members == 0) {
		bool is_set = is_set_escape(w);

		if (peek(w, 0) < 0)
			return refuse(w, start, "a [ without its ]");
		if (peek(w, 0) == '-' && members > 0 && peek(w, 1) != ']')
			return refuse(w, w->at,
				      "a - within [ ] is written \\- or stands at an end");
		r = bracket_member(w);
		if (r < 0)
			return r;
		members++;
		if (peek(w, 0) != '-' || peek(w, 1) == ']' || peek(w, 1) < 0)
			continue;
		copy(w, 1);
		if (is_set || is_set_escape(w))
			return refuse(w, w->at, "a class cannot be the end of a range");
		r = bracket_member(w);
		if (r < 0)
			return r;
	}
	copy(w, 1);
	return 0;
}

static int group(struct walk *w)
{
	size_t n = 2;

	if (peek(w, 1) == '*')
		return refuse(w, w->at, "verbs are not supported");
	if (peek(w, 1) != '?') {
		copy(w, 1);
		return 0;
	}
	while (peek(w, n) > 0 && strchr("ims-", peek(w, n)))
		n++;
	if (peek(w, n) == ':' || (peek(w, n) == ')' && n > 2)) {
		if (n > 2 && memchr(w->re.p + w->at + 2, 'm', n - 2))
			return refuse(w, w->at, "the flag m is not supported");
		copy(w, n + (peek(w, n) == ':'));
		return 0;
	}
	return refuse(w, w->at,
		      "of groups, (…), (?:…), (?i) and (?s) are supported; look-around is not");
}

/* {n}, {n,} or {n,m} after an atom: its length, 0 if it is none, -1 if it is too large. */
static int counted(const struct walk *w)
{
	size_t n = 1;
	unsigned int value[2] = {0, 0}, which = 0, digits = 0;

	for (;; n++) {
		int c = peek(w, n);

		if (isdigit(c)) {
			value[which] = value[which] * 10 + (unsigned int)(c - '0');
			digits += which == 0;
			if (value[which] > 1000)
				return -1;
		} else if (c == ',' && which == 0 && digits) {
			which = 1;
		} else {
			return c == '}' && digits ? (int)n + 1 : 0;
		}
	}
}

static int quantifier(struct walk *w)
{
	int n = 1;

	if (peek(w, 0) == '{') {
		n = counted(w);
		if (n < 0)
			return refuse(w, w->at, "more than 1000 repetitions are not supported");
		if (n == 0)
			return refuse(w, w->at, "a { that is not a repetition is written \\{");
	}
	copy(w, (size_t)n);
	if (peek(w, 0) == '?')
		copy(w, 1);
	if (peek(w, 0) > 0 && strchr("*+?{", peek(w, 0)))
		return refuse(w, w->at, "a repetition cannot be repeated: group it, as in (?:a+)*");
	return 0;
}

int ap_regex_translate(struct ap_str re, struct ap_buf *out, size_t *ret_pos, struct ap_error *err)
{
	struct walk w = {.re = re, .out = out, .err = err};
	int r = 0;

	if (!ap_str_utf8_ok(re) || (re.n && memchr(re.p, 0, re.n)))
		r = refuse(&w, 0, "an expression must be UTF-8 without NUL");
	while (r == 0 && w.at < re.n) {
		switch (re.p[w.at]) {
		case '\\':
			r = escape(&w, false);
			break;
		case '[':
			r = bracket(&w);
			break;
		case '(':
			r = group(&w);
			break;
		case '*':
		case '+':
		case '?':
		case '{':
			r = quantifier(&w);
			break;
		default:
			copy(&w, 1);
		}
	}
	*ret_pos = w.at;
	return r ?: ap_buf_error(out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <ctype.h>
#include <math.h>

int ap_str_cmp(struct ap_str a, struct ap_str b)
{
	size_t n = AP_MIN(a.n, b.n);
	int r = n ? memcmp(a.p, b.p, n) : 0;

	if (r)
		return r;
	return a.n < b.n ? -1 : a.n > b.n;
}

bool ap_str_starts(struct ap_str s, struct ap_str prefix)
{
	return s.n >= prefix.n && ap_str_eq((struct ap_str){s.p, prefix.n}, prefix);
}

bool ap_str_ends(struct ap_str s, struct ap_str suffix)
{
	return s.n >= suffix.n &&
	       ap_str_eq((struct ap_str){s.p + (s.n - suffix.n), suffix.n}, suffix);
}

struct ap_str ap_str_trim(struct ap_str s)
{
	while (s.n && isspace((unsigned char)s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n && isspace((unsigned char)s.p[s.n - 1]))
		s.n--;
	return s;
}

ssize_t ap_str_find(struct ap_str s, char c)
{
	const char *q = s.n ? memchr(s.p, c, s.n) : NULL;

	return q ? q - s.p : -1;
}

struct ap_str ap_str_cut(struct ap_str *s, char sep)
{
	ssize_t i = ap_str_find(*s, sep);
	struct ap_str head = *s;

	if (i < 0) {
		*s = (struct ap_str){NULL, 0};
		return head;
	}
	head.n = (size_t)i;
	s->p += i + 1;
	s->n -= (size_t)i + 1;
	return head;
}

size_t ap_str_utf8_len(struct ap_str s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t n = s.n;
	unsigned char c;

	if (n == 0)
		return 0;
	c = p[0];
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return n >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
	if (c >= 0xe0 && c <= 0xef) {
		if (n < 3 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80)
			return 0;
		if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f))
			return 0;
		return 3;
	}
	if (c >= 0xf0 && c <= 0xf4) {
		if (n < 4 || (p[1] & 0xc0) != 0x80 || (p[2] & 0xc0) != 0x80 ||
		    (p[3] & 0xc0) != 0x80)
			return 0;
		if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

bool ap_str_utf8_ok(struct ap_str s)
{
	while (s.n) {
		uint64_t eight = UINT64_MAX;
		size_t len;

		/* Nearly all text is ASCII. */
		if (s.n >= sizeof(eight))
			memcpy(&eight, s.p, sizeof(eight));
		len = eight & 0x8080808080808080ull ? ap_str_utf8_len(s) : sizeof(eight);
		if (!len)
			return false;
		s.p += len;
		s.n -= len;
	}
	return true;
}

char *ap_str_dup(struct ap_str s)
{
	char *d = malloc(s.n + 1);

	if (!d)
		return NULL;
	if (s.n)
		memcpy(d, s.p, s.n);
	d[s.n] = '\0';
	return d;
}

/* strtoX() wants NUL: numbers are short, so they are copied here. False: empty or too long. */
static bool number_text(struct ap_str s, char buf[static 64])
{
	if (s.n == 0 || s.n >= 64)
		return false;
	memcpy(buf, s.p, s.n);
	buf[s.n] = '\0';
	return strlen(buf) == s.n && !isspace((unsigned char)buf[0]);
}

int ap_parse_u64(struct ap_str s, uint64_t *ret)
{
	char buf[64], *end;
	unsigned long long v;

	if (!number_text(s, buf) || !isdigit((unsigned char)buf[0]))
		return -EINVAL;
	errno = 0;
	v = strtoull(buf, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end)
		return -EINVAL;
	*ret = v;
	return 0;
}

int ap_parse_i64(struct ap_str s, int64_t *ret)
{
	char buf[64], *end;
	long long v;

	if (!number_text(s, buf) || buf[0] == '+')
		return -EINVAL;
	errno = 0;
	v = strtoll(buf, &end, 10);
	if (errno)
		return -ERANGE;
	if (*end || end == buf)
		return -EINVAL;
	*ret = v;
	return 0;
}

int ap_parse_double(struct ap_str s, double *ret)
{
	char buf[64], *end;
	double v;

	if (!number_text(s, buf))
		return -EINVAL;
	v = strtod(buf, &end);
	if (*end || end == buf || !isfinite(v))
		return -EINVAL;
	*ret = v;
	return 0;
}

/* Splits "12.5 MiB" into 12.5 and the unit's text. */
static int number_and_unit(struct ap_str s, double *ret_v, struct ap_str *ret_unit)
{
	size_t i = 0;

	s = ap_str_trim(s);
	while (i < s.n && (isdigit((unsigned char)s.p[i]) || s.p[i] == '.'))
		i++;
	*ret_unit = ap_str_trim((struct ap_str){s.p + i, s.n - i});
	return ap_parse_double((struct ap_str){s.p, i}, ret_v);
}

struct unit {
	const char *name;
	double factor;
};

static int scale(struct ap_str s, const struct unit *units, size_t n, uint64_t *ret)
{
	struct ap_str unit;
	double v;
	int r = number_and_unit(s, &v, &unit);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (unit.n != strlen(units[i].name) ||
		    (unit.n && strncasecmp(unit.p, units[i].name, unit.n)))
			continue;
		v *= units[i].factor;
		if (v >= 18446744073709551615.0)
			return -ERANGE;
		*ret = (uint64_t)v;
		return 0;
	}
	return -EINVAL;
}

int ap_parse_bytes(struct ap_str s, uint64_t *ret)
{
	static const struct unit units[] = {
		{"", 1},	 {"b", 1},	 {"k", 0x1p10},	  {"kb", 0x1p10},  {"kib", 0x1p10},
		{"m", 0x1p20},	 {"mb", 0x1p20}, {"mib", 0x1p20}, {"g", 0x1p30},   {"gb", 0x1p30},
		{"gib", 0x1p30}, {"t", 0x1p40},	 {"tb", 0x1p40},  {"tib", 0x1p40},
	};
	return scale(s, units, AP_ARRAY_SIZE(units), ret);
}

int ap_parse_duration(struct ap_str s, uint64_t *ret_ns)
{
	static const struct unit units[] = {
		{"", 1e9},   {"ns", 1},	    {"us", 1e3},   {"ms", 1e6},	   {"s", 1e9},
		{"m", 60e9}, {"min", 60e9}, {"h", 3600e9}, {"d", 86400e9}, {"w", 604800e9},
	};
	return scale(s, units, AP_ARRAY_SIZE(units), ret_ns);
}

int ap_parse_percent(struct ap_str s, uint64_t *ret)
{
	static const struct unit units[] = {{"", 1e3}, {"%", 1e3}};

	return scale(s, units, AP_ARRAY_SIZE(units), ret);
}

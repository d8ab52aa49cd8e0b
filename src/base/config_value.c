/* SPDX-License-Identifier: Apache-2.0 */
/* Values of options: from text, to text, and the names that people mistype. */
#include "base/clock.h"
#include "base/config_internal.h"

#include <inttypes.h>
#include <stdio.h>

static void *field(const struct ap_config *cfg, size_t i)
{
	return (char *)cfg->values + cfg->program->options[i].offset;
}

const char *ap_config_quote(struct ap_str s, char buf[static 72])
{
	size_t n = AP_MIN(s.n, (size_t)60), i;

	for (i = 0; i < n; i++)
		buf[i] = (unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f ? '?' : s.p[i];
	memcpy(buf + i, s.n > n ? "..." : "", s.n > n ? 4 : 1);
	return buf;
}

static void duration_text(uint64_t ns, struct ap_buf *out)
{
	static const struct {
		uint64_t ns;
		const char *name;
	} units[] = {{86400 * AP_NSEC_PER_SEC, "d"},
		     {3600 * AP_NSEC_PER_SEC, "h"},
		     {60 * AP_NSEC_PER_SEC, "m"},
		     {AP_NSEC_PER_SEC, "s"},
		     {1000000, "ms"},
		     {1000, "us"},
		     {1, "ns"}};

	for (size_t u = 0; u < AP_ARRAY_SIZE(units); u++) {
		if (ns % units[u].ns || (ns == 0 && units[u].ns != AP_NSEC_PER_SEC))
			continue;
		ap_buf_printf(out, "%" PRIu64 "%s", ns / units[u].ns, units[u].name);
		return;
	}
}

static void bytes_text(uint64_t v, struct ap_buf *out)
{
	static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
	size_t u = 0;

	while (v && v % 1024 == 0 && u + 1 < AP_ARRAY_SIZE(units)) {
		v /= 1024;
		u++;
	}
	ap_buf_printf(out, "%" PRIu64 "%s", v, units[u]);
}

static void number_text(enum ap_option_type type, uint64_t v, struct ap_buf *out)
{
	if (type == AP_OPT_DURATION)
		duration_text(v, out);
	else if (type == AP_OPT_BYTES)
		bytes_text(v, out);
	else if (type == AP_OPT_PERCENT)
		ap_buf_printf(out, "%.6g%%", (double)v / 1e3);
	else
		ap_buf_printf(out, "%" PRIu64, v);
}

/* A double-quoted YAML scalar (YAML 1.2, 7.3.1). */
static void yaml_string(const char *s, struct ap_buf *out)
{
	ap_buf_byte(out, '"');
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < ' ' || c == 0x7f)
			ap_buf_printf(out, "\\x%02x", c);
		else if (c == '"' || c == '\\')
			ap_buf_printf(out, "\\%c", c);
		else
			ap_buf_byte(out, c);
	}
	ap_buf_byte(out, '"');
}

bool ap_config_value_text(const struct ap_config *cfg, size_t i, struct ap_buf *out)
{
	const struct ap_option *o = &cfg->program->options[i];
	const struct ap_strings *list;

	switch (o->type) {
	case AP_OPT_BOOL:
		ap_buf_puts(out, *(bool *)field(cfg, i) ? "true" : "false");
		return true;
	case AP_OPT_STRING:
		if (!*(char **)field(cfg, i))
			return false;
		yaml_string(*(char **)field(cfg, i), out);
		return true;
	case AP_OPT_ENUM:
		ap_buf_puts(out, o->choices[*(uint32_t *)field(cfg, i)]);
		return o->value || ap_config_origin(cfg, o->name) != AP_CONFIG_DEFAULT;
	case AP_OPT_LIST:
		list = field(cfg, i);
		ap_buf_byte(out, '[');
		for (size_t k = 0; k < list->n; k++) {
			ap_buf_puts(out, k ? ", " : "");
			yaml_string(list->p[k], out);
		}
		ap_buf_byte(out, ']');
		return true;
	default:
		number_text(o->type, *(uint64_t *)field(cfg, i), out);
		return true;
	}
}

static int parse_bool(struct ap_str s, bool *ret)
{
	static const char *const yes[] = {"true", "yes", "on", "1"};
	static const char *const no[] = {"false", "no", "off", "0"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(yes); i++) {
		if (ap_str_is(s, yes[i]) || ap_str_is(s, no[i])) {
			*ret = ap_str_is(s, yes[i]);
			return 0;
		}
	}
	return -EINVAL;
}

static int set_number(const struct ap_option *o, struct ap_str s, uint64_t *ret, const char *place,
		      struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf lo = {0}, hi = {0};
	const char *wanted = "a number";
	uint64_t v;
	char q[72];
	int r;

	if (o->type == AP_OPT_BYTES) {
		r = ap_parse_bytes(s, &v);
		wanted = "a size such as 64MiB";
	} else if (o->type == AP_OPT_DURATION) {
		r = ap_parse_duration(s, &v);
		wanted = "a duration such as 10s or 250ms";
	} else if (o->type == AP_OPT_PERCENT) {
		r = ap_parse_percent(s, &v);
		wanted = "a percentage such as 0.5";
	} else {
		r = ap_parse_u64(s, &v);
	}
	if (r == -EINVAL)
		return ap_error_set(err, r, "%s: '%s' is not %s", place, ap_config_quote(s, q),
				    wanted);
	if (r < 0 || v < o->min || (o->max && v > o->max)) {
		number_text(o->type, o->min, &lo);
		number_text(o->type, o->max ? o->max : UINT64_MAX, &hi);
		return ap_error_set(err, -EINVAL, "%s: %s is out of range (%.*s to %.*s)", place,
				    ap_config_quote(s, q), AP_STR_ARG(ap_buf_view(&lo)),
				    AP_STR_ARG(ap_buf_view(&hi)));
	}
	*ret = v;
	return 0;
}

static int set_enum(const struct ap_option *o, struct ap_str s, uint32_t *ret, const char *place,
		    struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf all = {0};
	char q[72], hint[96];
	uint32_t i;

	for (i = 0; o->choices[i]; i++) {
		if (ap_str_is(s, o->choices[i])) {
			*ret = i;
			return 0;
		}
		ap_buf_printf(&all, "%s%s", i ? ", " : "", o->choices[i]);
	}
	return ap_error_set(err, -EINVAL, "%s: '%s' is none of %.*s%s", place,
			    ap_config_quote(s, q), AP_STR_ARG(ap_buf_view(&all)),
			    ap_config_hint(s, o->choices, "", hint));
}

static int list_push(struct ap_strings *list, struct ap_str s, const char *place,
		     struct ap_error *err)
{
	_cleanup_free_ char *copy = NULL;

	if (list->n >= AP_CONFIG_LIST_MAX)
		return ap_error_set(err, -EINVAL, "%s: more than %d elements", place,
				    AP_CONFIG_LIST_MAX);
	copy = ap_str_dup(s);
	if (!copy || ap_vec_push(list, copy) < 0)
		return -ENOMEM;
	copy = NULL;
	return 0;
}

static int set_list(struct ap_strings *list, struct ap_str s, bool split, const char *place,
		    struct ap_error *err)
{
	int r = 0;

	if (!split)
		return list_push(list, s, place, err);
	while (s.p && r == 0) {
		struct ap_str item = ap_str_trim(ap_str_cut(&s, ','));

		if (item.n)
			r = list_push(list, item, place, err);
	}
	return r;
}

void ap_config_clear_list(struct ap_config *cfg, size_t i, struct ap_config_origin origin)
{
	struct ap_strings *list = field(cfg, i);

	for (size_t k = 0; k < list->n; k++)
		free(list->p[k]);
	ap_vec_free(list);
	cfg->origins[i] = origin;
}

static int set_string(char **f, struct ap_str text)
{
	char *copy = ap_str_dup(text);

	if (!copy)
		return -ENOMEM;
	free(*f);
	*f = copy;
	return 0;
}

int ap_config_set(struct ap_config *cfg, size_t i, struct ap_str text, bool split,
		  struct ap_config_origin origin, const char *place, struct ap_error *err)
{
	const struct ap_option *o = &cfg->program->options[i];
	char q[72];
	int r;

	if (text.n > AP_CONFIG_VALUE_MAX)
		return ap_error_set(err, -EINVAL, "%s: longer than %u bytes", place,
				    AP_CONFIG_VALUE_MAX);
	if (text.n && memchr(text.p, '\0', text.n))
		return ap_error_set(err, -EINVAL, "%s: holds a zero byte", place);
	switch (o->type) {
	case AP_OPT_BOOL:
		r = parse_bool(text, field(cfg, i));
		if (r < 0)
			return ap_error_set(err, r, "%s: '%s' is neither true nor false", place,
					    ap_config_quote(text, q));
		break;
	case AP_OPT_STRING:
		r = set_string(field(cfg, i), text);
		break;
	case AP_OPT_LIST:
		if (cfg->origins[i].from != origin.from)
			ap_config_clear_list(cfg, i, origin);
		r = set_list(field(cfg, i), text, split, place, err);
		break;
	case AP_OPT_ENUM:
		r = set_enum(o, text, field(cfg, i), place, err);
		break;
	default:
		r = set_number(o, text, field(cfg, i), place, err);
		break;
	}
	if (r == 0)
		cfg->origins[i] = origin;
	return r;
}

/* Edit distance with swaps of neighbours (optimal string alignment) between at most 40 bytes. */
static size_t distance(struct ap_str a, const char *b, size_t bn)
{
	size_t d[3][41];

	for (size_t j = 0; j <= bn; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *row = d[i % 3], *up = d[(i + 2) % 3], *up2 = d[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= bn; j++) {
			size_t same = a.p[i - 1] == b[j - 1] ? 0 : 1;

			row[j] = AP_MIN(AP_MIN(up[j], row[j - 1]) + 1, up[j - 1] + same);
			if (i > 1 && j > 1 && a.p[i - 1] == b[j - 2] && a.p[i - 2] == b[j - 1])
				row[j] = AP_MIN(row[j], up2[j - 2] + 1);
		}
	}
	return d[a.n % 3][bn];
}

const char *ap_nearest_name(struct ap_str word, const char *const *names)
{
	const char *best = NULL;
	size_t best_d = SIZE_MAX;

	if (word.n == 0 || word.n > 40)
		return NULL;
	for (; *names; names++) {
		size_t n = strlen(*names), d;

		if (n > 40)
			continue;
		d = distance(word, *names, n);
		if (word.n >= 2 && ap_str_starts(ap_str_of(*names), word))
			d = AP_MIN(d, (size_t)1);
		if (d < best_d && d <= AP_MAX((size_t)1, AP_MIN(n, word.n) / 3)) {
			best = *names;
			best_d = d;
		}
	}
	return best;
}

const char *ap_config_hint(struct ap_str word, const char *const *names, const char *prefix,
			   char buf[static 96])
{
	const char *near = ap_nearest_name(word, names);

	buf[0] = '\0';
	if (near)
		snprintf(buf, 96, "; did you mean %s%s?", prefix, near);
	return buf;
}

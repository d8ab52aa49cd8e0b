/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors: their C and SQL meaning. The parser is in filter_parse.c. */
#include "aggregator/query/filter.h"

#include "aggregator/query/filter_regex.h"
#include "aggregator/store/schema.h"

void ap_filter_free(struct ap_filter *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < f->n; i++) {
		free((char *)f->matchers[i].label.p);
		free((char *)f->matchers[i].value.p);
		ap_regex_free(f->matchers[i].regex);
	}
	free(f->matchers);
	free(f);
}

static int matcher_match(const struct ap_matcher *m, struct ap_str value)
{
	int r;

	switch (m->op) {
	case AP_FILTER_EQ:
		return ap_str_eq(m->value, value);
	case AP_FILTER_NE:
		return !ap_str_eq(m->value, value);
	case AP_FILTER_RE:
		return ap_regex_match(m->regex, value);
	case AP_FILTER_NRE:
		r = ap_regex_match(m->regex, value);
		return r < 0 ? r : !r;
	}
	return -EINVAL;
}

int ap_filter_match(const struct ap_filter *f, ap_filter_label_fn get, void *ctx)
{
	for (uint32_t i = 0; f && i < f->n; i++) {
		int r = matcher_match(&f->matchers[i], get(ctx, f->matchers[i].label));

		if (r <= 0)
			return r;
	}
	return 1;
}

static bool is_of_host(const struct ap_matcher *m)
{
	return ap_str_is(m->label, "host") || ap_str_is(m->label, "agent");
}

int ap_filter_match_hosts(const struct ap_filter *f, struct ap_str host, struct ap_str agent)
{
	for (uint32_t i = 0; f && i < f->n; i++) {
		const struct ap_matcher *m = &f->matchers[i];
		int r;

		if (!is_of_host(m))
			continue;
		r = matcher_match(m, ap_str_is(m->label, "host") ? host : agent);
		if (r <= 0)
			return r;
	}
	return 1;
}

void ap_label_sql(struct ap_str label, struct ap_buf *out)
{
	int column = ap_schema_label_find(label);

	if (column >= 0) {
		ap_buf_puts(out, ap_schema_labels[column]);
		return;
	}
	/* indexOf() is 0 where the key is not there, and element 0 of an array is "". */
	ap_buf_puts(out, "label_values[indexOf(label_keys, ");
	ap_sql_quote(out, label);
	ap_buf_puts(out, ")]");
}

static void matcher_sql(const struct ap_matcher *m, struct ap_buf *out)
{
	_cleanup_buf_ struct ap_buf anchored = {0};
	bool negative = m->op == AP_FILTER_NE || m->op == AP_FILTER_NRE;

	ap_buf_puts(out, " AND (");
	if (m->op == AP_FILTER_EQ || m->op == AP_FILTER_NE) {
		ap_label_sql(m->label, out);
		ap_buf_puts(out, negative ? " != " : " = ");
		ap_sql_quote(out, m->value);
	} else {
		ap_buf_printf(&anchored, "\\A(?s:%.*s)\\z", AP_STR_ARG(m->value));
		ap_buf_puts(out, negative ? "NOT match(" : "match(");
		ap_label_sql(m->label, out);
		ap_buf_puts(out, ", ");
		ap_sql_quote(out, ap_buf_view(&anchored));
		ap_buf_byte(out, ')');
		if (ap_buf_error(&anchored))
			out->err = -ENOMEM;
	}
	ap_buf_byte(out, ')');
}

void ap_filter_sql(const struct ap_filter *f, struct ap_buf *out)
{
	for (uint32_t i = 0; f && i < f->n; i++)
		matcher_sql(&f->matchers[i], out);
}

void ap_filter_sql_hosts(const struct ap_filter *f, struct ap_buf *out)
{
	for (uint32_t i = 0; f && i < f->n; i++)
		if (is_of_host(&f->matchers[i]))
			matcher_sql(&f->matchers[i], out);
}

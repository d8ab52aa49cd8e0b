/* SPDX-License-Identifier: Apache-2.0 */
/* Label selectors as Prometheus writes them: {service="redis",host=~"web-.*",pod!=""}. A label that
 * a sample lacks is the empty string. Regular expressions are RE2's, match the whole value, and dot
 * matches every character; what RE2 and PCRE2 understand differently is refused (regex.h), so that
 * the store (SQL, RE2) and the buffer (C, PCRE2) always agree.
 *
 * Grammar: '{' [ label op string { ',' label op string } [','] ] '}', white space anywhere between;
 * label: [A-Za-z_][A-Za-z0-9_.:/-]*; op: = != =~ !~; string: "…" or '…' with the escapes
 * \\ \" \' \n \r \t \xHH, or `…` without any; valid UTF-8 without NUL in the end. Empty text selects
 * everything. Bounds: 64 matchers, 4 KiB a value, 1 KiB a regular expression. */
#ifndef AP_AGGREGATOR_QUERY_FILTER_H
#define AP_AGGREGATOR_QUERY_FILTER_H

#include "base/buf.h"
#include "base/error.h"

enum ap_filter_op { AP_FILTER_EQ, AP_FILTER_NE, AP_FILTER_RE, AP_FILTER_NRE };

struct ap_matcher {
	struct ap_str label, value; /* owned by the filter */
	enum ap_filter_op op;
	struct ap_regex *regex; /* of =~ and !~ */
};

struct ap_filter {
	struct ap_matcher *matchers; /* all must hold */
	uint32_t n;
};

/* `ret_pos` (may be NULL) is the byte where an error lies; the message says it too. -EINVAL,
 * -E2BIG (a bound above), -ENOMEM. */
int ap_filter_parse(struct ap_str text, struct ap_filter **ret, size_t *ret_pos,
		    struct ap_error *err);
void ap_filter_free(struct ap_filter *f);
AP_DEFINE_CLEANUP(filter, struct ap_filter, ap_filter_free)

/* The value of a label of the thing that is matched; "" where it has none. */
typedef struct ap_str (*ap_filter_label_fn)(void *ctx, struct ap_str label);

/* 1 selected, 0 not, -E2BIG where an expression is too costly, -ENOMEM. NULL selects everything. */
int ap_filter_match(const struct ap_filter *f, ap_filter_label_fn get, void *ctx);
/* The same for matchers on `host` and `agent` only: all others hold. */
int ap_filter_match_hosts(const struct ap_filter *f, struct ap_str host, struct ap_str agent);

/* Appends " AND (…)" for each matcher, over the columns of `samples`. */
void ap_filter_sql(const struct ap_filter *f, struct ap_buf *out);
/* The same for matchers on `host` and `agent` only, which the ledger has too. */
void ap_filter_sql_hosts(const struct ap_filter *f, struct ap_buf *out);
/* The SQL expression of a label's value over `samples`: String or LowCardinality(String). */
void ap_label_sql(struct ap_str label, struct ap_buf *out);
/* Whether `s` is a label's name by the grammar above. */
bool ap_label_name_ok(struct ap_str s);

#endif

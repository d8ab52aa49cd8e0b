/* SPDX-License-Identifier: Apache-2.0 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "aggregator/query/filter_regex.h"
#include "aggregator/query/regex.h"

/* A backtracking search can take exponential time: these bound it to some milliseconds. */
enum { MATCH_LIMIT = 100000, DEPTH_LIMIT = 10000, HEAP_LIMIT_KIB = 4096 };

struct ap_regex {
	pcre2_code *code;
	pcre2_match_context *limits;
};

int ap_regex_new(struct ap_str re, struct ap_regex **ret, size_t *ret_pos, struct ap_error *err)
{
	_cleanup_(ap_cleanup_regex) struct ap_regex *x = calloc(1, sizeof(*x));
	_cleanup_buf_ struct ap_buf text = {0};
	char why[120] = "";
	PCRE2_SIZE at;
	int r, code;

	*ret_pos = 0;
	if (!x)
		return -ENOMEM;
	r = ap_regex_translate(re, &text, ret_pos, err);
	if (r < 0)
		return r;
	x->code = pcre2_compile(text.p ? text.p : (const uint8_t *)"", text.n,
				PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_DOTALL |
					PCRE2_DOLLAR_ENDONLY | PCRE2_UTF | PCRE2_NO_START_OPTIMIZE |
					PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
				&code, &at, NULL);
	if (!x->code) {
		pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
		*ret_pos = AP_MIN((size_t)at, re.n);
		return ap_error_set(err, -EINVAL, "%s", why);
	}
	x->limits = pcre2_match_context_create(NULL);
	if (!x->limits)
		return -ENOMEM;
	pcre2_set_match_limit(x->limits, MATCH_LIMIT);
	pcre2_set_depth_limit(x->limits, DEPTH_LIMIT);
	pcre2_set_heap_limit(x->limits, HEAP_LIMIT_KIB);
	*ret = AP_TAKE_PTR(x);
	return 0;
}

void ap_regex_free(struct ap_regex *re)
{
	if (!re)
		return;
	pcre2_code_free(re->code);
	pcre2_match_context_free(re->limits);
	free(re);
}

int ap_regex_match(const struct ap_regex *re, struct ap_str s)
{
	pcre2_match_data *data = pcre2_match_data_create(1, NULL);
	int r;

	if (!data)
		return -ENOMEM;
	r = pcre2_match(re->code, (const uint8_t *)(s.p ? s.p : ""), s.n, 0, 0, data, re->limits);
	pcre2_match_data_free(data);
	if (r >= 0)
		return 1;
	switch (r) {
	case PCRE2_ERROR_NOMATCH:
		return 0;
	case PCRE2_ERROR_NOMEMORY:
		return -ENOMEM;
	default:
		return -E2BIG;
	}
}

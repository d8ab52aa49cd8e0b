/* SPDX-License-Identifier: Apache-2.0 */
/* A compiled expression of a selector. */
#ifndef AP_AGGREGATOR_QUERY_FILTER_REGEX_H
#define AP_AGGREGATOR_QUERY_FILTER_REGEX_H

#include "base/error.h"
#include "base/str.h"

struct ap_regex;

/* -EINVAL with the byte in `*ret_pos`; -ENOMEM. */
int ap_regex_new(struct ap_str re, struct ap_regex **ret, size_t *ret_pos, struct ap_error *err);
void ap_regex_free(struct ap_regex *re);
AP_DEFINE_CLEANUP(regex, struct ap_regex, ap_regex_free)
/* Whether it matches the whole of `s`: 1, 0, -E2BIG (too many steps), -ENOMEM. Thread-safe. */
int ap_regex_match(const struct ap_regex *re, struct ap_str s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Regular expressions that mean the same to RE2 (in the store) and to PCRE2 (here). */
#ifndef AP_AGGREGATOR_QUERY_REGEX_H
#define AP_AGGREGATOR_QUERY_REGEX_H

#include "base/buf.h"
#include "base/error.h"

/* Checks `re` and writes the PCRE2 form to `out`. -EINVAL with the byte in `*ret_pos` for what one
 * of the two lacks or reads differently: look-around, back references, possessive and doubled
 * quantifiers, \Q…\E, Unicode classes and the like; the message says what to write instead. */
int ap_regex_translate(struct ap_str re, struct ap_buf *out, size_t *ret_pos, struct ap_error *err);

#endif

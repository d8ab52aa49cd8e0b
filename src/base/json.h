/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text (RFC 8259) appended to a buffer: the atoms only; callers write the punctuation between
 * them. Nothing fails but the buffer, whose error is sticky. */
#ifndef AP_BASE_JSON_H
#define AP_BASE_JSON_H

#include "base/buf.h"

/* `s` in quotes. The output is valid UTF-8 whatever the input: control characters, quotes and
 * backslashes are escaped, and each byte that is no part of a valid sequence becomes U+FFFD. */
void ap_json_string(struct ap_buf *b, struct ap_str s);
void ap_json_u64(struct ap_buf *b, uint64_t v);
/* A number's digits, at most AP_JSON_DIGITS_MAX, for those who write many: where they end. */
enum { AP_JSON_DIGITS_MAX = 20 };
uint8_t *ap_json_digits(uint8_t *at, uint64_t v);
void ap_json_i64(struct ap_buf *b, int64_t v);
/* The shortest decimal that reads back as the same double, zero without its sign; null where it is not
 * finite. */
void ap_json_double(struct ap_buf *b, double v);
/* Begins the next element or member: a comma, unless the last byte in the buffer opens an object or
 * array. */
void ap_json_next(struct ap_buf *b);
/* `"key":`, begun so. */
void ap_json_key(struct ap_buf *b, const char *key);

#endif

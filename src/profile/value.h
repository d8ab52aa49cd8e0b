/* SPDX-License-Identifier: Apache-2.0 */
/* Values in a person's words. */
#ifndef AP_PROFILE_VALUE_H
#define AP_PROFILE_VALUE_H

#include "base/buf.h"

/* "1.23 s", "45.6 ms", "12 µs" for nanoseconds; "1,234 samples", "1 sample" for samples; "1,234"
 * for counts. Appended. */
void ap_value_text(struct ap_buf *out, uint64_t value, const char *unit);
/* "1,234". */
void ap_value_grouped(struct ap_buf *out, uint64_t value);
/* `part` of `whole` as "12.3 %"; "0 %" of nothing. What is not nothing never reads as 0 %, nor what
 * is not all as 100 %. */
void ap_value_percent(struct ap_buf *out, uint64_t part, uint64_t whole);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Repair of texts from outside that should be UTF-8 and may not be. */
#ifndef AP_WIRE_UTF8_H
#define AP_WIRE_UTF8_H

#include "base/buf.h"

/* Appends `s` to `out` with each byte that belongs to no valid sequence replaced by U+FFFD. */
void ap_utf8_repair(struct ap_str s, struct ap_buf *out);

#endif

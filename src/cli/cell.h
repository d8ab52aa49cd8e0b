/* SPDX-License-Identifier: Apache-2.0 */
/* Values in the columns of a table for people. */
#ifndef AP_CLI_CELL_H
#define AP_CLI_CELL_H

#include "base/buf.h"

/* Appends `text` to the right of `width` columns. */
void ap_cell_right(struct ap_buf *out, struct ap_str text, size_t width);
/* The same for ap_value_text(). */
void ap_cell_value(struct ap_buf *out, uint64_t value, const char *unit, size_t width);

#endif

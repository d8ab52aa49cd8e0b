/* SPDX-License-Identifier: Apache-2.0 */
/* Text for people, in columns of a terminal. */
#ifndef AP_BASE_TEXT_H
#define AP_BASE_TEXT_H

#include "base/buf.h"

/* Columns that valid UTF-8 takes where each character takes one. */
size_t ap_text_columns(struct ap_str text);
void ap_text_spaces(struct ap_buf *out, size_t n);
/* Appends words from column `col` on, broken at `width` and indented by `indent`, and a newline. A newline
 * in the text starts a new line. */
void ap_text_wrap(struct ap_buf *out, struct ap_str text, size_t col, size_t indent, size_t width);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cell.h"

#include "base/text.h"
#include "profile/value.h"

void ap_cell_right(struct ap_buf *out, struct ap_str text, size_t width)
{
	size_t columns = ap_text_columns(text);

	ap_text_spaces(out, width > columns ? width - columns : 0);
	ap_buf_str(out, text);
}

void ap_cell_value(struct ap_buf *out, uint64_t value, const char *unit, size_t width)
{
	_cleanup_buf_ struct ap_buf text = {0};

	ap_value_text(&text, value, unit);
	ap_cell_right(out, ap_buf_view(&text), width);
}

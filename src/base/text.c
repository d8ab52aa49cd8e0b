/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

size_t ap_text_columns(struct ap_str text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++)
		n += ((unsigned char)text.p[i] & 0xc0) != 0x80;
	return n;
}

void ap_text_spaces(struct ap_buf *out, size_t n)
{
	while (n--)
		ap_buf_byte(out, ' ');
}

void ap_text_wrap(struct ap_buf *out, struct ap_str text, size_t col, size_t indent, size_t width)
{
	while (text.p) {
		struct ap_str line = ap_str_cut(&text, '\n');
		bool first = true;

		while (line.p) {
			struct ap_str word = ap_str_cut(&line, ' ');
			size_t n = ap_text_columns(word);

			if (!first && col + 1 + n > width) {
				ap_buf_byte(out, '\n');
				ap_text_spaces(out, indent);
				col = indent;
			} else if (!first) {
				ap_buf_byte(out, ' ');
				col++;
			}
			ap_buf_str(out, word);
			col += n;
			first = false;
		}
		ap_buf_byte(out, '\n');
		if (text.p && text.n && text.p[0] != '\n')
			ap_text_spaces(out, indent);
		col = indent;
	}
}

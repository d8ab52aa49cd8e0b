/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/utf8.h"

/* Length of the valid sequence that `s` begins with, 0 = none. */
static size_t sequence_length(struct ap_str s)
{
	for (size_t n = 1; n <= 4 && n <= s.n; n++)
		if (ap_str_utf8_ok((struct ap_str){s.p, n}))
			return n;
	return 0;
}

void ap_utf8_repair(struct ap_str s, struct ap_buf *out)
{
	while (s.n) {
		size_t n = sequence_length(s);

		if (n)
			ap_buf_append(out, s.p, n);
		else
			ap_buf_append(out, "\xef\xbf\xbd", 3);
		n = n ? n : 1;
		s.p += n;
		s.n -= n;
	}
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a ClickHouse server says beside rows: the lines of an answer's head, an empty line, and its body
 * as the text of a refusal. Whatever the bytes are, the message is one line that a terminal can show. */
#include "aggregator/store/server_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_str rest = {(const char *)data, size};
	_cleanup_server_answer_ struct ap_server_answer a = {.status = 200};
	struct ap_error err = {0};
	int r;

	while (rest.p && rest.n) {
		struct ap_str line = ap_str_cut(&rest, '\n');

		if (line.n == 0)
			break;
		ap_server_answer_header(&a, line);
	}
	if (a.exception & 1)
		a.status = 500;
	if (rest.p)
		ap_server_answer_text(&a, rest);
	r = ap_server_answer_check(&a, "a query failed", &err);
	if (r > 0 || r != err.code)
		abort();
	for (const char *p = err.msg; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			abort();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A join string: what is taken makes the same string again. */
#include "tls/join.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_str text = {(const char *)data, size};
	_cleanup_buf_ struct ap_buf again = {0};
	struct ap_join join;

	if (ap_join_parse(text, &join, NULL) < 0)
		return 0;
	ap_join_format(&join, &again);
	if (!ap_str_eq(ap_buf_view(&again), ap_str_trim(text)))
		abort();
	return 0;
}

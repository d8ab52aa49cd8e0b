/* SPDX-License-Identifier: Apache-2.0 */
/* What a request brings: escapes in paths and queries, Host headers; and label values as they go
 * into Prometheus text, which must stay one line each. */
#include "http/address.h"
#include "http/internal.h"
#include "http/prometheus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_arena arena = AP_ARENA_INIT(1 << 20);
	struct ap_str in = {(const char *)data, size}, out = {0};
	_cleanup_buf_ struct ap_buf text = {0};
	struct ap_prom prom = {.out = &text};
	size_t lines = 0;

	for (int plus = 0; plus < 2; plus++) {
		if (ap_http_decode(&arena, in, plus, &out) &&
		    (out.n > size || memchr(out.p, '\0', out.n)))
			abort();
	}
	ap_address_host_ok(in, NULL);
	ap_prom_family(&prom, "f", AP_PROM_GAUGE, "F.");
	ap_prom_u64(&prom, AP_PROM_LABELS({"l", in}), 1);
	for (size_t i = 0; i < text.n; i++)
		lines += text.p[i] == '\n';
	if (lines != 3 || !ap_str_utf8_ok(ap_buf_view(&text)))
		abort();
	ap_arena_free(&arena);
	return 0;
}

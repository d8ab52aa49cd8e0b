/* SPDX-License-Identifier: Apache-2.0 */
/* What an aggregator answers to a push: refused, or bounded texts that come back as they were. */
#include "wire/batch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_push_result r, again;

	if (ap_push_result_decode((struct ap_str){(const char *)data, size}, &r) < 0)
		return 0;
	if (r.settings.n_modes > AP_MODES_MAX || (!r.has_settings && r.settings.n_modes))
		abort();
	for (uint32_t i = 0; i < r.settings.n_modes; i++)
		if (strnlen(r.settings.modes[i], AP_MODE_BYTES) == AP_MODE_BYTES)
			abort();
	if (ap_push_result_encode(&r, &bytes) < 0 ||
	    ap_push_result_decode(ap_buf_view(&bytes), &again) < 0)
		abort();
	if (again.config_version != r.config_version || again.has_settings != r.has_settings ||
	    memcmp(&again.settings, &r.settings, sizeof(r.settings)) != 0)
		abort();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the BPF programs, and of the kernel about processes: what is taken apart lies within the record, and
 * indices and counts within what they are used for. */
#include "agent/record.h"
#include "agent/sideband.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_within(const void *p, size_t n, const uint8_t *data, size_t size)
{
	if (n && ((const uint8_t *)p < data ||
		  !ap_range_ok((uint64_t)((const uint8_t *)p - data), n, size)))
		abort();
}

static void check_record(const uint8_t *data, size_t size)
{
	struct ap_record_view v;

	if (ap_record_parse(data, size, &v) < 0)
		return;
	check_within(v.kernel, (size_t)v.n_kernel * 8, data, size);
	check_within(v.user, (size_t)v.n_user * 8, data, size);
	if (v.n_kernel > AP_KERNEL_FRAMES_MAX || v.n_user > AP_USER_FRAMES_MAX ||
	    v.head.reason >= AP_REASONS_MAX || v.wait.state >= AP_WAIT_STATES)
		abort();
	for (uint32_t i = 0; i < v.n_user; i++)
		ap_record_address(v.user, i);
	ap_record_count(&v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ap_sideband_event e;

	check_record(data, size);
	if (ap_sideband_parse(data, size, &e) < 0)
		return 0;
	check_within(e.text.p, e.text.n, data, size);
	if (e.build_id_bytes > AP_SIDEBAND_BUILD_ID_MAX)
		abort();
	return 0;
}

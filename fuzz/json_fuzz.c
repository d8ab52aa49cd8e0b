/* SPDX-License-Identifier: Apache-2.0 */
/* Our own profile file: any bytes either are refused with a message, or become a profile that is
 * written and read back to the same bytes. */
#include "profile/format.h"

enum { LIMIT = 4 << 20 };

static void write_json(const struct ap_profile *p, struct ap_buf *out)
{
	if (ap_format_write(AP_FORMAT_JSON, p, NULL, (struct ap_sink){ap_sink_buf, out}, NULL) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL, *q = NULL;
	_cleanup_buf_ struct ap_buf once = {0}, twice = {0};
	struct ap_error err = {0};

	if (ap_profile_read((struct ap_str){(const char *)data, size}, LIMIT, &p, &err) < 0) {
		if (!err.msg[0] || p)
			abort();
		return 0;
	}
	write_json(p, &once);
	if (ap_json_read(ap_buf_view(&once), 0, &q, &err) < 0)
		abort();
	write_json(q, &twice);
	if (!ap_str_eq(ap_buf_view(&once), ap_buf_view(&twice)))
		abort();
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A pprof file, gzip'd or not: any bytes either are refused with a message, or become a profile
 * that every format can be written from and that our own pprof brings back. */
#include "profile/format.h"
#include "profile/top.h"

enum { LIMIT = 4 << 20 };

static int discard(void *ctx, const void *p, size_t n)
{
	return 0;
}

static void write_all(const struct ap_profile *p)
{
	static const enum ap_format formats[] = {AP_FORMAT_JSON, AP_FORMAT_COLLAPSED,
						 AP_FORMAT_SPEEDSCOPE, AP_FORMAT_SVG};
	struct ap_format_options o = {.max_nodes = 50};

	for (size_t i = 0; i < AP_ARRAY_SIZE(formats); i++)
		if (ap_format_write(formats[i], p, &o, (struct ap_sink){discard, NULL}, NULL) < 0)
			abort();
}

static void read_again(const struct ap_profile *p)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *q = NULL;
	_cleanup_buf_ struct ap_buf out = {0};

	if (ap_format_write(AP_FORMAT_PPROF, p, NULL, (struct ap_sink){ap_sink_buf, &out}, NULL) <
	    0)
		abort();
	if (p->samples.n && ap_pprof_read(ap_buf_view(&out), 0, &q, NULL) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	struct ap_error err = {0};

	if (ap_pprof_read((struct ap_str){(const char *)data, size}, LIMIT, &p, &err) < 0) {
		if (!err.msg[0] || p)
			abort();
		return 0;
	}
	write_all(p);
	read_again(p);
	return 0;
}

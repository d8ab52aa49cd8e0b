/* SPDX-License-Identifier: Apache-2.0 */
/* What agents push: any bytes either are refused with a code and a text, or become a profile that
 * is encoded and decoded again to the same counts. Tried as a whole request and, since chance does
 * not make valid zstd, as the batch inside an uncompressed one. */
#include "wire/batch.h"

static const struct ap_batch_limits limits = {.max_raw = 1 << 20, .max_memory = 64 << 20};

static void round_trip(const struct ap_profile *p, const struct ap_batch_meta *meta,
		       uint64_t periods)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *q = NULL;
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_batch_limits wide = {0};
	struct ap_push_result result;
	struct ap_batch_meta again;
	uint64_t same;

	if (ap_batch_encode(p, meta, &bytes) < 0 ||
	    ap_batch_decode(ap_buf_view(&bytes), &wide, &q, &again, &same, &result) < 0)
		abort();
	if (same != periods || q->samples.n != p->samples.n ||
	    memcmp(&again, meta, sizeof(again)) != 0)
		abort();
}

static void decode(struct ap_str request)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p = NULL;
	struct ap_push_result result = {0};
	struct ap_batch_meta meta;
	uint64_t periods;

	if (ap_batch_decode(request, &limits, &p, &meta, &periods, &result) == 0)
		round_trip(p, &meta, periods);
	else if (p || !result.text[0] ||
		 (result.status == AP_PUSH_ERROR) != (result.code != AP_PUSH_CODE_NONE))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct ap_buf request = {0};

	decode((struct ap_str){(const char *)data, size});
	ap_buf_append(&request, "\x08\x01\x12", 3); /* version = 1; batch = … */
	ap_buf_varint(&request, size);
	ap_buf_append(&request, data, size);
	decode(ap_buf_view(&request));
	return 0;
}

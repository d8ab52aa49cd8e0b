/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"
#include "wire/batch.h"

enum { ROWS = 10000, ROUNDS = 15 };

void bench_wire(void)
{
	_cleanup_(ap_cleanup_profile) struct ap_profile *p =
		bench_profile(1, ROWS, 1764000000ll * 1000000000, 10, 7);
	struct ap_batch_meta meta = {.agent_id = "7e2d5c7e-8f4b-4f5e-9f43-0d1c2b3a4958",
				     .host = "bench",
				     .epoch = 1,
				     .sequence = 1,
				     .start_ns = p->start_ns,
				     .end_ns = p->end_ns};
	uint64_t encode[ROUNDS], decode[ROUNDS], begin;
	size_t bytes = 0;
	double e, d;

	for (int i = 0; i < ROUNDS; i++) {
		_cleanup_(ap_cleanup_profile) struct ap_profile *back = NULL;
		_cleanup_buf_ struct ap_buf out = {0};
		struct ap_push_result result = {0};

		begin = ap_clock_mono_ns();
		if (ap_batch_encode(p, &meta, &out) < 0)
			bench_fail("wire", "the batch could not be encoded");
		encode[i] = ap_clock_mono_ns() - begin;
		bytes = out.n;
		begin = ap_clock_mono_ns();
		if (ap_batch_decode(ap_buf_view(&out), NULL, &back, &meta, NULL, &result) < 0)
			bench_fail("wire", result.text);
		decode[i] = ap_clock_mono_ns() - begin;
	}
	e = bench_quantile_ms(encode, ROUNDS, 0.5);
	d = bench_quantile_ms(decode, ROUNDS, 0.5);
	bench_report("wire",
		     "\"rows\":%d,\"stacks\":%u,\"encode_ms\":%.2f,\"decode_ms\":%.2f,"
		     "\"decode_rows_per_s\":%.0f,\"bytes_per_row\":%.1f",
		     ROWS, ap_intern_count(p->stacks) - 1, e, d, ROWS / d * 1e3,
		     (double)bytes / ROWS);
}

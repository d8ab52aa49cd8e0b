/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/blocks.h"

#include "base/clock.h"

#define TIMEOUT_DEFAULT (30 * AP_NSEC_PER_SEC)

enum { BLOCK_MAX = 256 << 20 }; /* bytes before a block counts as malformed */

void ap_blocks_begin(struct ap_blocks *b, const struct ap_store_limits *limits,
		     ap_store_block_fn fn, void *ctx)
{
	uint64_t timeout = limits->timeout_ns ?: TIMEOUT_DEFAULT;

	*b = (struct ap_blocks){.limits = limits,
				.timeout_ns = timeout,
				.deadline = ap_clock_mono_ns() + timeout,
				.fn = fn,
				.ctx = ctx};
}

void ap_blocks_free(struct ap_blocks *b)
{
	ap_buf_free(&b->pending);
	ap_native_view_free(&b->view);
}

int ap_blocks_check(const struct ap_blocks *b, struct ap_error *err)
{
	if (b->limits->cancel && atomic_load(b->limits->cancel))
		return ap_error_set(err, -ECANCELED, "the query was cancelled");
	if (ap_clock_mono_ns() >= b->deadline)
		return ap_error_set(err, -ETIMEDOUT,
				    "the query took too long: narrow the time range or the filter");
	return 0;
}

static int hand_over(struct ap_blocks *b, struct ap_error *err)
{
	b->rows += b->view.rows;
	if (b->limits->max_rows && b->rows > b->limits->max_rows)
		return ap_error_set(
			err, -E2BIG,
			"the answer has more than %llu rows: narrow the time range or the filter",
			(unsigned long long)b->limits->max_rows);
	return b->fn(b->ctx, &b->view);
}

static int take_blocks(struct ap_blocks *b, struct ap_error *err)
{
	size_t used, at = 0;
	int r = 0;

	while (at < b->pending.n) {
		struct ap_str rest = {(const char *)b->pending.p + at, b->pending.n - at};

		r = ap_native_decode(rest, &b->view, &used, err);
		if (r == -EAGAIN && rest.n < BLOCK_MAX) {
			/* A block is decoded from its start each time: so wait for much more. */
			b->wanted = rest.n + rest.n / 2;
			r = 0;
			break;
		}
		if (r == -EAGAIN)
			r = ap_error_set(err, -EBADMSG, "a block of the answer has no end");
		if (r == 0)
			r = hand_over(b, err);
		if (r < 0)
			break;
		at += used;
		b->wanted = 0;
	}
	if (at > 0)
		memmove(b->pending.p, b->pending.p + at, b->pending.n - at);
	b->pending.n -= at;
	return r;
}

int ap_blocks_add(struct ap_blocks *b, struct ap_str bytes, struct ap_error *err)
{
	ap_buf_str(&b->pending, bytes);
	if (ap_buf_error(&b->pending) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	return b->pending.n >= b->wanted ? take_blocks(b, err) : 0;
}

int ap_blocks_end(struct ap_blocks *b, struct ap_error *err)
{
	int r = take_blocks(b, err);

	if (r == 0 && b->pending.n > 0)
		r = ap_error_set(err, -EBADMSG, "the answer ends within a block");
	return r;
}

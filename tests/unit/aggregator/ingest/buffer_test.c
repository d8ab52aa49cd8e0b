/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/buffer.h"

#include <pthread.h>

#include "../journaled.h"
#include "base/clock.h"

#define DAY_NS (86400ll * 1000000000ll)

static struct ap_buffer *buffer(size_t capacity, size_t keep, uint64_t last_segment)
{
	struct ap_buffer_config config = {capacity, keep, last_segment};
	struct ap_buffer *buf;

	assert_int_equal(ap_buffer_new(&config, &buf), 0);
	return buf;
}

static int add(struct ap_buffer *buf, int64_t start_ns, size_t rows, uint64_t sequence)
{
	struct ap_profile *p = sample_profile(start_ns, rows);
	struct ap_batch_meta meta = sample_meta(p, 1, sequence);
	int r = ap_buffer_add(buf, &p, &meta);

	assert_true((r == 0) == (p == NULL));
	ap_profile_free(p);
	return r;
}

static size_t rows_of(const struct ap_batch_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += l->p[i]->n_rows;
	return n;
}

static void segments_follow_the_stores_last(void **state)
{
	struct ap_buffer *buf = buffer(0, 0, 41);
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	struct ap_cut cut;
	uint64_t watermark;

	assert_int_equal(ap_buffer_cut(buf, &cut, &list), -ENOENT);
	assert_int_equal(add(buf, SAMPLE_START_NS, 3, 1), 0);
	assert_int_equal(ap_buffer_cut(buf, &cut, &list), 0);
	assert_int_equal(cut.segment, 42);
	assert_int_equal(list.n, 1);
	assert_int_equal(list.p[0]->n_rows, 3);
	assert_int_equal(list.p[0]->segment, 42);
	ap_batch_list_free(&list);
	assert_int_equal(ap_buffer_snapshot(buf, &watermark, &list, NULL), 0);
	assert_int_equal(watermark, 41);
	assert_int_equal(list.n, 1);
	ap_batch_list_free(&list);
	assert_int_equal(ap_buffer_stored(buf, 42), 0);
	assert_int_equal(ap_buffer_stored(buf, 42), -ENOENT);
	assert_int_equal(ap_buffer_snapshot(buf, &watermark, &list, NULL), 0);
	assert_int_equal(watermark, 42);
	assert_int_equal(list.n, 0);
	assert_int_equal(ap_buffer_recent(buf, NULL, &list, NULL), 0);
	assert_int_equal(list.n, 1);
	ap_buffer_free(buf);
}

static void a_failed_segment_comes_again_with_the_same_rows(void **state)
{
	struct ap_buffer *buf = buffer(0, 0, 0);
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	struct ap_cut cut;
	uint64_t watermark;

	assert_int_equal(add(buf, SAMPLE_START_NS, 3, 1), 0);
	assert_int_equal(ap_buffer_cut(buf, &cut, &list), 0);
	ap_batch_list_free(&list);
	assert_int_equal(add(buf, SAMPLE_START_NS, 5, 2), 0);
	assert_int_equal(ap_buffer_cut(buf, &cut, &list), 0);
	assert_int_equal(cut.segment, 2);
	assert_false(cut.again);
	ap_batch_list_free(&list);
	assert_int_equal(ap_buffer_retry(buf, 1, false), 0);
	assert_int_equal(ap_buffer_stored(buf, 2), 0);
	/* Segment 2 is in the store, but the watermark cannot pass 1: both still count from here. */
	assert_int_equal(ap_buffer_snapshot(buf, &watermark, &list, NULL), 0);
	assert_int_equal(watermark, 0);
	assert_int_equal(rows_of(&list), 8);
	ap_batch_list_free(&list);
	assert_int_equal(ap_buffer_cut(buf, &cut, &list), 0);
	assert_int_equal(cut.segment, 1);
	assert_true(cut.again);
	assert_int_equal(rows_of(&list), 3);
	ap_batch_list_free(&list);
	assert_int_equal(ap_buffer_stored(buf, 1), 0);
	assert_int_equal(ap_buffer_snapshot(buf, &watermark, &list, NULL), 0);
	assert_int_equal(watermark, 2);
	assert_int_equal(list.n, 0);
	ap_buffer_free(buf);
}

static void a_segment_never_crosses_midnight(void **state)
{
	struct ap_buffer *buf = buffer(0, 0, 0);
	_cleanup_batch_list_ struct ap_batch_list first = {0};
	_cleanup_batch_list_ struct ap_batch_list second = {0};
	int64_t midnight = SAMPLE_START_NS / DAY_NS * DAY_NS + DAY_NS;
	struct ap_cut cut;

	/* 4 rows before midnight, 6 after; then a whole batch before it. */
	assert_int_equal(add(buf, midnight - 4000000000ll, 10, 1), 0);
	assert_int_equal(add(buf, midnight - 60000000000ll, 5, 2), 0);
	assert_int_equal(ap_buffer_cut(buf, &cut, &first), 0);
	assert_int_equal(rows_of(&first), 9);
	for (size_t i = 0; i < first.n; i++)
		assert_true(first.p[i]->max_time_ns < midnight);
	assert_int_equal(first.p[0]->part, 0);
	assert_int_equal(ap_buffer_cut(buf, &cut, &second), 0);
	assert_int_equal(cut.segment, 2);
	assert_int_equal(rows_of(&second), 6);
	assert_int_equal(second.p[0]->part, 1);
	assert_int_equal(second.p[0]->first_row, 4);
	assert_true(second.p[0]->min_time_ns >= midnight);
	assert_ptr_equal(first.p[0]->profile, second.p[0]->profile);
	ap_buffer_free(buf);
}

static void rows_out_of_order_are_sorted_by_day(void **state)
{
	struct ap_buffer *buf = buffer(0, 0, 0);
	struct ap_profile *p = sample_profile(SAMPLE_START_NS, 4);
	struct ap_batch_meta meta = sample_meta(p, 1, 1);
	_cleanup_batch_list_ struct ap_batch_list list = {0};

	p->samples.p[0].time_ns += DAY_NS;
	p->samples.p[2].time_ns += DAY_NS;
	assert_int_equal(ap_buffer_add(buf, &p, &meta), 0);
	assert_int_equal(ap_buffer_recent(buf, NULL, &list, NULL), 0);
	assert_int_equal(list.n, 2);
	assert_int_equal(list.p[0]->n_rows, 2);
	assert_int_equal(list.p[1]->n_rows, 2);
	assert_int_equal(list.p[0]->day + 1, list.p[1]->day);
	ap_buffer_free(buf);
}

/* What a batch says of itself goes with its first part, so that is of the day it begins on. */
static void rows_of_later_days_leave_the_first_part_empty(void **state)
{
	struct ap_buffer *buf = buffer(0, 0, 0);
	struct ap_profile *p = sample_profile(SAMPLE_START_NS, 2);
	struct ap_batch_meta meta = sample_meta(p, 1, 1);
	struct ap_syscall call = {.time_ns = SAMPLE_START_NS + 2 * DAY_NS};
	const struct ap_syscall_stat stat = {.count = 1};
	_cleanup_batch_list_ struct ap_batch_list list = {0};

	p->samples.p[0].time_ns += DAY_NS;
	p->samples.p[1].time_ns += DAY_NS;
	assert_int_equal(ap_profile_add_syscall(p, &call, &stat), 0);
	call.time_ns -= DAY_NS;
	assert_int_equal(ap_profile_add_syscall(p, &call, &stat), 0);
	assert_int_equal(ap_buffer_add(buf, &p, &meta), 0);
	assert_int_equal(ap_buffer_recent(buf, NULL, &list, NULL), 0);
	assert_int_equal(list.n, 3);
	for (size_t i = 0; i < list.n; i++) {
		assert_int_equal(list.p[i]->part, i);
		assert_int_equal(list.p[i]->day, SAMPLE_START_NS / DAY_NS + (int64_t)i);
		assert_int_equal(list.p[i]->n_rows, i == 1 ? 2 : 0);
		assert_int_equal(list.p[i]->n_calls, i == 0 ? 0 : 1);
	}
	assert_int_equal(list.p[2]->first_call, 1);
	ap_buffer_free(buf);
}

static void a_large_batch_is_cut_into_parts(void **state)
{
	struct ap_buffer *buf = buffer(0, 0, 0);
	struct ap_profile *p = sample_profile(SAMPLE_START_NS, 1);
	struct ap_batch_meta meta = sample_meta(p, 1, 1);
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	struct ap_sample row = p->samples.p[0];
	struct ap_cut cut;

	for (size_t i = 1; i < 2 * AP_PART_ROWS + 7; i++)
		assert_int_equal(ap_profile_add(p, &row), 0);
	assert_int_equal(ap_buffer_add(buf, &p, &meta), 0);
	assert_int_equal(ap_buffer_cut(buf, &cut, &list), 0);
	assert_int_equal(list.n, 2); /* which a segment has room for */
	assert_int_equal(list.p[0]->n_rows, AP_PART_ROWS);
	assert_int_equal(rows_of(&list), AP_SEGMENT_ROWS);
	assert_int_equal(ap_buffer_cut(buf, &cut, &list), 0);
	assert_int_equal(rows_of(&list), AP_SEGMENT_ROWS + 7);
	assert_int_equal(cut.segment, 2);
	ap_buffer_free(buf);
}

static void a_batch_without_rows_is_stored_too(void **state)
{
	struct ap_buffer *buf = buffer(0, 0, 0);
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	struct ap_cut cut;

	assert_int_equal(add(buf, SAMPLE_START_NS, 0, 1), 0);
	assert_int_equal(ap_buffer_cut(buf, &cut, &list), 0);
	assert_int_equal(list.n, 1);
	assert_int_equal(list.p[0]->n_rows, 0);
	assert_int_equal(list.p[0]->part, 0);
	ap_buffer_free(buf);
}

static void what_is_not_stored_is_bounded_by_bytes(void **state)
{
	struct ap_buffer *buf = buffer(1 << 20, 0, 0);
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	struct ap_buffer_stats stats;
	struct ap_cut cut;
	uint64_t n = 0;

	while (add(buf, SAMPLE_START_NS, 1000, n + 1) == 0)
		n++;
	assert_true(n > 2);
	assert_int_equal(add(buf, SAMPLE_START_NS, 1000, n + 1), -EAGAIN);
	ap_buffer_get_stats(buf, &stats);
	assert_true(stats.bytes <= 1 << 20);
	assert_int_equal(stats.pending_rows, n * 1000);
	assert_true(stats.oldest_pending_ns > 0);
	/* Cutting alone makes no room; storing does, and stored parts give way. */
	assert_int_equal(ap_buffer_cut(buf, &cut, &list), 0);
	assert_int_equal(add(buf, SAMPLE_START_NS, 1000, n + 1), -EAGAIN);
	ap_batch_list_free(&list);
	assert_int_equal(ap_buffer_stored(buf, cut.segment), 0);
	for (uint64_t i = 0; i < n; i++)
		assert_int_equal(add(buf, SAMPLE_START_NS, 1000, n + 1 + i), 0);
	ap_buffer_get_stats(buf, &stats);
	assert_true(stats.bytes <= 1 << 20);
	assert_int_equal(add(buf, SAMPLE_START_NS, 100000, 1), -EFBIG);
	ap_buffer_free(buf);
}

static void a_listed_part_outlives_the_buffer(void **state)
{
	struct ap_buffer *buf = buffer(0, 0, 0);
	_cleanup_batch_list_ struct ap_batch_list list = {0};

	assert_int_equal(add(buf, SAMPLE_START_NS, 3, 1), 0);
	assert_int_equal(ap_buffer_recent(buf, NULL, &list, NULL), 0);
	ap_buffer_free(buf);
	assert_int_equal(list.p[0]->profile->samples.n, 3);
	assert_string_equal(list.p[0]->meta->agent_id, SAMPLE_AGENT);
}

static void closing_wakes_the_writer_and_ends_adds(void **state)
{
	struct ap_buffer *buf = buffer(0, 0, 0);

	assert_int_equal(ap_buffer_wait(buf, 1, ap_clock_mono_ns()), 0);
	assert_int_equal(add(buf, SAMPLE_START_NS, 3, 1), 0);
	assert_int_equal(ap_buffer_wait(buf, 3, UINT64_MAX / 2), 3);
	ap_buffer_close(buf);
	assert_int_equal(ap_buffer_wait(buf, 1000, UINT64_MAX / 2), 3);
	assert_int_equal(add(buf, SAMPLE_START_NS, 3, 2), -EPIPE);
	ap_buffer_free(buf);
}

/* A writer stores and fails at random while readers ask: stored rows up to the watermark plus the
 * snapshot must be at least what was added before and at most what was added after, at any time. */
enum { ADDS = 1500 };

struct race {
	struct ap_buffer *buf;
	uint64_t stored_rows[ADDS + 1]; /* by segment; written before ap_buffer_stored() */
	uint64_t added, adding;		/* atomic */
	bool over;			/* atomic */
};

static void *race_writer(void *arg)
{
	struct race *x = arg;
	uint32_t random = 1;

	for (;;) {
		struct ap_batch_list list = {0};
		bool over = __atomic_load_n(&x->over, __ATOMIC_ACQUIRE);
		struct ap_cut cut;

		if (ap_buffer_cut(x->buf, &cut, &list) < 0) {
			if (over)
				return NULL;
			ap_buffer_wait(x->buf, 1, ap_clock_mono_ns() + 1000000);
			continue;
		}
		random = random * 1664525u + 1013904223u;
		x->stored_rows[cut.segment] = rows_of(&list);
		ap_batch_list_free(&list);
		if (random >> 30)
			ap_buffer_stored(x->buf, cut.segment);
		else
			ap_buffer_retry(x->buf, cut.segment, true);
	}
}

static uint64_t rows_seen(struct race *x)
{
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	uint64_t watermark, rows = 0;

	if (ap_buffer_snapshot(x->buf, &watermark, &list, NULL) < 0)
		return UINT64_MAX;
	for (uint64_t s = 1; s <= watermark; s++)
		rows += x->stored_rows[s];
	return rows + rows_of(&list);
}

static void *race_reader(void *arg)
{
	struct race *x = arg;

	/* At least once, where this thread did not come to run before the others were done. */
	do {
		uint64_t low = __atomic_load_n(&x->added, __ATOMIC_ACQUIRE), rows = rows_seen(x);

		if (rows < low || rows > __atomic_load_n(&x->adding, __ATOMIC_ACQUIRE))
			return (void *)1;
	} while (!__atomic_load_n(&x->over, __ATOMIC_ACQUIRE));
	return NULL;
}

static void each_row_counts_once_at_any_moment(void **state)
{
	struct ap_buffer_config config = {
		.capacity_bytes = 64 << 20, .keep_bytes = 4096, .segment_rows = 16};
	struct race x = {0};
	pthread_t writer, reader;
	void *failed;

	assert_int_equal(ap_buffer_new(&config, &x.buf), 0);
	assert_int_equal(pthread_create(&writer, NULL, race_writer, &x), 0);
	assert_int_equal(pthread_create(&reader, NULL, race_reader, &x), 0);
	for (uint64_t i = 0; i < ADDS; i++) {
		__atomic_fetch_add(&x.adding, 5, __ATOMIC_ACQ_REL);
		assert_int_equal(add(x.buf, SAMPLE_START_NS + (int64_t)(i % 3) * DAY_NS, 5, i + 1),
				 0);
		__atomic_fetch_add(&x.added, 5, __ATOMIC_ACQ_REL);
	}
	__atomic_store_n(&x.over, true, __ATOMIC_RELEASE);
	pthread_join(reader, &failed);
	assert_null(failed);
	ap_buffer_close(x.buf);
	pthread_join(writer, NULL);
	assert_int_equal(rows_seen(&x), ADDS * 5);
	ap_buffer_free(x.buf);
}

static void note_release(void *ctx, const struct ap_journal_at *at)
{
	uint64_t *released = ctx;

	released[at->number]++;
}

static void a_held_record_is_released_when_its_segment_is_settled(void **state)
{
	uint64_t released[4] = {0}, segments[4] = {0};
	struct ap_buffer_config config = {.release = note_release, .ctx = released, .hold = true};
	struct ap_buffer *buf;

	assert_int_equal(ap_buffer_new(&config, &buf), 0);
	for (uint64_t i = 1; i <= 3; i++) {
		_cleanup_batch_list_ struct ap_batch_list list = {0};
		struct ap_cut cut;

		commit_record(buf, i);
		assert_int_equal(ap_buffer_cut(buf, &cut, &list), 0);
		segments[i] = cut.segment;
	}
	/* 2 is stored before 1, and so settled with it only. */
	assert_int_equal(ap_buffer_stored(buf, segments[2]), 0);
	ap_buffer_settle(buf, segments[2]);
	assert_int_equal(released[2], 0);
	assert_int_equal(ap_buffer_stored(buf, segments[1]), 0);
	assert_int_equal(ap_buffer_watermark(buf), segments[2]);
	assert_int_equal(ap_buffer_settled(buf), 0);
	assert_int_equal(released[1] + released[2], 0);
	ap_buffer_settle(buf, segments[2]);
	assert_int_equal(ap_buffer_settled(buf), segments[2]);
	assert_int_equal(released[1], 1);
	assert_int_equal(released[2], 1);
	assert_int_equal(released[3], 0);
	ap_buffer_free(buf);
}

/* Whoever commits first: a block is the same when it is made anew of the journal. */
static void a_segments_parts_are_in_the_journals_order(void **state)
{
	uint64_t released[4] = {0};
	struct ap_buffer_config config = {.release = note_release, .ctx = released};
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	struct ap_buffer *buf;
	struct ap_cut cut;

	assert_int_equal(ap_buffer_new(&config, &buf), 0);
	commit_record(buf, 2);
	commit_record(buf, 3);
	commit_record(buf, 1);
	assert_int_equal(ap_buffer_cut(buf, &cut, &list), 0);
	assert_int_equal(list.n, 3);
	for (size_t i = 0; i < list.n; i++)
		assert_int_equal(list.p[i]->meta->sequence, i + 1);
	ap_buffer_free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_follow_the_stores_last),
		cmocka_unit_test(a_failed_segment_comes_again_with_the_same_rows),
		cmocka_unit_test(a_segment_never_crosses_midnight),
		cmocka_unit_test(rows_out_of_order_are_sorted_by_day),
		cmocka_unit_test(rows_of_later_days_leave_the_first_part_empty),
		cmocka_unit_test(a_large_batch_is_cut_into_parts),
		cmocka_unit_test(a_batch_without_rows_is_stored_too),
		cmocka_unit_test(what_is_not_stored_is_bounded_by_bytes),
		cmocka_unit_test(a_listed_part_outlives_the_buffer),
		cmocka_unit_test(closing_wakes_the_writer_and_ends_adds),
		cmocka_unit_test(each_row_counts_once_at_any_moment),
		cmocka_unit_test(a_held_record_is_released_when_its_segment_is_settled),
		cmocka_unit_test(a_segments_parts_are_in_the_journals_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/ingest.h"

#include "../../wire/sample.h"
#include "base/clock.h"

#define SECOND 1000000000ll

struct fixture {
	struct ap_buffer *buffer;
	struct ap_agents *agents;
	struct ap_ingest *ingest;
};

static void setup(struct fixture *f, size_t capacity)
{
	struct ap_buffer_config buffer = {.capacity_bytes = capacity};

	assert_int_equal(ap_buffer_new(&buffer, &f->buffer), 0);
	assert_int_equal(ap_agents_new(0, &f->agents), 0);
	struct ap_ingest_config config = {.buffer = f->buffer, .agents = f->agents};
	assert_int_equal(ap_ingest_new(&config, &f->ingest), 0);
}

static void teardown(struct fixture *f)
{
	ap_ingest_free(f->ingest);
	ap_agents_free(f->agents);
	ap_buffer_free(f->buffer);
}

static struct ap_push_result push(struct fixture *f, int64_t start_ns, size_t rows,
				  uint64_t sequence)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_push_result r;

	sample_request(start_ns, rows, sequence, &bytes);
	ap_ingest_push(f->ingest, ap_buf_view(&bytes), &r);
	return r;
}

/* in = out + losses of stage "ingest". */
static void assert_ledger_closed(const struct ap_ingest_stats *s)
{
	uint64_t sum = 0;

	for (uint32_t id = AP_LEDGER_INGEST_OUT; id <= AP_LEDGER_INGEST_BACKPRESSURE; id++)
		sum += s->ledger.count[id];
	assert_int_equal(s->ledger.count[AP_LEDGER_INGEST_IN], sum);
}

static void a_batch_counts_once(void **state)
{
	int64_t now = ap_clock_unix_ns();
	struct ap_ingest_stats s;
	struct fixture f;

	setup(&f, 0);
	assert_int_equal(push(&f, now - 60 * SECOND, 5, 1).status, AP_PUSH_OK);
	assert_int_equal(push(&f, now - 60 * SECOND, 5, 1).status, AP_PUSH_DUPLICATE);
	assert_int_equal(push(&f, now - 60 * SECOND, 5, 2).status, AP_PUSH_OK);
	ap_ingest_get_stats(f.ingest, &s);
	assert_int_equal(s.push_total[AP_PUSH_OK], 2);
	assert_int_equal(s.push_total[AP_PUSH_DUPLICATE], 1);
	assert_int_equal(s.rows, 10);
	assert_int_equal(s.ledger.count[AP_LEDGER_INGEST_OUT], 20);
	assert_int_equal(s.ledger.count[AP_LEDGER_INGEST_DUPLICATE], 10);
	assert_ledger_closed(&s);
	teardown(&f);
}

static void times_out_of_range_are_refused(void **state)
{
	int64_t now = ap_clock_unix_ns();
	struct ap_ingest_stats s;
	struct ap_push_result r;
	struct fixture f;

	setup(&f, 0);
	r = push(&f, now - 8 * 86400 * SECOND, 1, 1);
	assert_int_equal(r.status, AP_PUSH_ERROR);
	assert_int_equal(r.code, AP_PUSH_CODE_TOO_OLD);
	assert_string_equal(r.text,
			    "start_time_ns is 8.0 days ago, before the retention of 7.0 days");
	r = push(&f, now + 3600 * SECOND, 1, 2);
	assert_int_equal(r.status, AP_PUSH_ERROR);
	assert_int_equal(r.code, AP_PUSH_CODE_TOO_NEW);
	/* A refused batch is not remembered as accepted. */
	assert_int_equal(push(&f, now - SECOND, 1, 2).status, AP_PUSH_OK);
	ap_ingest_get_stats(f.ingest, &s);
	assert_int_equal(s.ledger.count[AP_LEDGER_INGEST_TOO_OLD], 2);
	assert_int_equal(s.ledger.count[AP_LEDGER_INGEST_TOO_NEW], 2);
	assert_ledger_closed(&s);
	teardown(&f);
}

static void a_full_buffer_asks_to_come_back(void **state)
{
	int64_t now = ap_clock_unix_ns();
	struct ap_ingest_stats s;
	struct ap_push_result r;
	struct fixture f;
	uint64_t n = 1;

	setup(&f, 256 << 10);
	while ((r = push(&f, now - 600 * SECOND, 500, n)).status == AP_PUSH_OK)
		n++;
	assert_int_equal(r.status, AP_PUSH_BACKPRESSURE);
	assert_true(r.retry_after_ms > 0);
	/* The same batch is still new once there is room. */
	struct ap_cut cut;
	struct ap_batch_list list = {0};
	assert_int_equal(ap_buffer_cut(f.buffer, &cut, &list), 0);
	ap_batch_list_free(&list);
	assert_int_equal(ap_buffer_stored(f.buffer, cut.segment), 0);
	assert_int_equal(push(&f, now - 600 * SECOND, 500, n).status, AP_PUSH_OK);
	r = push(&f, now - 30000 * SECOND, 20000, n + 1);
	assert_int_equal(r.code, AP_PUSH_CODE_TOO_LARGE);
	ap_buffer_close(f.buffer);
	assert_int_equal(push(&f, now, 1, n + 2).status, AP_PUSH_BACKPRESSURE);
	ap_ingest_get_stats(f.ingest, &s);
	assert_ledger_closed(&s);
	teardown(&f);
}

static void garbage_is_refused_and_the_rest_goes_on(void **state)
{
	int64_t now = ap_clock_unix_ns();
	struct ap_ingest_stats s;
	struct ap_push_result r;
	struct fixture f;
	uint64_t pushes = 0;

	setup(&f, 0);
	ap_ingest_push(f.ingest, AP_STR("\xff\xfe garbage"), &r);
	assert_int_equal(r.status, AP_PUSH_ERROR);
	assert_int_equal(r.code, AP_PUSH_CODE_MALFORMED);
	assert_int_equal(push(&f, now - SECOND, 1, 1).status, AP_PUSH_OK);
	ap_ingest_get_stats(f.ingest, &s);
	assert_int_equal(s.push_total[AP_PUSH_ERROR], 1);
	for (size_t i = 0; i <= AP_INGEST_BUCKETS; i++)
		pushes += s.buckets[i];
	assert_int_equal(pushes, 2);
	assert_true(s.duration_ns > 0);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_counts_once),
		cmocka_unit_test(times_out_of_range_are_refused),
		cmocka_unit_test(a_full_buffer_asks_to_come_back),
		cmocka_unit_test(garbage_is_refused_and_the_rest_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

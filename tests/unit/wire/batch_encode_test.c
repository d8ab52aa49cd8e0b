/* SPDX-License-Identifier: Apache-2.0 */
#include "sample.h"

static void a_batch_comes_back_as_it_was(void **state)
{
	struct ap_profile *p = sample_profile(SAMPLE_START_NS, 5), *q = NULL;
	struct ap_batch_meta meta = sample_meta(p, 3, 17), got;
	struct ap_push_result result = {0};
	_cleanup_buf_ struct ap_buf bytes = {0};
	uint64_t periods = 0;

	assert_int_equal(ap_batch_encode(p, &meta, &bytes), 0);
	assert_int_equal(ap_batch_decode(ap_buf_view(&bytes), NULL, &q, &got, &periods, &result),
			 0);
	assert_int_equal(result.status, AP_PUSH_UNSPECIFIED);
	assert_int_equal(periods, 10);
	assert_int_equal(ap_batch_periods(q), 10);
	assert_memory_equal(&meta, &got, sizeof(meta));
	assert_int_equal(q->start_ns, p->start_ns);
	assert_int_equal(q->end_ns, p->end_ns);
	assert_int_equal(q->period_ns, p->period_ns);
	assert_int_equal(q->samples.n, 5);
	for (size_t i = 0; i < 5; i++) {
		const struct ap_sample *a = &p->samples.p[i], *b = &q->samples.p[i];

		assert_int_equal(a->time_ns, b->time_ns);
		assert_int_equal(a->count, b->count);
		assert_int_equal(a->value, b->value);
		assert_int_equal(ap_profile_stack_hash(p, a->stack),
				 ap_profile_stack_hash(q, b->stack));
		assert_true(
			ap_str_is(ap_profile_label_value(q, b->labels, AP_STR("service")), "demo"));
	}
	struct ap_stack s = ap_profile_get_stack(q, q->samples.p[1].stack);
	const struct ap_frame *leaf = ap_profile_get_frame(q, s.frames[2]);

	assert_int_equal(s.n, 3);
	assert_int_equal(s.reason, 9);
	assert_int_equal(leaf->offset, 0x1002);
	assert_int_equal(leaf->line, 12);
	assert_true(ap_str_is(ap_profile_str(q, ap_profile_get_mapping(q, leaf->mapping)->build_id),
			      "ab12"));
	ap_profile_free(p);
	ap_profile_free(q);
}

static void a_batch_without_rows_carries_its_ledger(void **state)
{
	struct ap_profile *p = ap_profile_new(), *q = NULL;
	struct ap_push_result result = {0};
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_batch_meta meta, got;

	p->start_ns = SAMPLE_START_NS;
	p->end_ns = SAMPLE_START_NS + 1;
	meta = sample_meta(p, 1, 1);
	meta.status.stopping = true;
	assert_int_equal(ap_batch_encode(p, &meta, &bytes), 0);
	assert_int_equal(ap_batch_decode(ap_buf_view(&bytes), NULL, &q, &got, NULL, &result), 0);
	assert_int_equal(q->samples.n, 0);
	assert_true(got.status.stopping);
	assert_int_equal(got.status.stride, 4);
	assert_int_equal(got.ledger.count[AP_LEDGER_SAMPLE_IDLE], 40);
	ap_profile_free(p);
	ap_profile_free(q);
}

static void a_batch_is_small_on_the_wire(void **state)
{
	struct ap_profile *p = sample_profile(SAMPLE_START_NS, 10000);
	struct ap_batch_meta meta = sample_meta(p, 1, 1);
	_cleanup_buf_ struct ap_buf bytes = {0};

	assert_int_equal(ap_batch_encode(p, &meta, &bytes), 0);
	assert_true(bytes.n < 20 * p->samples.n);
	ap_profile_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_comes_back_as_it_was),
		cmocka_unit_test(a_batch_without_rows_carries_its_ledger),
		cmocka_unit_test(a_batch_is_small_on_the_wire),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

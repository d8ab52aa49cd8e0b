/* SPDX-License-Identifier: Apache-2.0 */
#include "../../test.h"
#include "aggregator/ingest/sequence.h"

static void numbers_in_order_are_one_range(void **state)
{
	struct ap_sequence_set s = {0};

	for (uint64_t n = 1; n <= 1000; n++)
		assert_int_equal(ap_sequence_add(&s, n), 0);
	assert_int_equal(s.ranges.n, 1);
	assert_int_equal(ap_sequence_add(&s, 500), -EEXIST);
	assert_false(ap_sequence_has(&s, 0));
	assert_false(ap_sequence_has(&s, 1001));
	ap_sequence_free(&s);
}

/* Against a plain array of flags. */
static void any_order_gives_the_same_set(void **state)
{
	struct ap_sequence_set s = {0};
	bool model[256] = {0};
	uint32_t x = 12345;

	for (int i = 0; i < 20000; i++) {
		x = x * 1664525u + 1013904223u;
		uint64_t n = (x >> 16) % 256;

		if ((x >> 8) % 3 == 0) {
			ap_sequence_remove(&s, n);
			model[n] = false;
		} else {
			assert_int_equal(ap_sequence_add(&s, n), model[n] ? -EEXIST : 0);
			model[n] = true;
		}
		for (uint64_t k = 0; i % 64 == 0 && k < 256; k++)
			assert_int_equal(ap_sequence_has(&s, k), model[k]);
		for (size_t k = 1; k < s.ranges.n; k++)
			assert_true(s.ranges.p[k].first > s.ranges.p[k - 1].last + 1);
	}
	ap_sequence_free(&s);
}

static void the_oldest_gap_closes_when_there_are_too_many(void **state)
{
	struct ap_sequence_set s = {0};

	for (uint64_t n = 1; n <= 2 * (AP_SEQUENCE_RANGES_MAX + 1); n += 2)
		assert_int_equal(ap_sequence_add(&s, n), 0);
	assert_int_equal(s.ranges.n, AP_SEQUENCE_RANGES_MAX);
	assert_true(ap_sequence_has(&s, 2));
	assert_false(ap_sequence_has(&s, 4));
	ap_sequence_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_in_order_are_one_range),
		cmocka_unit_test(any_order_gives_the_same_set),
		cmocka_unit_test(the_oldest_gap_closes_when_there_are_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

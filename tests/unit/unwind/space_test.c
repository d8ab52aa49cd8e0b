/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"
#include "unwind/space.h"

#define BEGIN 100u
#define END   1100u

static void runs_are_taken_first_fit_and_grow_together_again(void **state)
{
	struct ap_space s;
	uint32_t a, b, c;

	assert_int_equal(ap_space_init(&s, BEGIN, END), 0);
	a = ap_space_take(&s, 100);
	b = ap_space_take(&s, 200);
	c = ap_space_take(&s, 700);
	assert_int_equal(a, BEGIN);
	assert_int_equal(b, BEGIN + 100);
	assert_int_equal(c, BEGIN + 300);
	assert_int_equal(s.n_free, 0);
	assert_int_equal(ap_space_take(&s, 1), 0);
	ap_space_give(&s, a, 100);
	ap_space_give(&s, c, 700);
	assert_int_equal(s.runs.n, 2);
	assert_int_equal(ap_space_take(&s, 701), 0);
	assert_int_equal(ap_space_take(&s, 101), c);
	ap_space_give(&s, c, 101);
	ap_space_give(&s, b, 200);
	assert_int_equal(s.runs.n, 1);
	assert_int_equal(ap_space_take(&s, END - BEGIN), BEGIN);
	ap_space_free(&s);
}

/* Against a map of each word. */
static void no_word_is_taken_twice_or_lost(void **state)
{
	struct ap_run taken[64] = {0};
	bool map[END] = {0};
	uint32_t n_free = END - BEGIN;
	struct ap_space s;

	srand(7);
	assert_int_equal(ap_space_init(&s, BEGIN, END), 0);
	for (int i = 0; i < 20000; i++) {
		struct ap_run *r = &taken[rand() % 64];

		if (r->n == 0) {
			uint32_t n = 1 + (uint32_t)rand() % 60;

			r->at = ap_space_take(&s, n);
			r->n = r->at ? n : 0;
			assert_true(r->at == 0 || (r->at >= BEGIN && r->at + n <= END));
			for (uint32_t w = 0; w < r->n; w++) {
				assert_false(map[r->at + w]);
				map[r->at + w] = true;
			}
			n_free -= r->n;
		} else {
			ap_space_give(&s, r->at, r->n);
			memset(map + r->at, 0, r->n);
			n_free += r->n;
			r->n = 0;
		}
		assert_int_equal(s.n_free, n_free);
		for (size_t k = 1; k < s.runs.n; k++)
			assert_true(s.runs.p[k - 1].at + s.runs.p[k - 1].n < s.runs.p[k].at);
	}
	ap_space_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_are_taken_first_fit_and_grow_together_again),
		cmocka_unit_test(no_word_is_taken_twice_or_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>

#include "../test.h"
#include "base/queue.h"

enum { ITEMS = 20000 };

static void refuses_when_full_and_after_closing(void **state)
{
	struct ap_queue *q = ap_queue_new(2);
	int a, b, c;

	assert_int_equal(ap_queue_try_push(q, &a), 0);
	assert_int_equal(ap_queue_try_push(q, &b), 0);
	assert_int_equal(ap_queue_try_push(q, &c), -EAGAIN);
	ap_queue_close(q);
	assert_int_equal(ap_queue_try_push(q, &c), -EPIPE);
	assert_ptr_equal(ap_queue_pop(q, UINT64_MAX), &a);
	assert_ptr_equal(ap_queue_pop(q, UINT64_MAX), &b);
	assert_null(ap_queue_pop(q, UINT64_MAX));
	ap_queue_free(q);
}

static void *produce(void *arg)
{
	for (uintptr_t i = 1; i <= ITEMS; i++)
		if (ap_queue_push(arg, (void *)i) < 0)
			return arg;
	return NULL;
}

static void loses_and_doubles_nothing_between_threads(void **state)
{
	struct ap_queue *q = ap_queue_new(7);
	uintptr_t sum[2] = {0};
	pthread_t threads[2];
	void *item, *failed;

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, produce, q), 0);
	for (int n = 0; n < 2 * ITEMS; n++) {
		item = ap_queue_pop(q, UINT64_MAX);
		assert_non_null(item);
		sum[0] += (uintptr_t)item;
		sum[1] += (uintptr_t)item * (uintptr_t)item;
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	assert_int_equal(sum[0], (uintptr_t)ITEMS * (ITEMS + 1));
	assert_int_equal(sum[1], 2 * ((uintptr_t)ITEMS * (ITEMS + 1) * (2 * ITEMS + 1) / 6));
	assert_null(ap_queue_pop(q, 0));
	ap_queue_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_when_full_and_after_closing),
		cmocka_unit_test(loses_and_doubles_nothing_between_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

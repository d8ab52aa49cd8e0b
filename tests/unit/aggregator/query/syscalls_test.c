/* SPDX-License-Identifier: Apache-2.0 */
/* System calls are counted once, whatever part of them is stored. */
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "aggregator/query/internal.h"
#include "syscall_checks.h"

static void answers_are_the_same_from_buffer_and_store(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	for (int k = 0; k < 6; k++)
		push_calls(&f, k);
	fixture_flush(&f);
	for (int k = 6; k < 10; k++)
		push_calls(&f, k);
	check_calls(&f); /* some here, some there */
	fixture_flush(&f);
	check_calls(&f);
	fixture_close(&f);
	fixture_open(&f);
	check_calls(&f); /* from the disk alone */
	fixture_end(&f);
}

static uint64_t calls_in(struct fixture *f, int64_t from, int64_t to)
{
	struct ap_query q = query(from, to);
	struct ap_coverage c;
	_cleanup_(ap_cleanup_syscall_table) struct ap_syscall_table *t =
		ask(f, &q, &(struct ap_syscall_query){0}, &c);

	return t->count;
}

/* An insert is of one UTC day, even where the batch is not. */
static void a_batch_over_midnight_is_counted_once(void **state)
{
	const int64_t midnight = (T0 / 86400 + 1) * 86400;
	struct ap_profile *p = ap_profile_new();
	struct fixture f;

	fixture_begin(&f);
	sample(p, midnight - 2, "service=x", stack(p, "main", "/bin/x", 0), 1);
	sample(p, midnight + 2, "service=x", stack(p, "main", "/bin/x", 0), 1);
	add_calls(p, midnight + 2, "service=x,pid=1", "read", 1000, 4, 0);
	add_calls(p, midnight - 1, "service=x,pid=1", "read", 1000, 3, 0);
	push(&f, p, "h1", midnight - 5, midnight + 5);
	for (int stored = 0; stored < 2; stored++) {
		assert_int_equal(calls_in(&f, midnight - 60, midnight + 60), 7);
		assert_int_equal(calls_in(&f, midnight - 1, midnight), 3);
		assert_int_equal(calls_in(&f, midnight + 2, midnight + 3), 4);
		fixture_flush(&f);
	}
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_are_the_same_from_buffer_and_store),
		cmocka_unit_test(a_batch_over_midnight_is_counted_once),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

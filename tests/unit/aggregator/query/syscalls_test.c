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

/* The insert of a batch's samples and calls is of one UTC day, even where the batch is not. */
static void a_batch_over_midnight_is_counted_once(void **state)
{
	const int64_t midnight = (T0 / 86400 + 1) * 86400;
	struct ap_query q = query(midnight - 60, midnight + 60);
	struct ap_profile *p = ap_profile_new();
	struct fixture f;
	struct ap_coverage c;

	fixture_begin(&f);
	sample(p, midnight - 2, "service=x", stack(p, "main", "/bin/x", 0), 1);
	sample(p, midnight + 2, "service=x", stack(p, "main", "/bin/x", 0), 1);
	add_calls(p, midnight + 2, "service=x,pid=1", "read", 1000, 4, 0);
	push(&f, p, "h1", midnight - 5, midnight + 5);
	for (int stored = 0; stored < 2; stored++) {
		struct ap_syscall_table *t = ask(&f, &q, &(struct ap_syscall_query){0}, &c);

		assert_int_equal(t->count, 4);
		ap_syscall_table_free(t);
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

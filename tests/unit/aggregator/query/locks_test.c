/* SPDX-License-Identifier: Apache-2.0 */
/* Waits for locks on the real engine: the same answers wherever the samples are. */
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "locks_checks.h"

static void the_same_locks_from_buffer_both_and_store(void **state)
{
	struct fixture f;

	fixture_begin(&f);
	push_waits(&f, 0);
	fixture_flush(&f);
	push_waits(&f, 1);
	push_waits(&f, 2);
	check_locks(&f); /* a part is stored */
	fixture_flush(&f);
	check_locks(&f);
	fixture_close(&f);
	fixture_open(&f);
	check_locks(&f); /* after a restart */
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_locks_from_buffer_both_and_store),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

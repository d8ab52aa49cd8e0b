/* SPDX-License-Identifier: Apache-2.0 */
#include "../test.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/child.h"

static sigset_t no_signals;

static void spawn(struct ap_child *c, const char *script)
{
	char *argv[] = {"sh", "-c", (char *)script, NULL};
	struct ap_error err = {0};

	assert_int_equal(ap_child_spawn(c, argv, &no_signals, &err), 0);
	assert_true(c->pid > 0);
}

static void wait_for_end(struct ap_child *c)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(ap_child_reap(c));
	assert_int_equal(c->pid, 0);
}

static void test_exit_status(void **state)
{
	struct ap_child c = AP_CHILD_INIT;
	struct ap_error err = {0};

	spawn(&c, "exit 7");
	assert_int_equal(ap_child_release(&c, "sh", &err), 0);
	assert_true(c.ran);
	wait_for_end(&c);
	assert_int_equal(ap_child_exit_status(&c), 7);

	spawn(&c, "kill -TERM $$");
	assert_int_equal(ap_child_release(&c, "sh", &err), 0);
	wait_for_end(&c);
	assert_int_equal(ap_child_exit_status(&c), 128 + SIGTERM);
}

/* Before the release not even the exec has happened. */
static void test_barrier(void **state)
{
	struct ap_child c = AP_CHILD_INIT;
	struct ap_error err = {0};
	char path[64], mine[256], its[256];
	ssize_t n, m;

	spawn(&c, "exec cat");
	snprintf(path, sizeof(path), "/proc/%d/exe", c.pid);
	n = readlink("/proc/self/exe", mine, sizeof(mine));
	m = readlink(path, its, sizeof(its));
	assert_int_equal(n, m);
	assert_memory_equal(mine, its, (size_t)n);
	assert_int_equal(ap_child_release(&c, "sh", &err), 0);
	m = readlink(path, its, sizeof(its));
	assert_true(m != n || memcmp(mine, its, (size_t)n) != 0);
	ap_child_end(&c, AP_NSEC_PER_SEC);
	assert_int_equal(c.pid, 0);
}

static void test_command_not_found(void **state)
{
	struct ap_child c = AP_CHILD_INIT;
	struct ap_error err = {0};
	char *argv[] = {"/nonexistent/command", NULL};

	assert_int_equal(ap_child_spawn(&c, argv, &no_signals, &err), 0);
	assert_int_equal(ap_child_release(&c, argv[0], &err), -ENOENT);
	assert_false(c.ran);
	assert_non_null(strstr(err.msg, "/nonexistent/command"));
	ap_child_end(&c, AP_NSEC_PER_SEC);
	assert_int_equal(c.pid, 0);
}

/* A child that was never released ends without having run the command. */
static void test_never_released(void **state)
{
	struct ap_child c = AP_CHILD_INIT;

	spawn(&c, "exit 3");
	ap_child_end(&c, AP_NSEC_PER_SEC);
	assert_int_equal(c.pid, 0);
	assert_int_not_equal(ap_child_exit_status(&c), 3);
}

static void test_end_kills_what_ignores(void **state)
{
	struct ap_child c = AP_CHILD_INIT;
	struct ap_error err = {0};
	int ready[2];
	char *argv[] = {"sh", "-c", "trap '' TERM; echo; while :; do sleep 1; done", NULL};
	int out = dup(STDOUT_FILENO);
	char byte;

	assert_int_equal(pipe(ready), 0);
	dup2(ready[1], STDOUT_FILENO);
	assert_int_equal(ap_child_spawn(&c, argv, &no_signals, &err), 0);
	dup2(out, STDOUT_FILENO);
	assert_int_equal(ap_child_release(&c, "sh", &err), 0);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	ap_child_end(&c, 50 * AP_NSEC_PER_MSEC);
	assert_int_equal(ap_child_exit_status(&c), 128 + SIGKILL);
	close(ready[0]);
	close(ready[1]);
	close(out);
}

static void a_program_is_found_as_exec_finds_it(void **state)
{
	char *saved = strdup(getenv("PATH")), *found;

	setenv("PATH", "/no/such/folder:/bin:/usr/bin", 1);
	found = ap_child_find("true");
	assert_string_equal(found, "/bin/true");
	free(found);
	found = ap_child_find("/bin/../bin/true");
	assert_string_equal(found, "/bin/../bin/true");
	free(found);
	assert_null(ap_child_find("no-such-program"));
	assert_null(ap_child_find("/etc/passwd"));
	setenv("PATH", saved, 1);
	free(saved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_program_is_found_as_exec_finds_it),
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_barrier),
		cmocka_unit_test(test_command_not_found),
		cmocka_unit_test(test_never_released),
		cmocka_unit_test(test_end_kills_what_ignores),
	};

	sigemptyset(&no_signals);
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

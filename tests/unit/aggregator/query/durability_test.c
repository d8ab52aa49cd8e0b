/* SPDX-License-Identifier: Apache-2.0 */
/* A process that stores is killed at any moment: what it was told is stored is there afterwards, and
 * nothing is there twice. */
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "../../test.h"
#include "fixture.h"

enum { ROUNDS = 3, SAMPLES_A_FLUSH = 500 };

/* Pushes and flushes for ever; writes how many samples are surely stored after each flush. */
static void store_until_killed(const char *folder, int round, int fd)
{
	struct fixture f = {.folder = strdup(folder)};
	struct ap_writer *w;
	uint64_t stored = 0;

	fixture_open(&f);
	w = fixture_writer(&f, AP_NSEC_PER_MSEC);
	for (;;) {
		struct ap_profile *p = ap_profile_new();
		uint32_t st = stack(p, "main;write", "/bin/writer", 0);

		for (int i = 0; i < SAMPLES_A_FLUSH; i++)
			sample(p, T0 + round * 1000, "service=writer", st, 1);
		push(&f, p, "h1", T0 + round * 1000, T0 + round * 1000 + 1);
		if (ap_writer_flush(w, ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC) < 0)
			_exit(1);
		stored += SAMPLES_A_FLUSH;
		if (write(fd, &stored, sizeof(stored)) != sizeof(stored))
			_exit(1);
	}
}

static uint64_t run_round(const char *folder, int round)
{
	uint64_t stored = 0;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		store_until_killed(folder, round, fds[1]);
	}
	close(fds[1]);
	while (stored < (uint64_t)(5 + round) * SAMPLES_A_FLUSH)
		assert_int_equal(read(fds[0], &stored, sizeof(stored)), sizeof(stored));
	usleep((useconds_t)round * 1700); /* into the middle of whatever comes next */
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	while (read(fds[0], &stored, sizeof(stored)) == sizeof(stored))
		;
	close(fds[0]);
	return stored;
}

static void acknowledged_segments_survive_a_kill(void **state)
{
	struct fixture f = {.folder = engine_folder()};
	uint64_t stored[ROUNDS];

	/* All children first: a process that has loaded the engine must not fork. */
	for (int i = 0; i < ROUNDS; i++)
		stored[i] = run_round(f.folder, i);
	fixture_open(&f);
	for (int i = 0; i < ROUNDS; i++) {
		struct ap_query q = query(T0 + i * 1000, T0 + i * 1000 + 1);
		uint64_t n = total(&f, &q);

		/* At most the one flush whose answer the child did not live to give. */
		assert_true(n >= stored[i]);
		assert_true(n <= stored[i] + SAMPLES_A_FLUSH);
		assert_int_equal(n % SAMPLES_A_FLUSH, 0);
	}
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged_segments_survive_a_kill),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

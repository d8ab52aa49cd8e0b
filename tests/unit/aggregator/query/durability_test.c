/* SPDX-License-Identifier: Apache-2.0 */
/* A process that stores is killed at any moment: what it was told is stored is there afterwards, and
 * nothing is there twice. Nor are names, which two threads store. */
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

/* Whichever thread made a segment's rows: what the other has sent is not sent again. */
static void stacks_are_sent_once(void **state)
{
	enum { SEGMENTS = 40, ROWS = 100 };
	struct fixture f = {.folder = engine_folder(), .segment_rows = ROWS};
	struct ap_writer_options o = {.flush_interval_ns = 3600 * AP_NSEC_PER_SEC,
				      .max_block_rows = ROWS};
	struct ap_query q = query(T0, T0 + SEGMENTS);
	struct ap_writer_stats stats;
	struct ap_writer *w;

	fixture_open(&f);
	for (int i = 0; i < SEGMENTS; i++) {
		struct ap_profile *p = ap_profile_new();

		for (int k = 0; k < ROWS; k++) {
			char path[32];

			/* Half of them are new in each segment. */
			snprintf(path, sizeof(path), "main;f%d", i * ROWS / 2 + k);
			sample(p, T0 + i, "service=writer", stack(p, path, "/bin/writer", 0), 1);
		}
		push(&f, p, "h1", T0 + i, T0 + i + 1);
	}
	o.store = f.store;
	o.buffer = f.buffer;
	assert_int_equal(ap_writer_start(&o, &w), 0);
	assert_int_equal(ap_writer_flush(w, ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC), 0);
	ap_writer_get_stats(w, &stats);
	ap_writer_stop(w);
	assert_int_equal(stats.flushes_ok, SEGMENTS);
	assert_int_equal(stats.stacks, (SEGMENTS + 1) * ROWS / 2);
	assert_int_equal(stats.frames, (SEGMENTS + 1) * ROWS / 2 + 1);
	assert_int_equal(total(&f, &q), SEGMENTS * ROWS);
	fixture_end(&f);
}

static uint64_t unsynced(struct fixture *f)
{
	uint64_t n = 0;

	assert_int_equal(
		ap_store_query_uint(f->store,
				    "SELECT count() FROM system.tables WHERE database = "
				    "currentDatabase() AND name != 'meta' AND NOT "
				    "(engine_full LIKE '%min_rows_to_fsync_after_merge = 1%' AND "
				    "engine_full LIKE '%fsync_after_insert = 1%')",
				    &n, NULL),
		0);
	return n;
}

/* Parts that a merge has made take the place of others that are on disk. */
static void what_is_merged_is_on_disk_first(void **state)
{
	struct fixture f = {.folder = engine_folder()};

	fixture_open(&f);
	if (!(f.store->caps & AP_STORE_CAP_FSYNC)) {
		fixture_end(&f);
		skip();
	}
	assert_int_equal(unsynced(&f), 0);
	/* As earlier versions have made it. */
	assert_int_equal(ap_store_exec(f.store, NULL,
				       "ALTER TABLE samples RESET SETTING "
				       "min_rows_to_fsync_after_merge"),
			 0);
	assert_int_equal(unsynced(&f), 1);
	fixture_close(&f);
	fixture_open(&f);
	assert_int_equal(unsynced(&f), 0);
	fixture_end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(acknowledged_segments_survive_a_kill),
		cmocka_unit_test(stacks_are_sent_once),
		cmocka_unit_test(what_is_merged_is_on_disk_first),
	};

	ENGINE_TESTS_OR_SKIP();
	return cmocka_run_group_tests(tests, NULL, NULL);
}

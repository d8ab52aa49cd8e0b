/* SPDX-License-Identifier: Apache-2.0 */
/* In which order tables are compiled. */
#include "tables_fixture.h"

enum { FILES = 5 };

/* In front of the workers: while it is shut for a file, that one's table is not compiled. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	ino_t shut; /* 0: open for all */
	bool waiting;
	AP_VEC(ino_t) passed;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __real_ap_unwind_table_build(int fd, struct ap_unwind_table **ret);
int __wrap_ap_unwind_table_build(int fd, struct ap_unwind_table **ret);

int __wrap_ap_unwind_table_build(int fd, struct ap_unwind_table **ret)
{
	struct stat st = {0};

	fstat(fd, &st);
	pthread_mutex_lock(&gate.lock);
	ap_vec_push(&gate.passed, st.st_ino);
	while (gate.shut == st.st_ino) {
		gate.waiting = true;
		pthread_cond_broadcast(&gate.changed);
		pthread_cond_wait(&gate.changed, &gate.lock);
	}
	pthread_mutex_unlock(&gate.lock);
	return __real_ap_unwind_table_build(fd, ret);
}

static void shut_gate(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	pthread_mutex_lock(&gate.lock);
	gate.shut = st.st_ino;
	gate.waiting = false;
	gate.passed.n = 0;
	pthread_mutex_unlock(&gate.lock);
}

static void wait_at_gate(void)
{
	pthread_mutex_lock(&gate.lock);
	while (!gate.waiting)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void open_gate(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.shut = 0;
	pthread_cond_broadcast(&gate.changed);
	pthread_mutex_unlock(&gate.lock);
}

/* Which of the files the worker took n-th. */
static int taken(const char *const *paths, int n)
{
	struct stat st;

	for (int i = 0; i < FILES; i++) {
		assert_int_equal(stat(paths[i], &st), 0);
		if (st.st_ino == gate.passed.p[n])
			return i;
	}
	return -1;
}

static void small_files_that_frames_lie_in_go_first(void **state)
{
	static const char *const paths[FILES] = {"/bin/true", "/bin/bash", "/bin/grep", "/bin/tar",
						 "/bin/gzip"};
	static const int met[] = {1, 3, 1}, order[FILES] = {0, 3, 1, 4, 2};
	struct ap_file *files[FILES];
	struct fixture *f = begin(ROOM, 8);
	struct ap_file_key key;

	settle(f);
	shut_gate(paths[0]);
	for (int i = 0; i < FILES; i++) {
		files[i] = get(f, paths[i]);
		if (i == 0)
			wait_at_gate();
	}
	for (size_t i = 0; i < AP_ARRAY_SIZE(met); i++) {
		key = key_of(f, paths[met[i]]);
		assert_non_null(ap_tables_use(f->tables, known(f, &key).file, 1));
	}
	assert_int_equal(stats(f).queued, FILES - 1);
	open_gate();
	settle(f);
	assert_int_equal(gate.passed.n, FILES);
	for (int i = 0; i < FILES; i++)
		assert_int_equal(taken(paths, i), order[i]);
	assert_int_equal(stats(f).built, FILES + 1);
	for (int i = 0; i < FILES; i++)
		ap_file_unref(files[i]);
	end(f);
}

static void nothing_waits_for_a_large_file(void **state)
{
	struct fixture *f = begin(ROOM, 8);
	_cleanup_free_ char *path = copy(f, "large", "/bin/bash");
	struct ap_file *large, *small;
	struct ap_file_key key;

	assert_int_equal(truncate(path, 20 << 20), 0);
	shut_gate(path);
	large = get(f, path);
	wait_at_gate();
	small = get(f, "/bin/true");
	key = key_of(f, "/bin/true");
	wait_for_table(f, &key);
	key = key_of(f, path);
	assert_int_equal(known(f, &key).at, 0);
	open_gate();
	settle(f);
	assert_true(known(f, &key).at > 0);
	ap_file_unref(large);
	ap_file_unref(small);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(small_files_that_frames_lie_in_go_first),
		cmocka_unit_test(nothing_waits_for_a_large_file),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	ap_vec_free(&gate.passed);
	return failed;
}

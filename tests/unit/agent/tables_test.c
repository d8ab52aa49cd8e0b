/* SPDX-License-Identifier: Apache-2.0 */
/* Which files have tables, and for how long. */
#include "tables_fixture.h"

static struct ap_file_key other_key(uint64_t inode)
{
	return (struct ap_file_key){.device = 7, .inode = inode};
}

static void a_file_has_its_table_before_it_is_met(void **state)
{
	static const struct ap_file_key vdso = {.device = AP_DEVICE_VDSO};
	struct fixture *f = begin(ROOM, 8);
	struct ap_file *file = get(f, "/bin/true");
	struct ap_file_ref ref;
	struct ap_file_key key;

	settle(f);
	key = key_of(f, "/bin/true");
	ref = known(f, &key);
	assert_true(ref.file > 0 && ref.at >= AP_TABLES_AT && ref.n_pages > 0);
	assert_int_equal(ref.flags, 0);
	assert_ptr_equal(ap_tables_use(f->tables, ref.file, 1), file);
	assert_null(ap_tables_use(f->tables, ref.file + 1, 1));
	assert_null(ap_tables_use(f->tables, 0, 1));
	assert_null(ap_tables_use(f->tables, AP_FRAME_FILE_MAX, 1));
	assert_true(known(f, &vdso).at > 0);
	assert_int_equal(stats(f).built, 2);
	assert_int_equal(stats(f).files, 2);
	assert_int_equal(stats(f).store.held, 2);
	assert_int_equal(stats(f).notices, 0);
	ap_file_unref(file);
	end(f);
}

static void one_file_may_have_several_inodes(void **state)
{
	struct fixture *f = begin(ROOM, 8);
	struct ap_file *file = get(f, "/bin/true");
	struct ap_file_key guess, real = other_key(9);

	ap_tables_add_key(f->tables, file, &real, 1);
	settle(f);
	guess = key_of(f, "/bin/true");
	assert_int_equal(known(f, &real).file, known(f, &guess).file);
	assert_int_equal(known(f, &real).at, known(f, &guess).at);
	assert_true(known(f, &real).at > 0);
	assert_int_equal(stats(f).keys, 3);
	assert_int_equal(stats(f).built, 2);
	ap_file_unref(file);
	end(f);
}

static void equal_files_share_a_table_and_keep_their_names(void **state)
{
	struct fixture *f = begin(ROOM, 8);
	char *path = copy(f, "copy", "/bin/true");
	struct ap_file *a = get(f, "/bin/true"), *b = get(f, path);
	struct ap_file_key x, y;

	settle(f);
	x = key_of(f, "/bin/true");
	y = key_of(f, path);
	assert_int_equal(known(f, &x).at, known(f, &y).at);
	assert_string_equal(ap_tables_use(f->tables, known(f, &x).file, 1)->path, "/bin/true");
	assert_string_equal(ap_tables_use(f->tables, known(f, &y).file, 1)->path, path);
	assert_int_equal(stats(f).store.tables, 2);
	ap_file_unref(a);
	ap_file_unref(b);
	free(path);
	end(f);
}

static void another_name_of_an_inode_leaves_it_alone(void **state)
{
	struct fixture *f = begin(ROOM, 8);
	char *path = copy(f, "first", "/bin/true"), name[64];
	struct ap_file *a = get(f, path), *b;
	struct ap_file_key key = key_of(f, path);

	snprintf(name, sizeof(name), "%s/second", f->dir);
	assert_int_equal(link(path, name), 0);
	b = get(f, name);
	assert_ptr_not_equal(a, b);
	assert_ptr_equal(ap_tables_use(f->tables, known(f, &key).file, 1), a);
	ap_file_unref(a);
	ap_file_unref(b);
	free(path);
	end(f);
}

static void a_file_written_anew_is_another(void **state)
{
	struct fixture *f = begin(ROOM, 8);
	char *path = copy(f, "lib", "/bin/true");
	struct ap_file *a = get(f, path), *b;
	struct ap_file_key key = key_of(f, path);
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_file_ref before, after;
	int fd;

	settle(f);
	before = known(f, &key);
	assert_int_equal(ap_read_file(AT_FDCWD, "/bin/ls", 64 << 20, &bytes), 0);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(ap_write_all(fd, bytes.p, bytes.n), 0);
	close(fd);
	/* As a process that maps it says: its build id tells. */
	b = get(f, "/bin/ls");
	{
		struct ap_file_source source = {.path = ap_str_of(path),
						.needed = true,
						.build_id = b->map.build_id,
						.build_id_bytes = b->map.build_id_bytes};
		ap_file_unref(b);
		b = ap_file_table_get(f->files, &source);
	}
	assert_ptr_not_equal(a, b);
	settle(f);
	after = known(f, &key);
	assert_int_not_equal(before.file, after.file);
	assert_int_not_equal(before.at, after.at);
	assert_ptr_equal(ap_tables_use(f->tables, before.file, 1), a);
	assert_ptr_equal(ap_tables_use(f->tables, after.file, 1), b);
	ap_file_unref(a);
	ap_file_unref(b);
	free(path);
	end(f);
}

static void what_is_no_program_is_said_to_have_no_table(void **state)
{
	struct fixture *f = begin(ROOM, 8);
	struct ap_file *text = get(f, "/etc/passwd"), *gone = get(f, "/no/such/file"),
		       *jit = get(f, "/memfd:jit (deleted)");
	struct ap_file_key keys[] = {other_key(1), other_key(2), other_key(3)};

	ap_tables_add_key(f->tables, text, &keys[0], 1);
	ap_tables_add_key(f->tables, gone, &keys[1], 1);
	ap_tables_add_key(f->tables, jit, &keys[2], 1);
	ap_tables_unresolved(f->tables);
	settle(f);
	for (size_t i = 0; i < 2; i++) {
		struct ap_file_ref ref = known(f, &keys[i]);

		assert_true(ref.file > 0);
		assert_int_equal(ref.at, 0);
		assert_int_equal(ref.flags, 0);
	}
	/* Code that a program wrote keeps its addresses. */
	assert_int_equal(known(f, &keys[2]).file, 0);
	assert_int_equal(known(f, &keys[2]).flags, 0);
	assert_int_equal(stats(f).without, 2);
	assert_int_equal(stats(f).notices, 4);
	assert_int_equal(stats(f).unresolved, 1);
	ap_file_unref(text);
	ap_file_unref(gone);
	ap_file_unref(jit);
	end(f);
}

static uint32_t words_of(const char *path)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct ap_unwind_table *t;
	uint32_t n;

	assert_int_equal(ap_unwind_table_build(fd, &t), 0);
	n = t->n_words;
	ap_unwind_table_free(t);
	return n;
}

static void idle_tables_make_way_and_come_back(void **state)
{
	uint32_t ls = words_of("/bin/ls"), bash = words_of("/bin/bash");
	/* Both do not fit. */
	struct fixture *f = begin(AP_MAX(ls, bash) + AP_MIN(ls, bash) / 2, 8);
	struct ap_file *a = get(f, "/bin/ls"), *b;
	struct ap_file_key x, y;
	uint64_t now, later;

	settle(f);
	x = key_of(f, "/bin/ls");
	assert_true(known(f, &x).at > 0);
	/* In use: there is no room for the other. */
	b = get(f, "/bin/bash");
	settle(f);
	y = key_of(f, "/bin/bash");
	assert_int_equal(known(f, &y).at, 0);
	assert_int_equal(known(f, &y).flags, AP_FILE_PENDING);
	assert_true(known(f, &x).at > 0);
	assert_int_equal(stats(f).store.refusals, 1);
	/* Out of use for long: it makes way, once nobody can be in it any more. */
	now = ap_clock_mono_ns();
	later = now + 60 * AP_NSEC_PER_SEC;
	ap_tables_use(f->tables, known(f, &x).file, now - AP_MIN(now, 60 * AP_NSEC_PER_SEC));
	ap_tables_use(f->tables, known(f, &y).file, now); /* too soon after the refusal */
	assert_int_equal(stats(f).queued, 0);
	ap_tables_use(f->tables, known(f, &y).file, later);
	wait_for_table(f, &y);
	assert_true(ap_clock_mono_ns() - now >= AP_STORE_REST_NS);
	assert_int_equal(known(f, &x).at, 0);
	assert_int_equal(known(f, &x).flags, AP_FILE_PENDING);
	assert_int_equal(stats(f).store.evictions, 1);
	ap_file_unref(a);
	ap_file_unref(b);
	end(f);
}

static void a_closed_file_is_opened_again_when_its_table_is_wanted(void **state)
{
	struct fixture *f = begin(words_of("/bin/ls") + 1, 1);
	struct ap_file *vdso = ap_file_table_vdso(f->files), *ls = get(f, "/bin/ls"), *other;
	struct ap_file_key key;
	uint32_t id;

	settle(f);
	key = key_of(f, "/bin/ls");
	id = known(f, &key).file;
	/* There was no room beside the vDSO's table, and now there is no descriptor. */
	other = get(f, "/etc/passwd");
	assert_int_equal(ls->fd, -1);
	assert_int_equal(known(f, &key).at, 0);
	ap_tables_use(f->tables, vdso->table_id, 1);
	ap_tables_use(f->tables, id, ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC);
	/* So the walker is to ask, which it does through whoever maps the file then. */
	assert_int_equal(known(f, &key).flags, UINT32_MAX);
	ls->tried = 0;
	ap_file_unref(get(f, "/bin/ls"));
	assert_true(ls->fd >= 0);
	ap_tables_add_key(f->tables, ls, &key, ap_clock_mono_ns() + 60 * AP_NSEC_PER_SEC);
	wait_for_table(f, &key);
	assert_int_equal(known(f, &key).file, id);
	ap_file_unref(vdso);
	ap_file_unref(ls);
	ap_file_unref(other);
	end(f);
}

static struct ap_file *numbered(struct fixture *f, uint32_t i)
{
	char path[64];

	snprintf(path, sizeof(path), "/no/such/%u", i);
	return get(f, path);
}

static void numbers_of_files_long_unused_are_given_to_others(void **state)
{
	struct fixture *f = begin(1000, 8);
	struct ap_file_key keys[] = {other_key(0), other_key(1)};
	uint32_t ids[2];
	uint64_t now = 0;

	for (uint32_t i = 0; i < 10000; i++) {
		struct ap_file *file = numbered(f, i);
		struct ap_file_key key = other_key(i);

		now += 10 * AP_NSEC_PER_MSEC;
		ap_tables_add_key(f->tables, file, &key, now);
		ap_file_unref(file);
		assert_true(known(f, &key).file > 0);
		if (i < 2)
			ids[i] = known(f, &key).file;
		/* The first of all is in use all the time. */
		assert_string_equal(ap_tables_use(f->tables, ids[0], now)->path, "/no/such/0");
	}
	assert_int_equal(known(f, &keys[0]).file, ids[0]);
	assert_int_equal(known(f, &keys[1]).flags, UINT32_MAX);
	assert_null(ap_tables_use(f->tables, ids[1], now));
	assert_in_range(stats(f).files, 5000, 8191);
	assert_int_equal(stats(f).files + stats(f).files_evicted, 10001);
	end(f);
}

static void inodes_are_bounded_too(void **state)
{
	struct fixture *f = begin(1000, 8);
	struct ap_file *file = numbered(f, 0), *jit = get(f, "/memfd:jit");

	for (uint32_t i = 0; i < AP_FILES_MAX + 100; i++) {
		struct ap_file_key key = other_key(i);

		ap_tables_add_key(f->tables, i % 2 ? file : jit, &key, i + 1);
	}
	assert_true(f->most > AP_FILES_MAX / 2 && f->most <= AP_FILES_MAX);
	ap_file_unref(file);
	ap_file_unref(jit);
	end(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_has_its_table_before_it_is_met),
		cmocka_unit_test(one_file_may_have_several_inodes),
		cmocka_unit_test(equal_files_share_a_table_and_keep_their_names),
		cmocka_unit_test(another_name_of_an_inode_leaves_it_alone),
		cmocka_unit_test(a_file_written_anew_is_another),
		cmocka_unit_test(what_is_no_program_is_said_to_have_no_table),
		cmocka_unit_test(idle_tables_make_way_and_come_back),
		cmocka_unit_test(a_closed_file_is_opened_again_when_its_table_is_wanted),
		cmocka_unit_test(numbers_of_files_long_unused_are_given_to_others),
		cmocka_unit_test(inodes_are_bounded_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

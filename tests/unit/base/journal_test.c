/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "../test.h"
#include "base/io.h"
#include "base/journal.h"
#include "base/vec.h"

enum { RECORDS = 5, THREADS = 8, EACH = 200 };

static char folder[64];

static int make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/ap-journal-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* The records that an opening hands over. */
struct seen {
	AP_VEC(char *) texts;
	AP_VEC(struct ap_journal_at) at;
};

static int see(void *ctx, const struct ap_journal_at *at, struct ap_str payload)
{
	struct seen *s = ctx;

	assert_int_equal(ap_vec_push(&s->texts, ap_str_dup(payload)), 0);
	assert_int_equal(ap_vec_push(&s->at, *at), 0);
	return 1;
}

static void seen_free(struct seen *s)
{
	AP_VEC_FOREACH(&s->texts, t)
		free(*t);
	ap_vec_free(&s->texts);
	ap_vec_free(&s->at);
}

static struct ap_journal *open_bounded(struct seen *s, uint64_t file_bytes, uint64_t max_bytes)
{
	const struct ap_journal_options o = {
		.dir = folder, .file_bytes = file_bytes, .max_bytes = max_bytes};
	struct ap_error err = {0};
	struct ap_journal *j = NULL;

	seen_free(s);
	assert_int_equal(ap_journal_open(&o, see, s, &j, &err), 0);
	return j;
}

static struct ap_journal *open_journal(struct seen *s)
{
	return open_bounded(s, 0, 0);
}

static struct ap_journal_at append(struct ap_journal *j, const char *text)
{
	struct ap_journal_at at;

	/* A head and a body, as whoever prefixes a message has them. */
	assert_int_equal(ap_journal_append(j, (struct ap_str){text, 1}, ap_str_of(text + 1), &at),
			 0);
	return at;
}

static const char *text_of(int i)
{
	static char text[32];

	/* Lengths from 4 to 8: with and without padding. */
	snprintf(text, sizeof(text), "r%02d%.*s", i, i % 5 + 1, "xxxxx");
	return text;
}

static void assert_seen(const struct seen *s, size_t n)
{
	assert_int_equal(s->texts.n, n);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(s->texts.p[i], text_of((int)i));
}

static void hands_over_in_order_what_was_appended(void **state)
{
	struct seen s = {0};
	struct ap_journal *j = open_journal(&s);
	_cleanup_buf_ struct ap_buf b = {0};

	assert_seen(&s, 0);
	for (int i = 0; i < RECORDS; i++)
		append(j, text_of(i));
	ap_journal_close(j);
	j = open_journal(&s);
	assert_seen(&s, RECORDS);
	assert_int_equal(ap_journal_read(j, &s.at.p[3], &b), 0);
	assert_memory_equal(b.p, text_of(3), strlen(text_of(3)));
	append(j, text_of(RECORDS));
	ap_journal_close(j);
	j = open_journal(&s);
	assert_seen(&s, RECORDS + 1);
	ap_journal_close(j);
	seen_free(&s);
}

static off_t size_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void first_file(char *path, size_t n)
{
	snprintf(path, n, "%s/00000000000000000001.journal", folder);
}

/* Cuts a journal of RECORDS records at every length, as a crash may, and goes on from there. */
static void keeps_what_is_whole_of_a_torn_file(void **state)
{
	struct seen s = {0};
	struct ap_journal *j = open_journal(&s);
	_cleanup_buf_ struct ap_buf whole = {0};
	uint64_t ends[RECORDS];
	char path[128], command[160];

	for (int i = 0; i < RECORDS; i++) {
		struct ap_journal_at at = append(j, text_of(i));

		ends[i] = at.offset + 24 + ((strlen(text_of(i)) + 7) & ~7ull);
	}
	ap_journal_close(j);
	first_file(path, sizeof(path));
	assert_int_equal(ap_read_file(AT_FDCWD, path, 1 << 20, &whole), 0);
	assert_int_equal(whole.n, ends[RECORDS - 1]);
	for (size_t n = 0; n <= whole.n; n++) {
		size_t left = 0;

		snprintf(command, sizeof(command), "rm -f %s/*.journal", folder);
		assert_int_equal(system(command), 0);
		assert_int_equal(ap_write_file_atomic(path, whole.p, n, 0600, false), 0);
		while (left < RECORDS && ends[left] <= n)
			left++;
		j = open_journal(&s);
		assert_seen(&s, left);
		append(j, text_of((int)left));
		ap_journal_close(j);
		j = open_journal(&s);
		assert_seen(&s, left + 1);
		ap_journal_close(j);
	}
	seen_free(&s);
}

static void hands_over_nothing_that_was_changed(void **state)
{
	struct seen s = {0};
	struct ap_journal *j = open_journal(&s);
	_cleanup_buf_ struct ap_buf whole = {0};
	struct ap_journal_at last = {0};
	char path[128];

	for (int i = 0; i < RECORDS; i++)
		last = append(j, text_of(i));
	ap_journal_close(j);
	first_file(path, sizeof(path));
	assert_int_equal(ap_read_file(AT_FDCWD, path, 1 << 20, &whole), 0);
	for (size_t n = last.offset; n < whole.n; n++) {
		whole.p[n] ^= 0x10;
		assert_int_equal(ap_write_file_atomic(path, whole.p, whole.n, 0600, false), 0);
		j = open_journal(&s);
		/* Padding means nothing. */
		if (n < last.offset + 24 + strlen(text_of(RECORDS - 1)))
			assert_seen(&s, RECORDS - 1);
		ap_journal_close(j);
		whole.p[n] ^= 0x10;
	}
	seen_free(&s);
}

/* A write that fails part of the way leaves its bytes in the file. */
static void forgets_a_record_whose_append_failed(void **state)
{
	struct rlimit before, small;
	struct seen s = {0};
	struct ap_journal *j = open_journal(&s);
	struct ap_journal_at at;
	char path[128];

	append(j, text_of(0));
	first_file(path, sizeof(path));
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = (rlim_t)size_of(path) + 12;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(ap_journal_append(j, AP_STR(""), AP_STR("it does not fit"), &at), -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	append(j, text_of(1));
	ap_journal_close(j);
	j = open_journal(&s);
	assert_seen(&s, 2);
	ap_journal_close(j);
	seen_free(&s);
}

static void *append_many(void *arg)
{
	for (int i = 0; i < EACH; i++)
		append(arg, "many");
	return NULL;
}

static void shares_a_write_among_threads(void **state)
{
	struct seen s = {0};
	struct ap_journal *j = open_bounded(&s, 2000, 0);
	struct ap_journal_stats stats;
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, append_many, j), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ap_journal_get_stats(j, &stats);
	assert_int_equal(stats.appended, THREADS * EACH);
	assert_in_range(stats.commits, 1, THREADS * EACH);
	ap_journal_close(j);
	j = open_journal(&s);
	assert_int_equal(s.texts.n, THREADS * EACH);
	for (size_t i = 0; i < s.at.n; i++)
		assert_int_equal(s.at.p[i].number, i + 1);
	ap_journal_close(j);
	seen_free(&s);
}

static void deletes_files_that_nobody_needs(void **state)
{
	struct seen s = {0};
	struct ap_journal *j = open_bounded(&s, 1, 400); /* a file for each record */
	struct ap_journal_at at[3];
	struct ap_journal_stats stats;

	for (int i = 0; i < 3; i++)
		at[i] = append(j, text_of(i));
	ap_journal_release(j, &at[1]);
	assert_int_equal(ap_journal_trimmable(j, NULL), 0); /* the one before it is needed */
	ap_journal_release(j, &at[0]);
	assert_int_equal(ap_journal_trimmable(j, NULL), 2);
	ap_journal_trim(j, 1);
	assert_int_equal(ap_journal_trimmable(j, NULL), 1);
	ap_journal_trim(j, 9);
	ap_journal_get_stats(j, &stats);
	assert_int_equal(stats.files, 1);
	assert_int_equal(stats.live, 1);
	ap_journal_close(j);
	j = open_bounded(&s, 1, 400);
	assert_int_equal(s.texts.n, 1);
	assert_string_equal(s.texts.p[0], text_of(2));
	assert_int_equal(s.at.p[0].number, 3);
	ap_journal_close(j);
	seen_free(&s);
}

static void refuses_what_exceeds_the_bound_until_there_is_room(void **state)
{
	struct seen s = {0};
	struct ap_journal *j = open_bounded(&s, 1, 160);
	struct ap_journal_at at[2], more;

	at[0] = append(j, text_of(0));
	at[1] = append(j, text_of(1));
	assert_int_equal(ap_journal_append(j, AP_STR(""), AP_STR("x"), &more), -ENOSPC);
	ap_journal_release(j, &at[0]);
	ap_journal_trim(j, ap_journal_trimmable(j, NULL));
	append(j, text_of(2));
	ap_journal_close(j);
	j = open_journal(&s);
	assert_int_equal(s.texts.n, 2);
	assert_string_equal(s.texts.p[1], text_of(2));
	ap_journal_close(j);
	seen_free(&s);
}

static void says_how_much_is_damaged_in_the_middle(void **state)
{
	struct seen s = {0};
	struct ap_journal *j = open_bounded(&s, 1, 0);
	struct ap_journal_stats stats;
	char path[128];
	int fd;

	for (int i = 0; i < 3; i++)
		append(j, text_of(i));
	ap_journal_close(j);
	snprintf(path, sizeof(path), "%s/00000000000000000002.journal", folder);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "?", 1, 40 + 8), 1);
	close(fd);
	j = open_journal(&s);
	assert_int_equal(s.texts.n, 2);
	assert_string_equal(s.texts.p[1], text_of(2));
	ap_journal_get_stats(j, &stats);
	assert_int_equal(stats.damaged_bytes, 32);
	ap_journal_close(j);
	seen_free(&s);
}

/* Whichever byte of the records 1 and 2 changes, the others are read, and what is appended then is as well. */
static void reads_on_behind_damage_in_the_middle(void **state)
{
	struct seen s = {0};
	struct ap_journal *j = open_journal(&s);
	_cleanup_buf_ struct ap_buf whole = {0}, aside = {0};
	struct ap_journal_at at[RECORDS];
	struct ap_journal_stats stats;
	char path[128], put[128], second[128];

	for (int i = 0; i < RECORDS; i++)
		at[i] = append(j, text_of(i));
	ap_journal_close(j);
	first_file(path, sizeof(path));
	snprintf(put, sizeof(put), "%s/00000000000000000002.damaged", folder);
	snprintf(second, sizeof(second), "%s/%020d.journal", folder, RECORDS + 1);
	assert_int_equal(ap_read_file(AT_FDCWD, path, 1 << 20, &whole), 0);
	for (uint64_t n = at[1].offset; n < at[2].offset; n++) {
		if (n >= at[1].offset + 24 + strlen(text_of(1)))
			continue; /* padding */
		unlink(put);
		whole.p[n] ^= 0x10;
		whole.p[at[2].offset + 8] ^= (uint8_t)(n & 1);
		assert_int_equal(ap_write_file_atomic(path, whole.p, whole.n, 0600, false), 0);
		j = open_journal(&s);
		assert_int_equal(s.texts.n, RECORDS - 1 - (n & 1));
		assert_string_equal(s.texts.p[0], text_of(0));
		for (size_t i = 1; i < s.texts.n; i++)
			assert_string_equal(s.texts.p[i], text_of((int)(i + 1 + (n & 1))));
		ap_journal_get_stats(j, &stats);
		assert_int_equal(stats.damaged_records, 1 + (n & 1));
		assert_int_equal(stats.damaged_bytes, at[2 + (n & 1)].offset - at[1].offset);
		ap_buf_clear(&aside);
		assert_int_equal(ap_read_file(AT_FDCWD, put, 1 << 20, &aside), 0);
		assert_int_equal(aside.n, stats.damaged_bytes);
		assert_memory_equal(aside.p, whole.p + at[1].offset, aside.n);
		append(j, "more");
		ap_journal_close(j);
		j = open_journal(&s);
		assert_int_equal(s.texts.n, RECORDS - (n & 1));
		assert_string_equal(s.texts.p[s.texts.n - 1], "more");
		ap_journal_close(j);
		assert_int_equal(unlink(second), 0);
		whole.p[n] ^= 0x10;
		whole.p[at[2].offset + 8] ^= (uint8_t)(n & 1);
	}
	seen_free(&s);
}

/* A payload that looks like the record that is missing behind it. */
static void takes_no_payload_for_a_record(void **state)
{
	struct seen s = {0};
	struct ap_journal *j = open_journal(&s);
	_cleanup_buf_ struct ap_buf whole = {0};
	char path[128];

	for (int i = 0; i < 200; i++)
		append(j, "padding: numbers up to 200");
	ap_journal_close(j);
	first_file(path, sizeof(path));
	assert_int_equal(ap_read_file(AT_FDCWD, path, 1 << 20, &whole), 0);
	unlink(path);
	j = open_journal(&s);
	/* Record 1 holds records 1 to 200; 2 is there. */
	assert_int_equal(
		ap_journal_append(j, AP_STR(""),
				  (struct ap_str){(char *)whole.p + 48 + 100 * 56, 56 * 50},
				  &(struct ap_journal_at){0}),
		0);
	append(j, text_of(1));
	ap_journal_close(j);
	ap_buf_clear(&whole);
	assert_int_equal(ap_read_file(AT_FDCWD, path, 1 << 20, &whole), 0);
	whole.p[48] ^= 1;
	assert_int_equal(ap_write_file_atomic(path, whole.p, whole.n, 0600, false), 0);
	j = open_journal(&s);
	assert_int_equal(s.texts.n, 1);
	assert_string_equal(s.texts.p[0], text_of(1));
	ap_journal_close(j);
	seen_free(&s);
}

static int refuse_to_know(void *ctx, const struct ap_journal_at *at, struct ap_str payload)
{
	return ap_str_eq(payload, ap_str_of(text_of(1))) ? AP_JOURNAL_DAMAGED : 1;
}

/* A record that is whole, and means nothing: it keeps no file. */
static void puts_aside_what_means_nothing(void **state)
{
	const struct ap_journal_options o = {.dir = folder, .file_bytes = 1};
	struct seen s = {0};
	struct ap_journal *j = open_bounded(&s, 1, 0);
	struct ap_journal_at at[3];
	struct ap_journal_stats stats;
	struct ap_error err = {0};
	char path[128];

	for (int i = 0; i < 3; i++)
		at[i] = append(j, text_of(i));
	ap_journal_close(j);
	assert_int_equal(ap_journal_open(&o, refuse_to_know, NULL, &j, &err), 0);
	ap_journal_get_stats(j, &stats);
	assert_int_equal(stats.damaged_records, 1);
	assert_int_equal(stats.live, 2);
	snprintf(path, sizeof(path), "%s/00000000000000000002.damaged", folder);
	assert_int_equal(size_of(path), 32);
	ap_journal_release(j, &at[0]);
	ap_journal_trim(j, ap_journal_trimmable(j, NULL));
	ap_journal_get_stats(j, &stats);
	assert_int_equal(stats.files, 1);
	ap_journal_close(j);
	seen_free(&s);
}

/* Damage that only a reading finds. */
static void sets_aside_a_record_that_cannot_be_read(void **state)
{
	struct seen s = {0};
	struct ap_journal *j = open_journal(&s);
	_cleanup_buf_ struct ap_buf b = {0};
	struct ap_journal_at at[3];
	struct ap_journal_stats stats;
	char path[128];
	int fd;

	for (int i = 0; i < 3; i++)
		at[i] = append(j, text_of(i));
	first_file(path, sizeof(path));
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "?", 1, (off_t)at[1].offset + 24), 1);
	close(fd);
	assert_int_equal(ap_journal_read(j, &at[1], &b), -EBADMSG);
	ap_journal_set_aside(j, &at[1]);
	ap_journal_get_stats(j, &stats);
	assert_int_equal(stats.damaged_records, 1);
	assert_int_equal(stats.damaged_bytes, 32);
	snprintf(path, sizeof(path), "%s/00000000000000000002.damaged", folder);
	assert_int_equal(size_of(path), 32);
	ap_journal_close(j);
	seen_free(&s);
}

static void leaves_a_newer_format_and_another_process_alone(void **state)
{
	const struct ap_journal_options o = {.dir = folder};
	struct seen s = {0};
	struct ap_journal *j = open_journal(&s), *second;
	struct ap_error err = {0};
	char path[128];
	off_t size;
	int fd;

	append(j, text_of(0));
	assert_int_equal(ap_journal_open(&o, see, &s, &second, &err), -EBUSY);
	ap_journal_close(j);
	first_file(path, sizeof(path));
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\7", 1, 8), 1);
	close(fd);
	size = size_of(path);
	assert_int_equal(ap_journal_open(&o, see, &s, &second, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "newer version"));
	assert_int_equal(size_of(path), size);
	seen_free(&s);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hands_over_in_order_what_was_appended),
		TEST(keeps_what_is_whole_of_a_torn_file),
		TEST(hands_over_nothing_that_was_changed),
		TEST(forgets_a_record_whose_append_failed),
		TEST(shares_a_write_among_threads),
		TEST(deletes_files_that_nobody_needs),
		TEST(refuses_what_exceeds_the_bound_until_there_is_room),
		TEST(says_how_much_is_damaged_in_the_middle),
		TEST(reads_on_behind_damage_in_the_middle),
		TEST(takes_no_payload_for_a_record),
		TEST(puts_aside_what_means_nothing),
		TEST(sets_aside_a_record_that_cannot_be_read),
		TEST(leaves_a_newer_format_and_another_process_alone),
	};

	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}

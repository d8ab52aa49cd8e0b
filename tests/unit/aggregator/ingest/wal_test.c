/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/wal.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "../../wire/sample.h"
#include "aggregator/ingest/ingest.h"
#include "aggregator/ingest/wal_record.h"
#include "base/clock.h"

#define SECOND 1000000000ll

static char folder[64];

static int make_folder(void **state)
{
	snprintf(folder, sizeof(folder), "/tmp/ap-wal-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

/* An aggregator without a store: `last` is what the store would say that it has. */
struct fixture {
	struct ap_agents *agents;
	struct ap_wal *wal;
	struct ap_buffer *buffer;
	struct ap_ingest *ingest;
};

static void start_bounded(struct fixture *f, size_t memory, uint64_t disk, uint64_t last)
{
	struct ap_wal_options wal = {.dir = folder, .file_bytes = 1024, .max_bytes = disk};
	struct ap_buffer_config buffer = {.capacity_bytes = memory, .release = ap_wal_release};
	struct ap_ingest_config ingest = {0};
	struct ap_error err = {0};
	uint64_t stored;

	assert_int_equal(ap_agents_new(0, &f->agents), 0);
	wal.agents = ingest.agents = f->agents;
	assert_int_equal(ap_wal_new(&wal, &f->wal), 0);
	buffer.ctx = f->wal;
	assert_int_equal(ap_buffer_new(&buffer, &f->buffer), 0);
	assert_int_equal(ap_wal_open(f->wal, f->buffer, &stored, &err), 0);
	assert_int_equal(ap_buffer_restored(f->buffer, stored, last), 0);
	ingest.buffer = f->buffer;
	ingest.wal = f->wal;
	assert_int_equal(ap_ingest_new(&ingest, &f->ingest), 0);
}

static void start(struct fixture *f)
{
	start_bounded(f, 0, 0, 0);
}

/* As a crash does it: nothing is written any more. */
static void stop(struct fixture *f)
{
	ap_ingest_free(f->ingest);
	ap_buffer_free(f->buffer);
	ap_wal_free(f->wal);
	ap_agents_free(f->agents);
}

static enum ap_push_status push_at(struct fixture *f, int64_t start_ns, size_t rows,
				   uint64_t sequence)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_push_result r;

	sample_request(start_ns, rows, sequence, &bytes);
	ap_ingest_push(f->ingest, ap_buf_view(&bytes), &r);
	return r.status;
}

static enum ap_push_status push(struct fixture *f, size_t rows, uint64_t sequence)
{
	return push_at(f, ap_clock_unix_ns() - 3600 * SECOND, rows, sequence);
}

/* Cuts a segment; its rows, read from the log where they are not in memory. */
static size_t cut(struct fixture *f, struct ap_cut *ret)
{
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	size_t rows = 0;

	if (ap_buffer_cut(f->buffer, ret, &list) < 0)
		return 0;
	for (size_t i = 0; i < list.n; i++) {
		struct ap_batch copy;

		rows += list.p[i]->n_rows;
		if (list.p[i]->profile)
			continue;
		assert_int_equal(ap_wal_load(f->wal, list.p[i], &copy), 0);
		assert_true(copy.first_row + copy.n_rows <= copy.profile->samples.n);
		assert_string_equal(copy.meta->agent_id, SAMPLE_AGENT);
		ap_wal_unload(&copy);
	}
	return rows;
}

static void what_was_acknowledged_is_there_after_a_crash(void **state)
{
	struct fixture f;
	struct ap_buffer_stats stats;
	struct ap_cut c;

	start(&f);
	for (uint64_t n = 1; n <= 3; n++)
		assert_int_equal(push(&f, 10 * n, n), AP_PUSH_OK);
	stop(&f);
	start(&f);
	ap_buffer_get_stats(f.buffer, &stats);
	assert_int_equal(stats.pending_rows, 60);
	for (uint64_t n = 1; n <= 3; n++)
		assert_int_equal(push(&f, 10 * n, n), AP_PUSH_DUPLICATE);
	assert_int_equal(push(&f, 5, 4), AP_PUSH_OK);
	/* The same rows in the same segment, which the store may have; the new batch is in another. */
	assert_int_equal(cut(&f, &c), 60);
	assert_int_equal(c.segment, 1);
	assert_true(c.unsure);
	assert_int_equal(cut(&f, &c), 5);
	assert_int_equal(c.segment, 2);
	assert_false(c.unsure);
	stop(&f);
}

static void segments_stay_whole_over_crashes(void **state)
{
	struct fixture f;
	struct ap_cut c;
	uint64_t n = 1;

	for (int round = 0; round < 4; round++) {
		start(&f);
		for (int i = 0; i < 3; i++, n++)
			assert_int_equal(push(&f, 7, n), AP_PUSH_OK);
		if (round == 1) { /* cut, inserted perhaps, not known to be */
			assert_int_equal(cut(&f, &c), 21);
			assert_int_equal(c.segment, 1);
		}
		stop(&f);
	}
	start(&f);
	for (uint64_t segment = 1; segment <= 4; segment++) {
		assert_int_equal(cut(&f, &c), 21);
		assert_int_equal(c.segment, segment);
		assert_int_equal(ap_buffer_stored(f.buffer, segment), 0);
	}
	assert_int_equal(cut(&f, &c), 0);
	stop(&f);
}

static void what_is_stored_waits_for_nothing_after_a_crash(void **state)
{
	struct fixture f;
	struct ap_cut c;

	start(&f);
	assert_int_equal(push(&f, 40, 1), AP_PUSH_OK);
	assert_int_equal(cut(&f, &c), 40);
	assert_int_equal(ap_buffer_stored(f.buffer, c.segment), 0);
	assert_int_equal(push(&f, 5, 2),
			 AP_PUSH_OK); /* its record tells that the first is stored */
	stop(&f);
	start(&f);
	assert_int_equal(ap_buffer_wait(f.buffer, 0, 0), 5);
	assert_int_equal(cut(&f, &c), 5);
	assert_int_equal(ap_buffer_wait(f.buffer, 0, 0), 0);
	stop(&f);
}

static void what_is_stored_makes_room_and_is_still_known(void **state)
{
	struct ap_wal_stats before, after;
	struct fixture f;
	struct ap_cut c;

	start(&f);
	for (uint64_t n = 1; n <= 20; n++)
		assert_int_equal(push(&f, 500, n), AP_PUSH_OK);
	ap_wal_get_stats(f.wal, &before);
	assert_true(before.journal.files > 2);
	assert_int_equal(cut(&f, &c), 10000);
	assert_int_equal(ap_buffer_stored(f.buffer, c.segment), 0);
	assert_int_equal(push(&f, 500, 21), AP_PUSH_OK);
	assert_int_equal(ap_wal_trim(f.wal), 0);
	ap_wal_get_stats(f.wal, &after);
	assert_true(after.journal.files < before.journal.files);
	stop(&f);

	start_bounded(&f, 0, 0, 1);
	ap_wal_get_stats(f.wal, &after);
	assert_true(after.replayed < 20);
	for (uint64_t n = 1; n <= 21; n++)
		assert_int_equal(push(&f, 500, n), AP_PUSH_DUPLICATE);
	assert_int_equal(push(&f, 500, 22), AP_PUSH_OK);
	stop(&f);
}

static void what_memory_has_no_room_for_is_on_disk(void **state)
{
	struct ap_buffer_stats stats;
	struct fixture f;
	size_t rows = 0;
	struct ap_cut c;

	for (int crash = 0; crash < 2; crash++) {
		start_bounded(&f, 1 << 20, 0, 0);
		for (uint64_t n = 1; n <= 30; n++)
			assert_int_equal(push(&f, 2000, n), crash ? AP_PUSH_DUPLICATE : AP_PUSH_OK);
		ap_buffer_get_stats(f.buffer, &stats);
		assert_int_equal(stats.pending_rows, 60000);
		assert_in_range(stats.hidden_rows, 1, 59999);
		assert_true(stats.bytes <= (1 << 20) + 30 * sizeof(struct ap_batch));
		if (!crash)
			stop(&f);
	}
	for (size_t n; (n = cut(&f, &c)) > 0; rows += n)
		assert_int_equal(ap_buffer_stored(f.buffer, c.segment), 0);
	assert_int_equal(rows, 60000);
	ap_buffer_get_stats(f.buffer, &stats);
	assert_int_equal(stats.hidden_rows, 0);
	assert_int_equal(stats.pending_bytes, 0);
	stop(&f);
}

static void a_writer_that_keeps_up_leaves_the_log_small(void **state)
{
	struct ap_wal_stats stats;
	struct fixture f;
	struct ap_cut c;
	uint64_t n = 0;

	for (int run = 0; run < 3; run++) {
		start_bounded(&f, 0, 20000, n);
		for (int i = 0; i < 100; i++) {
			assert_int_equal(push(&f, 5, ++n), AP_PUSH_OK);
			while (cut(&f, &c))
				assert_int_equal(ap_buffer_stored(f.buffer, c.segment), 0);
			assert_int_equal(ap_wal_trim(f.wal), 0);
			ap_wal_get_stats(f.wal, &stats);
			assert_true(stats.journal.files <= 3);
		}
		stop(&f);
	}
}

static void a_full_log_asks_to_come_back(void **state)
{
	struct fixture f;
	struct ap_cut c;
	uint64_t n = 1;

	start_bounded(&f, 0, 20000, 0);
	while (push(&f, 500, n) == AP_PUSH_OK)
		n++;
	assert_int_equal(push(&f, 500, n), AP_PUSH_BACKPRESSURE);
	while (cut(&f, &c))
		assert_int_equal(ap_buffer_stored(f.buffer, c.segment), 0);
	/* What tells of the accepted batches is written over the bound: else there never was room. */
	assert_int_equal(ap_wal_trim(f.wal), 0);
	assert_int_equal(push(&f, 500, n), AP_PUSH_OK);
	assert_int_equal(push(&f, 500, n), AP_PUSH_DUPLICATE);
	stop(&f);
}

static void rows_of_two_days_find_their_segments_again(void **state)
{
	int64_t day = 86400 * SECOND, midnight = ap_clock_unix_ns() / day * day - day;
	struct fixture f;
	struct ap_cut c;

	start(&f);
	assert_int_equal(push_at(&f, midnight - 4 * SECOND, 10, 1), AP_PUSH_OK);
	assert_int_equal(push_at(&f, midnight - 60 * SECOND, 5, 2), AP_PUSH_OK);
	stop(&f);
	start(&f);
	assert_int_equal(cut(&f, &c), 9);
	assert_int_equal(ap_buffer_stored(f.buffer, c.segment), 0);
	assert_int_equal(cut(&f, &c), 6);
	assert_int_equal(c.segment, 2);
	stop(&f);
}

/* Changes a byte of the request in the file's first record, the head of which has 24 + 24 + 8 bytes. */
static void damage(const char *path)
{
	int fd = open(path, O_RDWR);
	char c;

	assert_int_equal(pread(fd, &c, 1, 48 + 24 + 32 + 40), 1);
	c ^= 4;
	assert_int_equal(pwrite(fd, &c, 1, 48 + 24 + 32 + 40), 1);
	close(fd);
}

/* Rots under a running aggregator, where memory had no room for the batch. */
static void a_damaged_record_is_counted_once_and_holds_nothing_up(void **state)
{
	struct ap_wal_stats stats;
	struct fixture f;
	size_t lost = 0, rows = 0;
	struct ap_cut c;
	char path[128];

	start_bounded(&f, 1, 0, 0); /* all of it is in the log alone */
	for (uint64_t n = 1; n <= 3; n++)
		assert_int_equal(push(&f, 500, n), AP_PUSH_OK);
	snprintf(path, sizeof(path), "%s/00000000000000000001.journal", folder);
	damage(path);
	for (int again = 0; again < 2; again++) {
		_cleanup_batch_list_ struct ap_batch_list list = {0};

		assert_int_equal(ap_buffer_cut(f.buffer, &c, &list), 0);
		assert_int_equal(list.n, 3);
		for (size_t i = 0; i < list.n; i++) {
			struct ap_batch copy;
			int r = ap_wal_load(f.wal, list.p[i], &copy);

			if (r == 0) {
				rows += copy.n_rows;
				ap_wal_unload(&copy);
				continue;
			}
			assert_int_equal(r, -EBADMSG);
			lost += list.p[i]->n_rows;
			assert_true(list.p[i]->periods >= list.p[i]->n_rows);
		}
		if (!again)
			assert_int_equal(ap_buffer_retry(f.buffer, c.segment, true), 0);
	}
	assert_int_equal(rows, 2 * 1000);
	assert_int_equal(lost, 2 * 500);
	ap_wal_get_stats(f.wal, &stats);
	assert_int_equal(stats.journal.damaged_records, 1);
	snprintf(path, sizeof(path), "%s/00000000000000000001.damaged", folder);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(ap_buffer_stored(f.buffer, c.segment), 0);
	assert_int_equal(ap_wal_trim(f.wal), 0);
	ap_wal_get_stats(f.wal, &stats);
	assert_int_equal(stats.journal.files, 1);
	stop(&f);
}

static void a_record_that_rots_between_runs_is_counted(void **state)
{
	struct ap_buffer_stats stats;
	struct ap_wal_stats wal;
	struct fixture f;
	struct ap_cut c;
	char path[128];

	start(&f);
	for (uint64_t n = 1; n <= 3; n++)
		assert_int_equal(push(&f, 500, n), AP_PUSH_OK);
	stop(&f);
	snprintf(path, sizeof(path), "%s/00000000000000000001.journal", folder);
	damage(path);
	start(&f);
	ap_wal_get_stats(f.wal, &wal);
	assert_int_equal(wal.journal.damaged_records, 1);
	ap_buffer_get_stats(f.buffer, &stats);
	assert_int_equal(stats.pending_rows, 1000);
	while (cut(&f, &c))
		assert_int_equal(ap_buffer_stored(f.buffer, c.segment), 0);
	assert_int_equal(ap_wal_trim(f.wal), 0);
	ap_wal_get_stats(f.wal, &wal);
	assert_int_equal(wal.journal.files, 1);
	stop(&f);
}

static int keep(void *ctx, const struct ap_journal_at *at, struct ap_str payload)
{
	return 1;
}

static int count_files(void)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	int n = 0;

	assert_non_null(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* Appends a record of that version to the folder's log. */
static void append_version(uint8_t version)
{
	const struct ap_journal_options o = {.dir = folder};
	const uint8_t record[24] = {WAL_BATCH, version};
	struct ap_journal_at at;
	struct ap_error err = {0};
	struct ap_journal *j;

	assert_int_equal(ap_journal_open(&o, keep, NULL, &j, &err), 0);
	assert_int_equal(ap_journal_append(j, AP_STR(""),
					   (struct ap_str){(const char *)record, sizeof(record)},
					   &at),
			 0);
	ap_journal_close(j);
}

static void records_of_a_newer_version_are_not_touched(void **state)
{
	struct ap_wal_options o = {.dir = folder};
	struct ap_buffer_config config = {.release = ap_wal_release};
	struct ap_buffer *buffer;
	struct ap_error err = {0};
	uint64_t stored;

	append_version(0); /* means nothing */
	append_version(2);
	assert_int_equal(ap_agents_new(0, &o.agents), 0);
	assert_int_equal(ap_wal_new(&o, (struct ap_wal **)&config.ctx), 0);
	assert_int_equal(ap_buffer_new(&config, &buffer), 0);
	assert_int_equal(ap_wal_open(config.ctx, buffer, &stored, &err), -EPROTO);
	assert_non_null(strstr(err.msg, "newer version"));
	ap_buffer_free(buffer);
	ap_wal_free(config.ctx);
	ap_agents_free(o.agents);
	assert_int_equal(count_files(), 3); /* two of the log and its lock */
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_was_acknowledged_is_there_after_a_crash),
		TEST(segments_stay_whole_over_crashes),
		TEST(what_is_stored_waits_for_nothing_after_a_crash),
		TEST(what_is_stored_makes_room_and_is_still_known),
		TEST(what_memory_has_no_room_for_is_on_disk),
		TEST(a_writer_that_keeps_up_leaves_the_log_small),
		TEST(a_full_log_asks_to_come_back),
		TEST(rows_of_two_days_find_their_segments_again),
		TEST(a_damaged_record_is_counted_once_and_holds_nothing_up),
		TEST(a_record_that_rots_between_runs_is_counted),
		TEST(records_of_a_newer_version_are_not_touched),
	};

	return cmocka_run_group_tests_name("wal", tests, NULL, NULL);
}

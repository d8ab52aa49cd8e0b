/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's two threads at a server that does not sync what it takes. The server is the test's: it holds an insert
 * up until the other thread's has come, and until the test lets it go on. */
#include "aggregator/store/writer.h"

#include <unistd.h>

#include "../journaled.h"
#include "base/clock.h"

enum { SEGMENTS = 2, ROWS = 3 };

static atomic_uint counted; /* questions for the rows of what is held */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned int arrived;	    /* inserts of samples */
	bool let_go;		    /* the second of them */
	unsigned int failing;	    /* which of them fails, of those that were begun; 0: none */
	uint64_t rows[2][SEGMENTS]; /* of samples and of the ledger, by segment */
} server;

static uint64_t segment_of(const struct ap_native_block *block)
{
	_cleanup_buf_ struct ap_buf bytes = {0};
	struct ap_native_view view = {0};
	struct ap_error err = {0};
	uint64_t segment;
	size_t used;

	assert_int_equal(ap_native_encode(block, &bytes), 0);
	assert_int_equal(ap_native_decode(ap_buf_view(&bytes), &view, &used, &err), 0);
	segment = ap_native_uint(&view.columns[view.n_columns - 1], 0);
	ap_native_view_free(&view);
	assert_in_range(segment, 1, SEGMENTS);
	return segment;
}

static bool is_ledger(const char *sql, size_t n)
{
	return memmem(sql, n, "ledger", 6) != NULL;
}

/* Until the other thread's insert has come, and the second one may go on; with the lock held. Whether it fails. */
static bool await_turn(void)
{
	unsigned int turn = ++server.arrived;

	pthread_cond_broadcast(&server.changed);
	while (server.arrived < SEGMENTS || (turn == SEGMENTS && !server.let_go))
		pthread_cond_wait(&server.changed, &server.lock);
	return turn == server.failing;
}

static int insert(struct ap_store *s, const char *table, const struct ap_native_block *block,
		  const char *token, struct ap_error *err)
{
	bool samples = strcmp(table, "samples") == 0, fails;

	if (!samples && !is_ledger(table, strlen(table)))
		return 0;
	pthread_mutex_lock(&server.lock);
	fails = samples && await_turn();
	if (!fails)
		server.rows[!samples][segment_of(block) - 1] += ap_native_block_rows(block);
	pthread_mutex_unlock(&server.lock);
	return fails ? ap_error_set(err, -ENOTCONN, "the server has gone") : 0;
}

/* How many rows a segment has, or each. */
static int query(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
		 ap_store_block_fn fn, void *ctx, struct ap_error *err)
{
	static const uint64_t segments[SEGMENTS] = {1, 2};
	struct ap_native_column columns[2];
	struct ap_native_view view = {.columns = columns, .n_columns = 2, .rows = SEGMENTS};
	const char *one = memmem(sql.p, sql.n, "segment = ", 10);
	uint64_t rows[SEGMENTS] = {0};

	if (memmem(sql.p, sql.n, "FROM rollups", 12))
		return 0;
	pthread_mutex_lock(&server.lock);
	if (!memmem(sql.p, sql.n, "syscalls", 8))
		memcpy(rows, server.rows[is_ledger(sql.p, sql.n)], sizeof(rows));
	pthread_mutex_unlock(&server.lock);
	columns[0] = columns[1] = (struct ap_native_column){
		.type = AP_NATIVE_UINT64, .rows = SEGMENTS, .width = sizeof(uint64_t)};
	columns[0].data = (const uint8_t *)segments;
	columns[1].data = (const uint8_t *)rows;
	if (!one) {
		atomic_fetch_add(&counted, 1);
	} else {
		columns[0] = columns[1];
		columns[0].data += (size_t)(one[10] - '1') * sizeof(*rows);
		view.n_columns = view.rows = columns[0].rows = 1;
	}
	return fn(ctx, &view);
}

static int exec(struct ap_store *s, struct ap_str sql, struct ap_error *err)
{
	return 0;
}

static const struct ap_store_driver driver = {
	.name = "test", .exec = exec, .query = query, .insert = insert};

struct fixture {
	char folder[32];
	struct ap_store store;
	struct ap_agents *agents;
	struct ap_wal *wal;
	struct ap_buffer *buffer;
	struct ap_writer *writer;
	atomic_uint released;  /* records of the log */
	atomic_uint too_early; /* of those, before the store was asked for them */
};

static void note_release(void *ctx, const struct ap_journal_at *at)
{
	struct fixture *f = ctx;

	if (atomic_load(&counted) == 0)
		atomic_fetch_add(&f->too_early, 1);
	atomic_fetch_add(&f->released, 1);
}

static void start(struct fixture *f, unsigned int failing)
{
	struct ap_buffer_config config = {
		.release = note_release, .ctx = f, .hold = true, .segment_rows = ROWS};
	struct ap_writer_options o = {.store = &f->store,
				      .flush_interval_ns = AP_NSEC_PER_MSEC,
				      .hold_ns = AP_NSEC_PER_MSEC,
				      .max_block_rows = ROWS};
	struct ap_wal_options wal = {.dir = f->folder};
	struct ap_error err = {0};
	uint64_t stored;

	memset(&server, 0, sizeof(server));
	atomic_store(&counted, 0);
	server.failing = failing;
	pthread_mutex_init(&server.lock, NULL);
	pthread_cond_init(&server.changed, NULL);
	strcpy(f->folder, "/tmp/ap-writer-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	ap_store_init(&f->store, &driver);
	atomic_store(&f->store.ready, true);
	assert_int_equal(ap_agents_new(0, &f->agents), 0);
	wal.agents = f->agents;
	assert_int_equal(ap_wal_new(&wal, &f->wal), 0);
	assert_int_equal(ap_buffer_new(&config, &f->buffer), 0);
	assert_int_equal(ap_wal_open(f->wal, f->buffer, &stored, &err), 0);
	for (uint64_t i = 1; i <= SEGMENTS; i++)
		commit_record(f->buffer, i); /* a segment of its own */
	o.buffer = f->buffer;
	o.wal = f->wal;
	assert_int_equal(ap_writer_start(&o, &f->writer), 0);
}

static void end(struct fixture *f)
{
	char command[64];

	ap_writer_stop(f->writer);
	ap_buffer_free(f->buffer);
	ap_wal_free(f->wal);
	ap_agents_free(f->agents);
	pthread_mutex_destroy(&f->store.opening);
	pthread_mutex_destroy(&f->store.peers.lock);
	snprintf(command, sizeof(command), "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
}

static uint64_t flushes(struct fixture *f)
{
	struct ap_writer_stats stats;

	ap_writer_get_stats(f->writer, &stats);
	return stats.flushes_ok;
}

static void let_go(void)
{
	pthread_mutex_lock(&server.lock);
	server.let_go = true;
	pthread_cond_broadcast(&server.changed);
	pthread_mutex_unlock(&server.lock);
}

static void check_end(struct fixture *f)
{
	while (atomic_load(&f->released) < SEGMENTS)
		usleep(1000);
	assert_int_equal(atomic_load(&f->too_early), 0);
	assert_int_equal(ap_buffer_watermark(f->buffer), SEGMENTS);
	assert_int_equal(ap_buffer_settled(f->buffer), SEGMENTS);
	for (size_t i = 0; i < SEGMENTS; i++)
		assert_int_equal(server.rows[0][i], ROWS);
}

/* The one is stored while the other is on its way; the log lets go of neither before both have been counted. */
static void the_log_keeps_what_either_thread_has_stored(void **state)
{
	struct fixture f = {0};

	start(&f, 0);
	while (flushes(&f) == 0)
		usleep(1000);
	assert_true(ap_buffer_watermark(f.buffer) < SEGMENTS);
	assert_int_equal(ap_buffer_settled(f.buffer), 0);
	assert_int_equal(atomic_load(&f.released), 0);
	let_go();
	check_end(&f);
	assert_int_equal(flushes(&f), SEGMENTS);
	end(&f);
}

/* Whichever thread it was whose insert has failed: its segment comes again, and once. */
static void what_failed_beside_another_is_stored_again(void **state)
{
	for (unsigned int failing = 1; failing <= SEGMENTS; failing++) {
		struct fixture f = {0};

		start(&f, failing);
		let_go();
		check_end(&f);
		assert_int_equal(server.arrived, SEGMENTS + 1);
		end(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_log_keeps_what_either_thread_has_stored),
		cmocka_unit_test(what_failed_beside_another_is_stored_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

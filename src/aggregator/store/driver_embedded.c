/* SPDX-License-Identifier: Apache-2.0 */
/* ClickHouse inside this process: libchdb.
 *
 * What was learnt of it by measurement, and what follows from that:
 *  - Binary rows must not be appended to SQL text (rows that begin with white space are eaten, a
 *    double newline ends the data silently): inserts go through an insert stream.
 *  - A connection with an open stream fails any other statement, and one connection runs one
 *    statement at a time: inserts have connections of their own, and each query takes another.
 *  - The engine stops when its last connection closes and must not be left open at exit: all
 *    connections are held open from open() to close().
 *  - A materialised answer of 10 M rows takes 1.5 GB: answers are streamed in chunks of ≤ 1 MB.
 *  - A fetch sleeps until the first chunk is there, for a sum until the end: a statement is ended by
 *    KILL QUERY on a connection of its own, which knows it by a comment in its settings.
 *  - Two processes on one folder corrupt nothing (the engine locks it) but the message does not
 *    say who holds it: a lock file of our own is taken first. */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "aggregator/store/blocks.h"
#include "aggregator/store/canceller.h"
#include "aggregator/store/chdb.h"
#include "aggregator/store/exception.h"
#include "aggregator/store/folder.h"
#include "aggregator/store/pool.h"
#include "base/clock.h"
#include "base/thread.h"

enum {
	MARK_CACHE_BYTES = 16 << 20,
	/* Merges yield to storing and queries, but not so much that parts pile up on a host whose CPUs are always
	 * taken: from 1,000 of a day on the engine makes inserts wait, and at 3,000 it refuses them. Once raised, the
	 * value cannot be lowered without a privilege. The engine's own setting for this asks for CAP_SYS_NICE. */
	MERGE_NICE = 5,
	/* At once: most of an insert's time is the disk's, which syncs each file of the part. */
	INSERTS = 2,
	/* Merges wait for a writer that is behind until a day of a table has so many parts; after so many inserts that is
	 * looked at again. */
	PARTS_UNMERGED = 100,
	INSERTS_UNSEEN = 64,
	/* Of a query. In the engine's own 65,409, the stacks of a block are 16 MiB, of which several are under way. */
	BLOCK_ROWS = 8192,
};
#define MAX_MEMORY_DEFAULT   (1ull << 30)
#define QUERY_MEMORY_DEFAULT (512ull << 20)
#define DATABASE	     "aperture"
#define QUERY_NAME	     "aperture-query-"
#define MERGE_THREADS	     "MergeMutate"
/* What is given up, and begun again later, when merges are stopped. */
#define NO_LARGE_MERGE \
	" AND (SELECT sum(total_size_bytes_compressed) FROM system.merges) <= 16000000"
#define CHANNEL_WAIT (30 * AP_NSEC_PER_SEC)

struct embedded {
	struct ap_store head;
	const struct ap_chdb *lib;
	int lock_fd;
	struct ap_pool inserts;	  /* of connections for inserts */
	struct ap_pool pool;	  /* of connections for queries */
	atomic_bool started;	  /* the first insert has been */
	atomic_bool merges_yield; /* the threads of the engine's merges have been found */
	/* The writer's: merges have been stopped, and at which insert that is thought over. */
	bool merges_wait;
	uint64_t look_at;
	atomic_uint_least64_t inserts_made;
	chdb_connection *killer; /* the canceller's */
	struct ap_canceller canceller;
	atomic_uint_least64_t next_query;
};

static struct embedded *embedded_of(struct ap_store *s)
{
	return ap_container_of(s, struct embedded, head);
}

static chdb_connection *connect_one(struct embedded *e, const struct ap_store_options *o)
{
	char folder[PATH_MAX], path[PATH_MAX + 32], memory[64], marks[64];
	char *argv[] = {
		(char *)"clickhouse", path, memory, marks, (char *)"--async_insert=0",
		(char *)"--max_thread_pool_free_size=0",
		/* It would give each statement one thread, for want of a GiB for a second. */
		(char *)"--max_threads_min_free_memory_per_thread=0"};

	/* A relative path the engine would resolve against itself when it inserts. */
	if (!realpath(o->path, folder))
		return NULL;
	snprintf(path, sizeof(path), "--path=%s/engine", folder);
	snprintf(memory, sizeof(memory), "--max_server_memory_usage=%llu",
		 (unsigned long long)(o->max_memory ?: MAX_MEMORY_DEFAULT));
	snprintf(marks, sizeof(marks), "--mark_cache_size=%d", MARK_CACHE_BYTES);
	return e->lib->connect((int)AP_ARRAY_SIZE(argv), argv);
}

/* A statement on a connection that nobody else uses. */
static int run(struct embedded *e, chdb_connection c, struct ap_str sql, struct ap_error *err)
{
	struct chdb_result *result = e->lib->query_n(c, sql.p, sql.n, "Null", 4);
	const char *text = result ? e->lib->result_error(result) : "no answer";
	int r = text ? ap_exception_error(err, "a statement failed", ap_str_of(text)) : 0;

	if (result)
		e->lib->destroy_query_result(result);
	return r;
}

static int use_database(struct embedded *e, chdb_connection *c, struct ap_error *err)
{
	int r = run(e, *c, AP_STR("CREATE DATABASE IF NOT EXISTS " DATABASE), err);

	return r == 0 ? run(e, *c, AP_STR("USE " DATABASE), err) : r;
}

static void kill_query(void *ctx, uint64_t id)
{
	struct embedded *e = ctx;
	char sql[128];

	snprintf(sql, sizeof(sql),
		 "KILL QUERY WHERE Settings['log_comment'] = '" QUERY_NAME "%llu' ASYNC",
		 (unsigned long long)id);
	run(e, *e->killer, ap_str_of(sql), NULL);
}

static int start_canceller(struct embedded *e, const struct ap_store_options *o,
			   struct ap_error *err)
{
	int r = -EIO;

	e->killer = connect_one(e, o);
	if (e->killer)
		r = ap_canceller_start(&e->canceller, kill_query, e);
	return r < 0 ? ap_error_set(err, r, "the embedded ClickHouse refuses a connection") : 0;
}

/* Connections into a pool that is empty. */
static int connect_pool(struct embedded *e, const struct ap_store_options *o, struct ap_pool *pool,
			unsigned int n, struct ap_error *err)
{
	int r = 0;

	while (n-- > 0 && r == 0) {
		chdb_connection *c = connect_one(e, o);

		if (!c)
			return ap_error_set(
				err, -EIO,
				"the embedded ClickHouse does not start in %s/engine: the folder "
				"may be damaged or of another version; choose another with "
				"--data-dir",
				o->path);
		ap_pool_give(pool, c);
		r = use_database(e, c, err);
	}
	return r;
}

static int connect_all(struct embedded *e, const struct ap_store_options *o, struct ap_error *err)
{
	unsigned int queries =
		AP_MIN(o->query_channels ?: AP_POOL_DEFAULT, (unsigned int)AP_POOL_MAX);
	int r = connect_pool(e, o, &e->inserts, INSERTS, err);

	if (r == 0)
		r = connect_pool(e, o, &e->pool, queries, err);
	return r == 0 ? start_canceller(e, o, err) : r;
}

static void close_pool(struct embedded *e, struct ap_pool *pool)
{
	chdb_connection *c;

	while ((c = ap_pool_take(pool, 0, NULL, NULL)))
		e->lib->close_conn(c);
	ap_pool_destroy(pool);
}

static void embedded_close(struct ap_store *s)
{
	struct embedded *e = embedded_of(s);

	ap_canceller_stop(&e->canceller);
	close_pool(e, &e->pool);
	if (e->killer)
		e->lib->close_conn(e->killer);
	close_pool(e, &e->inserts);
	if (e->lock_fd >= 0)
		close(e->lock_fd);
	free(e);
}

static int embedded_exec(struct ap_store *s, struct ap_str sql, struct ap_error *err)
{
	struct embedded *e = embedded_of(s);
	chdb_connection *c;
	int r;

	c = ap_pool_take(&e->pool, ap_clock_mono_ns() + CHANNEL_WAIT, NULL, err);
	if (!c)
		return -EBUSY;
	r = run(e, *c, sql, err);
	ap_pool_give(&e->pool, c);
	return r;
}

struct stream {
	const struct ap_chdb *lib;
	struct chdb_insert *insert;
};

/* The engine copies a piece, and parses it beside: of few that are under way there is no second copy of all. */
static int append(void *ctx, struct ap_str piece)
{
	const struct stream *s = ctx;

	return s->lib->stream_append(s->insert, piece.p, piece.n) == 0 ? 0 : -EIO;
}

static int stream_block(struct embedded *e, chdb_connection c, const char *table, struct ap_str sql,
			const struct ap_native_block *block, struct ap_error *err)
{
	struct stream s = {e->lib, e->lib->stream_insert_n(c, sql.p, sql.n, "Native", 6)};
	size_t rows = ap_native_block_rows(block);
	struct chdb_insert *stream = s.insert;
	struct chdb_result *result;
	const char *text;
	uint64_t written;
	char what[128];
	int r = 0;

	snprintf(what, sizeof(what), "an insert into %s failed", table);
	text = stream ? e->lib->stream_insert_error(stream) : "no stream";
	if (!text && ap_native_write(block, append, &s) < 0)
		text = e->lib->stream_insert_error(stream) ?: "the data were refused";
	if (text) {
		r = ap_exception_error(err, what, ap_str_of(text));
		if (stream)
			e->lib->destroy_insert_stream(stream);
		return r;
	}
	result = e->lib->stream_done(stream);
	text = result ? e->lib->result_error(result) : "no answer";
	written = result && !text ? e->lib->result_rows_written(result) : 0;
	if (text)
		r = ap_exception_error(err, what, ap_str_of(text));
	else if (written != rows && written != 0) /* 0: the token was known, nothing to do */
		r = ap_error_set(err, -EIO, "%s: %llu of %zu rows were written", what,
				 (unsigned long long)written, rows);
	if (result)
		e->lib->destroy_query_result(result);
	e->lib->destroy_insert_stream(stream);
	return r;
}

/* A repeated block is known by its token. Without one the engine hashes each value of the rows, two fifths of what
 * an insert costs; a hash of what they are made of says the same. */
static int put_token(const char *token, const struct ap_native_block *block, struct ap_buf *sql)
{
	uint64_t hash[2] = {0};
	int r;

	if (token && !*token) {
		ap_buf_puts(sql, ", deduplicate_insert = 'disable'");
		return 0;
	}
	ap_buf_puts(sql, ", insert_deduplication_token = ");
	if (token) {
		ap_sql_quote(sql, ap_str_of(token));
		return 0;
	}
	r = ap_native_hash(block, hash);
	ap_buf_printf(sql, "'%016llx%016llx'", (unsigned long long)hash[0],
		      (unsigned long long)hash[1]);
	return r;
}

static int embedded_insert(struct ap_store *s, const char *table,
			   const struct ap_native_block *block, const char *token,
			   struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf sql = {0};
	const struct ap_native_spec *specs;
	struct embedded *e = embedded_of(s);
	chdb_connection *c;
	uint32_t n;
	int r;

	specs = ap_native_block_specs(block, &n);
	ap_buf_printf(&sql, "INSERT INTO %s (", table);
	for (uint32_t i = 0; i < n; i++)
		ap_buf_printf(&sql, "%s%s", i ? ", " : "", specs[i].name);
	ap_buf_puts(&sql, ") SETTINGS async_insert = 0");
	r = put_token(token, block, &sql);
	if (r < 0 || ap_buf_error(&sql) < 0)
		return ap_error_set(err, r ?: -ENOMEM, "rows for %s cannot be encoded: %s", table,
				    ap_strerror(r ?: -ENOMEM));
	/* What the engine read of its library to make or load the tables, it hardly needs again. */
	if (!atomic_exchange(&e->started, true))
		ap_chdb_give_back(e->lib);
	if (!atomic_load(&e->merges_yield) && ap_thread_nice(MERGE_THREADS, MERGE_NICE) > 0)
		atomic_store(&e->merges_yield, true);
	atomic_fetch_add(&e->inserts_made, 1);
	c = ap_pool_take(&e->inserts, UINT64_MAX, NULL, err);
	r = stream_block(e, *c, table, ap_buf_view(&sql), block, err);
	ap_pool_give(&e->inserts, c);
	return r;
}

/* Without bounds on a block, the rows of all of the pipeline's blocks become one. */
static int embedded_insert_select(struct ap_store *s, struct ap_str sql, const char *token,
				  struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0};

	ap_buf_str(&text, sql);
	/* Whether its rows are there is asked before; what is remembered of a block may be of one that failed. */
	ap_buf_puts(&text, " SETTINGS min_insert_block_size_rows = 1000000000, "
			   "min_insert_block_size_bytes = 0, max_insert_threads = 1, "
			   "deduplicate_insert_select = 'disable'");
	if (ap_buf_error(&text) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	return embedded_exec(s, ap_buf_view(&text), err);
}

/* One chunk: 1 there may be more, 0 the end. */
static int take_chunk(struct embedded *e, chdb_connection c, struct chdb_result *stream,
		      struct ap_blocks *a, struct ap_error *err)
{
	struct chdb_result *chunk = e->lib->stream_fetch_result(c, stream);
	const char *text = chunk ? e->lib->result_error(chunk) : "no answer";
	size_t n;
	int r;

	if (text) {
		r = ap_exception_error(err, "a query failed", ap_str_of(text));
	} else {
		n = e->lib->result_length(chunk);
		r = ap_blocks_add(a, (struct ap_str){e->lib->result_buffer(chunk), n}, err);
		if (r == 0)
			r = n > 0;
	}
	if (chunk)
		e->lib->destroy_query_result(chunk);
	return r;
}

/* A stream is cancelled only between chunks: before the first one that leaves the statement running, and
 * it is for the canceller to end it. */
static int run_query(struct embedded *e, chdb_connection c, struct ap_str sql, struct ap_blocks *a,
		     struct ap_error *err)
{
	int r = ap_blocks_check(a, err), stop;
	struct chdb_result *stream;
	const char *text;

	if (r < 0)
		return r;
	stream = e->lib->stream_query_n(c, sql.p, sql.n, "Native", 6);
	text = stream ? e->lib->result_error(stream) : "no answer";
	if (text) {
		r = ap_exception_error(err, "a query failed", ap_str_of(text));
	} else {
		do {
			r = take_chunk(e, c, stream, a, err);
			stop = r > 0 ? ap_blocks_check(a, err) : r;
		} while (r > 0 && stop == 0);
		r = AP_MIN(r, stop);
		if (r < 0)
			e->lib->stream_cancel_query(c, stream);
		else
			r = ap_blocks_end(a, err);
	}
	if (stream)
		e->lib->destroy_query_result(stream);
	/* The connection holds on to what a statement was given until its next one. */
	if (r < 0)
		run(e, c, AP_STR("SELECT 1"), NULL);
	return r;
}

static int embedded_query(struct ap_store *s, struct ap_str sql,
			  const struct ap_store_limits *limits, ap_store_block_fn fn, void *ctx,
			  struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0};
	struct embedded *e = embedded_of(s);
	struct ap_cancel_watch watch = {.id = atomic_fetch_add(&e->next_query, 1),
					.cancel = limits->cancel};
	struct ap_blocks a;
	chdb_connection *c;
	int r;

	ap_blocks_begin(&a, limits, fn, ctx);
	ap_buf_str(&text, sql);
	ap_buf_printf(&text,
		      " SETTINGS max_execution_time = %.3f, max_memory_usage = %llu, log_comment = "
		      "'" QUERY_NAME "%llu', max_block_size = %d",
		      (double)a.timeout_ns / 1e9,
		      (unsigned long long)(limits->max_memory ?: QUERY_MEMORY_DEFAULT),
		      (unsigned long long)watch.id, BLOCK_ROWS);
	if (limits->max_threads)
		ap_buf_printf(&text, ", max_threads = %u", limits->max_threads);
	if (limits->max_groups)
		ap_buf_printf(&text,
			      ", max_rows_to_group_by = %llu, group_by_overflow_mode = 'break'",
			      (unsigned long long)limits->max_groups);
	if (ap_buf_error(&text) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	c = ap_pool_take(&e->pool, a.deadline, limits->cancel, err);
	if (!c)
		return ap_blocks_check(&a, NULL) == -ECANCELED ? -ECANCELED : -EBUSY;
	ap_canceller_watch(&e->canceller, &watch);
	r = run_query(e, *c, ap_buf_view(&text), &a, err);
	ap_canceller_unwatch(&e->canceller, &watch);
	/* What the engine says of a statement that was ended is not what it came from. */
	if (r < 0 && ap_blocks_check(&a, NULL) == -ECANCELED)
		r = ap_blocks_check(&a, err);
	ap_pool_give(&e->pool, c);
	ap_blocks_free(&a);
	return r;
}

/* Whether the engine has fewer parts than what it may be left alone with. To stop merges ends those that run. */
static bool may_merges_wait(struct embedded *e, chdb_connection c)
{
	static const struct ap_store_limits none;
	struct ap_blocks a;
	char sql[512];
	uint64_t may = 0;

	/* A subquery in place of a value may be NULL, as far as the engine knows. */
	snprintf(
		sql, sizeof(sql),
		"SELECT toUInt64(ifNull((SELECT max(n) FROM (SELECT count() AS n FROM system.parts WHERE "
		"active AND database = '" DATABASE "' GROUP BY table, partition)) <= %d%s, 0))",
		PARTS_UNMERGED, e->merges_wait ? "" : NO_LARGE_MERGE);
	ap_blocks_begin(&a, &none, ap_native_take_uint, &may);
	if (run_query(e, c, ap_str_of(sql), &a, NULL) < 0)
		may = 0;
	ap_blocks_free(&a);
	return may;
}

/* A merge takes a fifth of what it costs to store rows, and is as good later. Where the process ends meanwhile, the
 * next one's engine knows nothing of it. */
static void embedded_behind(struct ap_store *s, bool behind)
{
	struct embedded *e = embedded_of(s);
	uint64_t made = atomic_load(&e->inserts_made);
	chdb_connection *c;
	bool wait;

	if (behind ? made < e->look_at : !e->merges_wait)
		return;
	c = ap_pool_take(&e->inserts, UINT64_MAX, NULL, NULL);
	wait = behind && may_merges_wait(e, *c);
	if (wait != e->merges_wait &&
	    run(e, *c, wait ? AP_STR("SYSTEM STOP MERGES") : AP_STR("SYSTEM START MERGES"), NULL) ==
		    0)
		e->merges_wait = wait;
	ap_pool_give(&e->inserts, c);
	e->look_at = behind ? made + INSERTS_UNSEEN : 0;
	ap_chdb_give_back(e->lib);
}

static int take_version(void *ctx, const struct ap_native_view *block)
{
	struct ap_store *s = ctx;

	if (block->n_columns && block->rows) {
		struct ap_str v = ap_native_str(&block->columns[0], 0);

		snprintf(s->version, sizeof(s->version), "%.*s", AP_STR_ARG(v));
	}
	return 0;
}

static int embedded_open(const struct ap_store_options *o, struct ap_store **ret,
			 struct ap_error *err)
{
	static const struct ap_store_limits none;
	_cleanup_(ap_cleanup_store) struct ap_store *s = NULL;
	_cleanup_free_ char *library = NULL;
	struct embedded *e;
	int r;

	if (!o->path || !*o->path)
		return ap_error_set(err, -EINVAL, "the embedded store needs a data folder");
	e = calloc(1, sizeof(*e));
	if (!e)
		return ap_error_set(err, -ENOMEM, "out of memory");
	s = &e->head;
	ap_store_init(s, &ap_store_embedded);
	s->caps = AP_STORE_CAP_CODECS | AP_STORE_CAP_LOW_CARDINALITY | AP_STORE_CAP_DEDUPLICATION |
		  AP_STORE_CAP_FSYNC | AP_STORE_CAP_SKIP_INDEX | AP_STORE_CAP_COMPRESS_BLOCK |
		  AP_STORE_CAP_STATISTICS;
	e->lock_fd = -1;
	ap_pool_init(&e->inserts);
	ap_pool_init(&e->pool);

	r = ap_store_find_library(o->library, &library, err);
	if (r < 0)
		return r;
	r = o->locked ? 0 : ap_folder_lock(o->path, &e->lock_fd, err);
	if (r == 0)
		r = ap_chdb_load(library, &e->lib, err);
	if (r == 0)
		r = connect_all(e, o, err);
	if (r == 0)
		r = embedded_query(s, AP_STR("SELECT version()"), &none, take_version, s, err);
	if (r == 0)
		ap_chdb_give_back(e->lib);
	if (r == 0)
		*ret = AP_TAKE_PTR(s);
	return r;
}

const struct ap_store_driver ap_store_embedded = {
	.name = "embedded",
	.in_process = true,
	.inserts_end = true,
	.open = embedded_open,
	.close = embedded_close,
	.exec = embedded_exec,
	.insert = embedded_insert,
	.insert_select = embedded_insert_select,
	.behind = embedded_behind,
	.query = embedded_query,
};

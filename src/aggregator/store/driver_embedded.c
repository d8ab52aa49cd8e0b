/* SPDX-License-Identifier: Apache-2.0 */
/* ClickHouse inside this process: libchdb.
 *
 * What was learnt of it by measurement, and what follows from that:
 *  - Binary rows must not be appended to SQL text (rows that begin with white space are eaten, a
 *    double newline ends the data silently): inserts go through an insert stream.
 *  - A connection with an open stream fails any other statement, and one connection runs one
 *    statement at a time: one connection is for inserts alone, each query takes another.
 *  - The engine stops when its last connection closes and must not be left open at exit: the insert
 *    connection is held open from open() to close().
 *  - A materialised answer of 10 M rows takes 1.5 GB: answers are streamed in chunks of ≤ 1 MB.
 *  - Two processes on one folder corrupt nothing (the engine locks it) but the message does not
 *    say who holds it: a lock file of our own is taken first. */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/file.h>

#include "aggregator/store/chdb.h"
#include "aggregator/store/store.h"
#include "base/clock.h"
#include "base/io.h"

enum {
	QUERY_CHANNELS_DEFAULT = 2,
	QUERY_CHANNELS_MAX = 64,
	MARK_CACHE_BYTES = 16 << 20,
	ANSWER_BLOCK_MAX = 256 << 20, /* bytes of one block before it counts as malformed */
};
#define MAX_MEMORY_DEFAULT   (1ull << 30)
#define QUERY_MEMORY_DEFAULT (512ull << 20)
#define TIMEOUT_DEFAULT	     (30 * AP_NSEC_PER_SEC)

struct embedded {
	struct ap_store head;
	const struct ap_chdb *lib;
	int lock_fd;
	pthread_mutex_t insert_lock; /* held for the whole of an insert */
	chdb_connection *insert;
	pthread_mutex_t lock;	/* guards the free list; never held while the engine runs */
	pthread_cond_t channel; /* one has become free */
	chdb_connection *free_channels[QUERY_CHANNELS_MAX];
	unsigned int n_free, n_channels;
};

static struct embedded *embedded_of(struct ap_store *s)
{
	return ap_container_of(s, struct embedded, head);
}

static int lock_folder(const char *folder, int *ret_fd, struct ap_error *err)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fd_ int fd = -1;
	char pid[32];
	ssize_t n;

	if (asprintf(&path, "%s/lock", folder) < 0) {
		path = NULL;
		return ap_error_set(err, -ENOMEM, "out of memory");
	}
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return ap_error_set(
			err, -errno,
			"the data folder %s cannot be written (%s): make it writable for "
			"this user, or choose another with --data-dir",
			folder, ap_strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		n = pread(fd, pid, sizeof(pid) - 1, 0);
		pid[n > 0 ? n : 0] = '\0';
		return ap_error_set(
			err, -EBUSY,
			"the data folder %s is in use by another aggregator (process %s): "
			"stop that one, or choose another folder with --data-dir",
			folder, pid[0] ? pid : "unknown");
	}
	n = snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
		return ap_error_set(err, -EIO, "%s cannot be written: %s", path,
				    ap_strerror(errno));
	*ret_fd = AP_TAKE_FD(fd);
	return 0;
}

static chdb_connection *connect_one(struct embedded *e, const struct ap_store_options *o)
{
	char folder[PATH_MAX], path[PATH_MAX + 32], memory[64], marks[64];
	char *argv[] = {(char *)"clickhouse",
			path,
			memory,
			marks,
			(char *)"--async_insert=0",
			(char *)"--max_thread_pool_free_size=0"};

	/* A relative path the engine would resolve against itself when it inserts. */
	if (!realpath(o->path, folder))
		return NULL;
	snprintf(path, sizeof(path), "--path=%s/engine", folder);
	snprintf(memory, sizeof(memory), "--max_server_memory_usage=%llu",
		 (unsigned long long)(o->max_memory ?: MAX_MEMORY_DEFAULT));
	snprintf(marks, sizeof(marks), "--mark_cache_size=%d", MARK_CACHE_BYTES);
	return e->lib->connect((int)AP_ARRAY_SIZE(argv), argv);
}

static int connect_all(struct embedded *e, const struct ap_store_options *o, struct ap_error *err)
{
	e->insert = connect_one(e, o);
	if (!e->insert)
		return ap_error_set(
			err, -EIO,
			"the embedded ClickHouse does not start in %s/engine: the folder "
			"may be damaged or of another version; choose another with --data-dir",
			o->path);
	e->n_channels = o->query_channels ?: QUERY_CHANNELS_DEFAULT;
	e->n_channels = AP_MIN(e->n_channels, (unsigned int)QUERY_CHANNELS_MAX);
	while (e->n_free < e->n_channels) {
		chdb_connection *c = connect_one(e, o);

		if (!c)
			return ap_error_set(err, -EIO,
					    "the embedded ClickHouse refuses a connection");
		e->free_channels[e->n_free++] = c;
	}
	return 0;
}

static void embedded_close(struct ap_store *s)
{
	struct embedded *e = embedded_of(s);

	while (e->n_free > 0)
		e->lib->close_conn(e->free_channels[--e->n_free]);
	if (e->insert)
		e->lib->close_conn(e->insert);
	if (e->lock_fd >= 0)
		close(e->lock_fd);
	pthread_mutex_destroy(&e->insert_lock);
	pthread_mutex_destroy(&e->lock);
	pthread_cond_destroy(&e->channel);
	free(e);
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
	_cleanup_(ap_cleanup_store) struct ap_store *s = NULL;
	_cleanup_free_ char *library = NULL;
	pthread_condattr_t attr;
	struct embedded *e;
	int r;

	if (!o->path || !*o->path)
		return ap_error_set(err, -EINVAL, "the embedded store needs a data folder");
	e = calloc(1, sizeof(*e));
	if (!e)
		return ap_error_set(err, -ENOMEM, "out of memory");
	s = &e->head;
	s->driver = &ap_store_embedded;
	s->caps = AP_STORE_CAP_CODECS | AP_STORE_CAP_LOW_CARDINALITY | AP_STORE_CAP_DEDUPLICATION |
		  AP_STORE_CAP_FSYNC;
	e->lock_fd = -1;
	pthread_mutex_init(&e->insert_lock, NULL);
	pthread_mutex_init(&e->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&e->channel, &attr);
	pthread_condattr_destroy(&attr);

	r = ap_store_find_library(o->library, &library, err);
	if (r < 0)
		return r;
	r = ap_mkdir_all(o->path, 0750);
	if (r < 0)
		return ap_error_set(err, r,
				    "the data folder %s cannot be made (%s): choose another with "
				    "--data-dir",
				    o->path, ap_strerror(r));
	r = lock_folder(o->path, &e->lock_fd, err);
	if (r == 0)
		r = ap_chdb_load(library, &e->lib, err);
	if (r == 0)
		r = connect_all(e, o, err);
	if (r == 0)
		r = ap_store_query(s, AP_STR("SELECT version()"), NULL, take_version, s, err);
	if (r == 0)
		*ret = AP_TAKE_PTR(s);
	return r;
}

static int take_channel(struct embedded *e, uint64_t deadline, chdb_connection **ret,
			struct ap_error *err)
{
	struct timespec until = {(time_t)(deadline / AP_NSEC_PER_SEC),
				 (long)(deadline % AP_NSEC_PER_SEC)};
	int r = 0;

	pthread_mutex_lock(&e->lock);
	while (e->n_free == 0 && r == 0)
		r = pthread_cond_timedwait(&e->channel, &e->lock, &until);
	if (e->n_free > 0) {
		*ret = e->free_channels[--e->n_free];
		r = 0;
	}
	pthread_mutex_unlock(&e->lock);
	if (r != 0)
		return ap_error_set(err, -EBUSY,
				    "the store is busy with other queries: try again in a moment");
	return 0;
}

static void give_channel(struct embedded *e, chdb_connection *c)
{
	pthread_mutex_lock(&e->lock);
	e->free_channels[e->n_free++] = c;
	pthread_cond_signal(&e->channel);
	pthread_mutex_unlock(&e->lock);
}

static int embedded_exec(struct ap_store *s, struct ap_str sql, struct ap_error *err)
{
	struct embedded *e = embedded_of(s);
	struct chdb_result *result;
	chdb_connection *c;
	const char *text;
	int r;

	r = take_channel(e, ap_clock_mono_ns() + TIMEOUT_DEFAULT, &c, err);
	if (r < 0)
		return r;
	result = e->lib->query_n(*c, sql.p, sql.n, "Null", 4);
	text = result ? e->lib->result_error(result) : "no answer";
	if (text)
		r = ap_chdb_error(err, "a statement failed", text);
	if (result)
		e->lib->destroy_query_result(result);
	give_channel(e, c);
	return r;
}

static int stream_block(struct embedded *e, const char *table, struct ap_str sql,
			const struct ap_buf *bytes, size_t rows, struct ap_error *err)
{
	struct chdb_insert *stream;
	struct chdb_result *result;
	const char *text;
	uint64_t written;
	char what[128];
	int r = 0;

	snprintf(what, sizeof(what), "an insert into %s failed", table);
	stream = e->lib->stream_insert_n(*e->insert, sql.p, sql.n, "Native", 6);
	text = stream ? e->lib->stream_insert_error(stream) : "no stream";
	if (!text && e->lib->stream_append(stream, bytes->p, bytes->n) != 0)
		text = e->lib->stream_insert_error(stream) ?: "the data were refused";
	if (text) {
		r = ap_chdb_error(err, what, text);
		if (stream)
			e->lib->destroy_insert_stream(stream);
		return r;
	}
	result = e->lib->stream_done(stream);
	text = result ? e->lib->result_error(result) : "no answer";
	written = result && !text ? e->lib->result_rows_written(result) : 0;
	if (text)
		r = ap_chdb_error(err, what, text);
	else if (written != rows && written != 0) /* 0: the token was known, nothing to do */
		r = ap_error_set(err, -EIO, "%s: %llu of %zu rows were written", what,
				 (unsigned long long)written, rows);
	if (result)
		e->lib->destroy_query_result(result);
	e->lib->destroy_insert_stream(stream);
	return r;
}

static int embedded_insert(struct ap_store *s, const char *table,
			   const struct ap_native_block *block, const char *token,
			   struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf sql = {0}, bytes = {0};
	const struct ap_native_spec *specs;
	struct embedded *e = embedded_of(s);
	uint32_t n;
	int r;

	specs = ap_native_block_specs(block, &n);
	ap_buf_printf(&sql, "INSERT INTO %s (", table);
	for (uint32_t i = 0; i < n; i++)
		ap_buf_printf(&sql, "%s%s", i ? ", " : "", specs[i].name);
	ap_buf_puts(&sql, ") SETTINGS async_insert = 0");
	if (token) {
		ap_buf_puts(&sql, ", insert_deduplication_token = ");
		ap_sql_quote(&sql, ap_str_of(token));
	}
	r = ap_native_encode(block, &bytes);
	if (r < 0 || ap_buf_error(&sql) < 0)
		return ap_error_set(err, r ?: -ENOMEM, "rows for %s cannot be encoded: %s", table,
				    ap_strerror(r ?: -ENOMEM));
	pthread_mutex_lock(&e->insert_lock);
	r = stream_block(e, table, ap_buf_view(&sql), &bytes, ap_native_block_rows(block), err);
	pthread_mutex_unlock(&e->insert_lock);
	return r;
}

/* A query on its way. */
struct answer {
	const struct ap_store_limits *limits;
	uint64_t deadline, rows;
	ap_store_block_fn fn;
	void *ctx;
	struct ap_buf pending; /* bytes that are not a whole block yet */
	struct ap_native_view view;
};

static int take_blocks(struct answer *a, struct ap_error *err)
{
	size_t used, at = 0;
	int r = 0;

	while (at < a->pending.n) {
		struct ap_str rest = {(const char *)a->pending.p + at, a->pending.n - at};

		r = ap_native_decode(rest, &a->view, &used, err);
		if (r == -EAGAIN && rest.n < ANSWER_BLOCK_MAX) {
			r = 0;
			break;
		}
		if (r < 0)
			return r == -EAGAIN ? ap_error_set(err, -EBADMSG,
							   "a block of the answer has "
							   "no end")
					    : r;
		at += used;
		a->rows += a->view.rows;
		if (a->limits->max_rows && a->rows > a->limits->max_rows)
			return ap_error_set(
				err, -E2BIG,
				"the answer has more than %llu rows: narrow the time range "
				"or the filter",
				(unsigned long long)a->limits->max_rows);
		r = a->fn(a->ctx, &a->view);
		if (r < 0)
			return r;
	}
	if (at > 0)
		memmove(a->pending.p, a->pending.p + at, a->pending.n - at);
	a->pending.n -= at;
	return 0;
}

static int check_limits(const struct answer *a, struct ap_error *err)
{
	if (a->limits->cancel && atomic_load(a->limits->cancel))
		return ap_error_set(err, -ECANCELED, "the query was cancelled");
	if (ap_clock_mono_ns() >= a->deadline)
		return ap_error_set(err, -ETIMEDOUT,
				    "the query took too long: narrow the time range or the filter");
	return 0;
}

/* One chunk: 1 there may be more, 0 the end. */
static int take_chunk(struct embedded *e, chdb_connection c, struct chdb_result *stream,
		      struct answer *a, struct ap_error *err)
{
	struct chdb_result *chunk = e->lib->stream_fetch_result(c, stream);
	const char *text = chunk ? e->lib->result_error(chunk) : "no answer";
	size_t n;
	int r;

	if (text) {
		r = ap_chdb_error(err, "a query failed", text);
	} else {
		n = e->lib->result_length(chunk);
		ap_buf_append(&a->pending, e->lib->result_buffer(chunk), n);
		r = ap_buf_error(&a->pending) ?: take_blocks(a, err);
		if (r == 0)
			r = n > 0;
	}
	if (chunk)
		e->lib->destroy_query_result(chunk);
	return r;
}

static int run_query(struct embedded *e, chdb_connection c, struct ap_str sql, struct answer *a,
		     struct ap_error *err)
{
	struct chdb_result *stream = e->lib->stream_query_n(c, sql.p, sql.n, "Native", 6);
	const char *text = stream ? e->lib->result_error(stream) : "no answer";
	int r;

	if (text) {
		r = ap_chdb_error(err, "a query failed", text);
	} else {
		do {
			r = check_limits(a, err);
			if (r == 0)
				r = take_chunk(e, c, stream, a, err);
		} while (r > 0);
		if (r < 0)
			e->lib->stream_cancel_query(c, stream);
		else if (a->pending.n > 0)
			r = ap_error_set(err, -EBADMSG, "the answer ends within a block");
	}
	if (stream)
		e->lib->destroy_query_result(stream);
	return r;
}

static int embedded_query(struct ap_store *s, struct ap_str sql,
			  const struct ap_store_limits *limits, ap_store_block_fn fn, void *ctx,
			  struct ap_error *err)
{
	uint64_t timeout = limits->timeout_ns ?: TIMEOUT_DEFAULT;
	_cleanup_buf_ struct ap_buf text = {0};
	struct embedded *e = embedded_of(s);
	struct answer a = {
		.limits = limits, .deadline = ap_clock_mono_ns() + timeout, .fn = fn, .ctx = ctx};
	chdb_connection *c;
	int r;

	ap_buf_str(&text, sql);
	ap_buf_printf(&text, " SETTINGS max_execution_time = %.3f, max_memory_usage = %llu",
		      (double)timeout / 1e9,
		      (unsigned long long)(limits->max_memory ?: QUERY_MEMORY_DEFAULT));
	if (ap_buf_error(&text) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = take_channel(e, a.deadline, &c, err);
	if (r < 0)
		return r;
	r = run_query(e, *c, ap_buf_view(&text), &a, err);
	give_channel(e, c);
	ap_buf_free(&a.pending);
	ap_native_view_free(&a.view);
	return r;
}

const struct ap_store_driver ap_store_embedded = {
	.name = "embedded",
	.open = embedded_open,
	.close = embedded_close,
	.exec = embedded_exec,
	.insert = embedded_insert,
	.query = embedded_query,
};

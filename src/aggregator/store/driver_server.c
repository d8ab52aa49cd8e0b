/* SPDX-License-Identifier: Apache-2.0 */
/* ClickHouse as a server, over HTTP or HTTPS.
 *
 * What follows from how it behaves:
 *  - A SELECT is sent as the body (lists of ids make it longer than an address may be) and read as it
 *    is made; an exception after the first rows is text behind the last block, found where that does
 *    not decode. A connection that breaks ends the chunked body too early, which libcurl tells.
 *  - An INSERT is the address, its block the body, with its length in the head: what is cut short
 *    stores nothing. Where no answer comes, nobody knows whether it was stored: see settled().
 *  - Old servers do not notice that the client has gone: a cancelled query is killed by its id.
 *  - Nothing is asked before it is needed, so a server that is down at the start, or comes back as
 *    another version, is no special case: store.c connects before the next statement. */
#include <stdio.h>

#include "aggregator/store/blocks.h"
#include "aggregator/store/exception.h"
#include "aggregator/store/folder.h"
#include "aggregator/store/server.h"

#define STATEMENT_NS (60 * AP_NSEC_PER_SEC)
#define KILL_NS	     AP_NSEC_PER_SEC
#define QUERY_MEMORY (512ull << 20)
#define DATABASE     "aperture"

/* In a cluster: how far behind a replica may be that is asked, and how long a statement for all servers may
 * take them. */
enum { TAIL_MAX = 1 << 20, REPLICA_DELAY_S = 1, DDL_S = 30 };

static void server_close(struct ap_store *s)
{
	struct ap_server *v = ap_server_of(s);
	struct ap_server_channel *c;

	while ((c = ap_pool_take(&v->pool, 0, NULL, NULL)))
		ap_server_channel_free(c);
	if (v->insert && v->watch)
		ap_server_leave_session(v);
	ap_server_channel_free(v->insert);
	ap_server_channel_free(v->watch);
	ap_pool_destroy(&v->pool);
	pthread_mutex_destroy(&v->insert_lock);
	if (v->lock_fd >= 0)
		close(v->lock_fd);
	ap_server_address_free(&v->address);
	free(v->database);
	free(v->cluster);
	free(v->folder);
	free(v);
}

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"

/* A name that stands in statements as it is; a database's is an identifier. */
static int take_name(const char *flag, const char *name, const char *letters, char **ret,
		     struct ap_error *err)
{
	size_t n = strspn(name, letters);

	if (n == 0 || n > 64 || name[n])
		return ap_error_set(err, -EINVAL, "%s is to be a name of letters, digits and %s",
				    flag, letters + strlen(LETTERS) - 1);
	*ret = strdup(name);
	return *ret ? 0 : ap_error_set(err, -ENOMEM, "out of memory");
}

static int take_names(struct ap_server *v, const struct ap_store_options *o, struct ap_error *err)
{
	const char *database = o->database ?: DATABASE;
	int r;

	if (*database >= '0' && *database <= '9')
		return ap_error_set(err, -EINVAL,
				    "--clickhouse-database is not to begin with a digit");
	r = take_name("--clickhouse-database", database, LETTERS, &v->database, err);
	if (r == 0 && o->cluster)
		r = take_name("--clickhouse-cluster", o->cluster, LETTERS "-.", &v->cluster, err);
	v->head.database = v->database;
	v->head.cluster = v->cluster;
	return r;
}

static int open_channels(struct ap_server *v, const struct ap_store_options *o,
			 struct ap_error *err)
{
	v->n_channels = AP_MIN(o->query_channels ?: AP_POOL_DEFAULT, (unsigned int)AP_POOL_MAX);
	v->insert = ap_server_channel_new(&v->address);
	v->watch = ap_server_channel_new(&v->address);
	if (!v->insert || !v->watch)
		return ap_error_set(err, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < v->n_channels; i++) {
		struct ap_server_channel *c = ap_server_channel_new(&v->address);

		if (!c)
			return ap_error_set(err, -ENOMEM, "out of memory");
		ap_pool_give(&v->pool, c);
	}
	return 0;
}

static int server_open(const struct ap_store_options *o, struct ap_store **ret,
		       struct ap_error *err)
{
	_cleanup_(ap_cleanup_store) struct ap_store *s = NULL;
	struct ap_server *v;
	int r;

	if (!o->path || !*o->path)
		return ap_error_set(err, -EINVAL, "the aggregator needs a data folder");
	v = calloc(1, sizeof(*v));
	if (!v)
		return ap_error_set(err, -ENOMEM, "out of memory");
	s = &v->head;
	ap_store_init(s, &ap_store_server);
	v->lock_fd = -1;
	pthread_mutex_init(&v->insert_lock, NULL);
	ap_pool_init(&v->pool);
	r = ap_server_address_take(&v->address, o, err);
	if (r == 0)
		r = take_names(v, o, err);
	if (r == 0 && !o->locked)
		r = ap_folder_lock(o->path, &v->lock_fd, err);
	if (r == 0)
		r = ap_folder_writer(o->path, &v->writer, err);
	if (r == 0)
		r = ap_folder_session(o->path, &v->session, err);
	v->folder = strdup(o->path);
	if (r == 0 && !v->folder)
		r = ap_error_set(err, -ENOMEM, "out of memory");
	if (r == 0)
		r = open_channels(v, o, err);
	if (r < 0)
		return r;
	s->segment_base = (uint64_t)v->writer << AP_SEGMENT_NUMBER_BITS;
	*ret = AP_TAKE_PTR(s);
	return 0;
}

void ap_server_put_dialect(const struct ap_server *v, struct ap_buf *params)
{
	if (!(v->head.caps & AP_STORE_CAP_LOW_CARDINALITY))
		ap_server_param_u64(params, "allow_experimental_low_cardinality_type", 1);
	if (!v->cluster)
		return;
	/* A shard that does not answer is an error, never less rows. */
	ap_server_param_u64(params, "skip_unavailable_shards", 0);
	/* Reads and writes go to the same replica of each shard, the first one that is up. One that lags behind
	 * what another took in is not asked; where there is no other, what it has is all there is. */
	ap_server_param(params, "load_balancing", AP_STR("in_order"));
	ap_server_param_u64(params, "prefer_localhost_replica", 0);
	if (atomic_load(&v->replicas) > 1) {
		ap_server_param_u64(params, "max_replica_delay_for_distributed_queries",
				    REPLICA_DELAY_S);
		ap_server_param_u64(params, "fallback_to_stale_replicas_for_distributed_queries",
				    0);
	}
	/* What a join or IN selects is collected from all shards, and then given to each. */
	ap_server_param(params, "distributed_product_mode", AP_STR("global"));
	ap_server_param_u64(params, "distributed_ddl_task_timeout", DDL_S);
}

/* One request without rows in the answer, on a channel that the caller has. */
static int command(struct ap_server_channel *c, const struct ap_buf *params, struct ap_str body,
		   uint64_t timeout_ns, const char *what, struct ap_error *err)
{
	struct ap_server_request q = {
		.params = ap_buf_view(params),
		.body = body,
		.deadline = ap_clock_mono_ns() + timeout_ns,
	};
	_cleanup_server_answer_ struct ap_server_answer a = {0};
	int r;

	if (ap_buf_error(params) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = ap_server_channel_ask(c, &q, &a, err);
	return r == 0 ? ap_server_answer_check(&a, what, err) : r;
}

static int server_exec(struct ap_store *s, struct ap_str sql, struct ap_error *err)
{
	struct ap_server *v = ap_server_of(s);
	_cleanup_buf_ struct ap_buf params = {0};
	struct ap_server_channel *c;
	int r;

	ap_server_param(&params, "database", ap_str_of(v->database));
	ap_server_param_u64(&params, "wait_end_of_query", 1);
	ap_server_put_dialect(v, &params);
	c = ap_pool_take(&v->pool, ap_clock_mono_ns() + STATEMENT_NS, NULL, err);
	if (!c)
		return -EBUSY;
	r = command(c, &params, sql, STATEMENT_NS, "a statement failed", err);
	ap_pool_give(&v->pool, c);
	return r;
}

/* The answer of a query on its way. */
struct reading {
	struct ap_blocks blocks;
	struct ap_error err;
	int broken; /* what does not decode: an exception's text, it seems; the rest is collected */
};

static int take_bytes(void *ctx, struct ap_str bytes)
{
	struct reading *a = ctx;
	int r;

	if (a->broken) {
		if (a->blocks.pending.n > TAIL_MAX)
			return a->broken;
		ap_buf_str(&a->blocks.pending, bytes);
		return 0;
	}
	r = ap_blocks_add(&a->blocks, bytes, &a->err);
	if (r == -EBADMSG || r == -ENOTSUP) {
		a->broken = r;
		r = 0;
	}
	return r;
}

/* What came of a query: `r` is the transport's word. */
static int finish(struct reading *a, int r, const struct ap_server_answer *answer,
		  struct ap_error *err)
{
	struct ap_str tail, line;
	uint32_t number;

	if (r == 0 && answer->status != 200)
		return ap_server_answer_check(answer, "a query failed", err);
	if (r == 0 && !a->broken)
		r = ap_blocks_end(&a->blocks, &a->err);
	if (a->broken)
		r = a->broken;
	tail = ap_buf_view(&a->blocks.pending);
	if ((r == -EBADMSG || r == -ENOTSUP || r == -ENOTCONN) &&
	    ap_exception_find(tail, &number, &line))
		return ap_exception_error(err, "a query failed", tail);
	if (r < 0 && a->err.code)
		return ap_error_set(err, r, "%s", a->err.msg);
	return r;
}

/* Ends a query at a server that does not notice that nobody waits for it. */
static void kill_query(struct ap_server *v, struct ap_server_channel *c, const char *id)
{
	_cleanup_buf_ struct ap_buf params = {0};
	char sql[128];

	if (v->head.caps & AP_STORE_CAP_CANCEL)
		return;
	snprintf(sql, sizeof(sql), "KILL QUERY WHERE query_id = '%s' ASYNC", id);
	ap_server_param_u64(&params, "wait_end_of_query", 1);
	command(c, &params, ap_str_of(sql), KILL_NS, "", NULL);
}

static void query_params(struct ap_server *v, const struct ap_blocks *b, const char *id,
			 struct ap_buf *params)
{
	const struct ap_store_limits *l = b->limits;

	ap_server_param(params, "database", ap_str_of(v->database));
	ap_server_param(params, "default_format", AP_STR("Native"));
	ap_server_param(params, "query_id", ap_str_of(id));
	/* Old servers know whole seconds only; the deadline here is the exact one. */
	ap_server_param_u64(params, "max_execution_time", b->timeout_ns / AP_NSEC_PER_SEC + 1);
	ap_server_param_u64(params, "max_memory_usage", l->max_memory ?: QUERY_MEMORY);
	if (l->max_threads)
		ap_server_param_u64(params, "max_threads", l->max_threads);
	if (l->max_groups) {
		ap_server_param_u64(params, "max_rows_to_group_by", l->max_groups);
		ap_server_param(params, "group_by_overflow_mode", AP_STR("break"));
	}
	if (v->head.caps & AP_STORE_CAP_CANCEL) {
		ap_server_param_u64(params, "cancel_http_readonly_queries_on_client_close", 1);
		ap_server_param_u64(params, "readonly", 2);
	}
	ap_server_put_dialect(v, params);
}

static int run_query(struct ap_server *v, struct ap_server_channel *c, struct ap_str sql,
		     struct reading *a, struct ap_error *err)
{
	_cleanup_server_answer_ struct ap_server_answer answer = {0};
	_cleanup_buf_ struct ap_buf params = {0};
	struct ap_server_request q = {
		.body = sql,
		.deadline = a->blocks.deadline,
		.cancel = a->blocks.limits->cancel,
		.take = take_bytes,
		.ctx = a,
	};
	char id[64];
	int r;

	snprintf(id, sizeof(id), "aperture-query-%u-%llu", v->writer,
		 (unsigned long long)atomic_fetch_add(&v->next_query, 1));
	query_params(v, &a->blocks, id, &params);
	q.params = ap_buf_view(&params);
	if (ap_buf_error(&params) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = ap_server_channel_ask(c, &q, &answer, err);
	r = finish(a, r, &answer, err);
	if (r == -ECANCELED || r == -ETIMEDOUT || r == -E2BIG)
		kill_query(v, c, id);
	return r;
}

static int server_query(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
			ap_store_block_fn fn, void *ctx, struct ap_error *err)
{
	struct ap_server *v = ap_server_of(s);
	struct ap_server_channel *c;
	struct reading a = {0};
	int r;

	ap_blocks_begin(&a.blocks, limits, fn, ctx);
	c = ap_pool_take(&v->pool, a.blocks.deadline, limits->cancel, err);
	if (!c)
		return ap_blocks_check(&a.blocks, NULL) == -ECANCELED ? -ECANCELED : -EBUSY;
	r = run_query(v, c, sql, &a, err);
	ap_pool_give(&v->pool, c);
	ap_blocks_free(&a.blocks);
	return r;
}

static int take_version(void *ctx, const struct ap_native_view *v)
{
	struct ap_store *s = ctx;

	if (v->n_columns && v->rows) {
		struct ap_str version = ap_native_str(&v->columns[0], 0);

		for (size_t i = 0; i < version.n; i++)
			if (!strchr("0123456789.", version.p[i] ?: ' '))
				version.n = i;
		snprintf(s->version, sizeof(s->version), "%.*s", AP_STR_ARG(version));
	}
	return 0;
}

/* Settings tell what a server can do, those of tables with a dot before their names. */
static int take_settings(void *ctx, const struct ap_native_view *v)
{
	static const struct {
		const char *name;
		uint32_t cap;
	} table[] = {
		{"async_insert", AP_STORE_CAP_ASYNC},
		{"deduplicate_insert", AP_STORE_CAP_DEDUPLICATE_INSERT},
		{"deduplicate_insert_select", AP_STORE_CAP_DEDUPLICATE_SELECT},
		{"cancel_http_readonly_queries_on_client_close", AP_STORE_CAP_CANCEL},
		{".fsync_after_insert", AP_STORE_CAP_FSYNC},
		{".non_replicated_deduplication_window", AP_STORE_CAP_DEDUPLICATION},
		{".min_compress_block_size", AP_STORE_CAP_COMPRESS_BLOCK},
		{".auto_statistics_types", AP_STORE_CAP_STATISTICS},
	};
	uint32_t *caps = ctx;

	for (size_t row = 0; v->n_columns && row < v->rows; row++)
		for (size_t i = 0; i < AP_ARRAY_SIZE(table); i++)
			if (ap_str_is(ap_native_str(&v->columns[0], row), table[i].name))
				*caps |= table[i].cap;
	return 0;
}

static int find_caps(struct ap_server *v, struct ap_error *err)
{
	const struct ap_store_limits limits = {.timeout_ns = AP_SERVER_ASK_NS};
	unsigned long major = strtoul(v->head.version, NULL, 10);
	struct ap_store *s = &v->head;
	uint32_t caps = 0;
	int r;

	/* LowCardinality left its experimental stage in 19, codecs and indexes
	 * that skip were complete in 20. */
	if (major >= 19)
		caps |= AP_STORE_CAP_LOW_CARDINALITY;
	if (major >= 20)
		caps |= AP_STORE_CAP_CODECS | AP_STORE_CAP_SKIP_INDEX;
	r = server_query(s, AP_STR("SELECT name FROM system.settings"), &limits, take_settings,
			 &caps, err);
	if (r == 0)
		r = server_query(s,
				 AP_STR("SELECT concat('.', name) FROM system.merge_tree_settings"),
				 &limits, take_settings, &caps, err);
	if (r == 0)
		s->caps = caps;
	return r;
}

/* A query without a database of its own. */
static int ask(struct ap_server_channel *c, const char *sql, ap_store_block_fn fn, void *ctx,
	       struct ap_error *err)
{
	static const struct ap_store_limits limits = {.timeout_ns = AP_SERVER_ASK_NS};
	_cleanup_server_answer_ struct ap_server_answer answer = {0};
	struct ap_server_request q = {.params = AP_STR("default_format=Native"),
				      .body = ap_str_of(sql),
				      .take = take_bytes};
	struct reading a = {0};
	int r;

	ap_blocks_begin(&a.blocks, &limits, fn, ctx);
	q.deadline = a.blocks.deadline;
	q.ctx = &a;
	r = ap_server_channel_ask(c, &q, &answer, err);
	r = finish(&a, r, &answer, err);
	ap_blocks_free(&a.blocks);
	return r;
}

int ap_server_ask_uint(struct ap_server_channel *c, const char *sql, uint64_t *ret,
		       struct ap_error *err)
{
	*ret = 0;
	return ask(c, sql, ap_native_take_uint, ret, err);
}

/* Made where it is missing: only then, since a user may be allowed to use it and not to make it. */
static int make_database(struct ap_server *v, struct ap_server_channel *c, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf params = {0};
	char sql[256];
	uint64_t exists;
	int r;

	snprintf(sql, sizeof(sql), "SELECT count() FROM system.databases WHERE name = '%s'",
		 v->database);
	r = ap_server_ask_uint(c, sql, &exists, err);
	if (r < 0 || (exists && !atomic_load(&v->head.lacking)))
		return r;
	snprintf(sql, sizeof(sql), "CREATE DATABASE IF NOT EXISTS %s", v->database);
	if (v->cluster)
		snprintf(sql + strlen(sql), sizeof(sql) - strlen(sql), " ON CLUSTER '%s'",
			 v->cluster);
	ap_server_param_u64(&params, "wait_end_of_query", 1);
	ap_server_put_dialect(v, &params);
	r = command(c, &params, ap_str_of(sql), STATEMENT_NS, "", err);
	if (r < 0 && r != -ENOTCONN)
		ap_error_prefix(err,
				"there is no database %s (--clickhouse-database), and it cannot be "
				"made",
				v->database);
	return r;
}

static int find_cluster(struct ap_server *v, struct ap_server_channel *c, struct ap_error *err)
{
	uint64_t replicas;
	char sql[160];
	int r;

	if (!v->cluster)
		return 0;
	snprintf(sql, sizeof(sql),
		 "SELECT max(replica_num) FROM system.clusters WHERE cluster = '%s'", v->cluster);
	r = ap_server_ask_uint(c, sql, &replicas, err);
	if (r == 0 && replicas == 0)
		r = ap_error_set(err, -EINVAL,
				 "the ClickHouse server %s knows no cluster %s "
				 "(--clickhouse-cluster): name one of its <remote_servers>",
				 v->address.url, v->cluster);
	if (r == 0)
		atomic_store(&v->replicas, (unsigned int)replicas);
	return r;
}

static int server_connect(struct ap_store *s, struct ap_error *err)
{
	struct ap_server *v = ap_server_of(s);
	struct ap_server_channel *c;
	int r;

	c = ap_pool_take(&v->pool, ap_clock_mono_ns() + STATEMENT_NS, NULL, err);
	if (!c)
		return -EBUSY;
	r = ask(c, "SELECT version()", take_version, s, err);
	if (r == 0)
		r = find_cluster(v, c, err);
	if (r == 0)
		r = make_database(v, c, err);
	ap_pool_give(&v->pool, c);
	/* A server that does not answer in time is as good as one that is down. */
	if (r == -ETIMEDOUT && err)
		err->code = -ENOTCONN;
	if (r == -ETIMEDOUT)
		return -ENOTCONN;
	return r == 0 ? find_caps(v, err) : r;
}

const struct ap_store_driver ap_store_server = {
	.name = "server",
	.open = server_open,
	.connect = server_connect,
	.close = server_close,
	.exec = server_exec,
	.insert = ap_server_insert,
	.insert_select = ap_server_insert_select,
	.settled = ap_server_settled,
	.query = server_query,
};

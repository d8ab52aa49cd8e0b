/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/schema.h"

#include <stdio.h>

/* What a part is made of is on disk before it takes the place of others: a merge's too, since what it has merged is
 * removed at once. */
#define SYNCED "fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1"

/* Statistics of columns serve planners of joins; made by default, they are a tenth of what an insert costs, and of a
 * merge. */
#define PLAIN "auto_statistics_types = ''"

const char *const ap_schema_labels[AP_LABEL_COLUMNS] = {
	"service",   "host",	  "agent", "pid",  "comm",  "thread",
	"container", "namespace", "pod",   "unit", "build", "version",
};

int ap_schema_label_find(struct ap_str name)
{
	for (int i = 0; i < AP_LABEL_COLUMNS; i++)
		if (ap_str_is(name, ap_schema_labels[i]))
			return i;
	return -1;
}

static const struct ap_native_spec samples[AP_SAMPLES_COLUMNS] = {
	{"time", AP_NATIVE_DATETIME},
	{"event", AP_NATIVE_UINT8},
	{"service", AP_NATIVE_LC_STRING},
	{"host", AP_NATIVE_LC_STRING},
	{"agent", AP_NATIVE_LC_STRING},
	{"pid", AP_NATIVE_LC_STRING},
	{"comm", AP_NATIVE_LC_STRING},
	{"thread", AP_NATIVE_LC_STRING},
	{"container", AP_NATIVE_LC_STRING},
	{"namespace", AP_NATIVE_LC_STRING},
	{"pod", AP_NATIVE_LC_STRING},
	{"unit", AP_NATIVE_LC_STRING},
	{"build", AP_NATIVE_LC_STRING},
	{"version", AP_NATIVE_LC_STRING},
	{"label_keys", AP_NATIVE_ARRAY_STRING},
	{"label_values", AP_NATIVE_ARRAY_STRING},
	{"stack", AP_NATIVE_UINT64},
	{"count", AP_NATIVE_UINT64},
	{"value", AP_NATIVE_UINT64},
	{"segment", AP_NATIVE_UINT64},
};

static const struct ap_native_spec stacks[AP_STACKS_COLUMNS] = {
	{"day", AP_NATIVE_DATE},
	{"id", AP_NATIVE_UINT64},
	{"frames", AP_NATIVE_ARRAY_UINT64},
	{"reason", AP_NATIVE_UINT8},
};

static const struct ap_native_spec frames[AP_FRAMES_COLUMNS] = {
	{"day", AP_NATIVE_DATE},
	{"id", AP_NATIVE_UINT64},
	{"function", AP_NATIVE_STRING},
	{"system_name", AP_NATIVE_STRING},
	{"file", AP_NATIVE_STRING},
	{"start_line", AP_NATIVE_UINT32},
	{"line", AP_NATIVE_UINT32},
	{"module", AP_NATIVE_STRING},
	{"build_id", AP_NATIVE_STRING},
	{"offset", AP_NATIVE_UINT64},
	{"inline_index", AP_NATIVE_UINT16},
	{"kind", AP_NATIVE_UINT8},
};

static const struct ap_native_spec symbols[AP_SYMBOLS_COLUMNS] = {
	{"build_id", AP_NATIVE_STRING},
	{"offset", AP_NATIVE_UINT64},
	{"version", AP_NATIVE_UINT64},
	{"functions", AP_NATIVE_ARRAY_STRING},
	{"system_names", AP_NATIVE_ARRAY_STRING},
	{"files", AP_NATIVE_ARRAY_STRING},
	{"start_lines", AP_NATIVE_ARRAY_UINT64},
	{"lines", AP_NATIVE_ARRAY_UINT64},
};

static const struct ap_native_spec syscalls[AP_SYSCALLS_COLUMNS] = {
	{"time", AP_NATIVE_DATETIME},
	{"service", AP_NATIVE_LC_STRING},
	{"host", AP_NATIVE_LC_STRING},
	{"agent", AP_NATIVE_LC_STRING},
	{"pid", AP_NATIVE_LC_STRING},
	{"comm", AP_NATIVE_LC_STRING},
	{"thread", AP_NATIVE_LC_STRING},
	{"container", AP_NATIVE_LC_STRING},
	{"namespace", AP_NATIVE_LC_STRING},
	{"pod", AP_NATIVE_LC_STRING},
	{"unit", AP_NATIVE_LC_STRING},
	{"build", AP_NATIVE_LC_STRING},
	{"version", AP_NATIVE_LC_STRING},
	{"label_keys", AP_NATIVE_ARRAY_STRING},
	{"label_values", AP_NATIVE_ARRAY_STRING},
	{"syscall", AP_NATIVE_LC_STRING},
	{"abi", AP_NATIVE_LC_STRING},
	{"count", AP_NATIVE_UINT64},
	{"sum_ns", AP_NATIVE_UINT64},
	{"max_ns", AP_NATIVE_UINT64},
	{"buckets", AP_NATIVE_ARRAY_UINT64},
	{"bucket_counts", AP_NATIVE_ARRAY_UINT64},
	{"errors", AP_NATIVE_ARRAY_UINT64},
	{"error_counts", AP_NATIVE_ARRAY_UINT64},
	{"in_flight", AP_NATIVE_UINT32},
	{"oldest_ns", AP_NATIVE_UINT64},
	{"batch", AP_NATIVE_UINT64},
	{"segment", AP_NATIVE_UINT64},
};

static const struct ap_native_spec ledger[AP_LEDGER_COLUMNS] = {
	{"time", AP_NATIVE_DATETIME},	{"until", AP_NATIVE_DATETIME},
	{"agent", AP_NATIVE_LC_STRING}, {"host", AP_NATIVE_LC_STRING},
	{"epoch", AP_NATIVE_UINT64},	{"sequence", AP_NATIVE_UINT64},
	{"kind", AP_NATIVE_UINT8},	{"id", AP_NATIVE_UINT8},
	{"count", AP_NATIVE_UINT64},	{"segment", AP_NATIVE_UINT64},
};

/* The labels that rows of an hour or a day keep: all but those of single processes and threads. */
#define ROLLUP_LABELS                                                                   \
	{"service", AP_NATIVE_LC_STRING}, {"host", AP_NATIVE_LC_STRING},                \
		{"agent", AP_NATIVE_LC_STRING}, {"comm", AP_NATIVE_LC_STRING},          \
		{"container", AP_NATIVE_LC_STRING}, {"namespace", AP_NATIVE_LC_STRING}, \
		{"pod", AP_NATIVE_LC_STRING}, {"unit", AP_NATIVE_LC_STRING},            \
		{"build", AP_NATIVE_LC_STRING}, {"version", AP_NATIVE_LC_STRING},       \
		{"label_keys", AP_NATIVE_ARRAY_STRING},                                 \
	{                                                                               \
		"label_values", AP_NATIVE_ARRAY_STRING                                  \
	}

static const struct ap_native_spec samples_rollup[] = {
	{"time", AP_NATIVE_DATETIME},  {"event", AP_NATIVE_UINT8},  ROLLUP_LABELS,
	{"stack", AP_NATIVE_UINT64},   {"count", AP_NATIVE_UINT64}, {"value", AP_NATIVE_UINT64},
	{"segment", AP_NATIVE_UINT64},
};

static const struct ap_native_spec syscalls_rollup[] = {
	{"time", AP_NATIVE_DATETIME},
	ROLLUP_LABELS,
	{"syscall", AP_NATIVE_LC_STRING},
	{"abi", AP_NATIVE_LC_STRING},
	{"count", AP_NATIVE_UINT64},
	{"sum_ns", AP_NATIVE_UINT64},
	{"max_ns", AP_NATIVE_UINT64},
	{"buckets", AP_NATIVE_ARRAY_UINT64},
	{"bucket_counts", AP_NATIVE_ARRAY_UINT64},
	{"errors", AP_NATIVE_ARRAY_UINT64},
	{"error_counts", AP_NATIVE_ARRAY_UINT64},
	{"segment", AP_NATIVE_UINT64},
};

static const struct ap_native_spec ledger_rollup[] = {
	{"time", AP_NATIVE_DATETIME},	{"until", AP_NATIVE_DATETIME},
	{"agent", AP_NATIVE_LC_STRING}, {"host", AP_NATIVE_LC_STRING},
	{"kind", AP_NATIVE_UINT8},	{"id", AP_NATIVE_UINT8},
	{"count", AP_NATIVE_UINT64},	{"segment", AP_NATIVE_UINT64},
};

static const struct ap_native_spec rollups[] = {
	{"kind", AP_NATIVE_UINT8},
	{"writer", AP_NATIVE_UINT64},
	{"value", AP_NATIVE_UINT64},
};

#define TABLE(name, columns) {name, columns, AP_ARRAY_SIZE(columns)}

const struct ap_schema_table ap_schema_samples = {"samples", samples, AP_SAMPLES_COLUMNS};
const struct ap_schema_table ap_schema_stacks = {"stacks", stacks, AP_STACKS_COLUMNS};
const struct ap_schema_table ap_schema_frames = {"frames", frames, AP_FRAMES_COLUMNS};
const struct ap_schema_table ap_schema_symbols = {"symbols", symbols, AP_SYMBOLS_COLUMNS};
const struct ap_schema_table ap_schema_syscalls = {"syscalls", syscalls, AP_SYSCALLS_COLUMNS};
const struct ap_schema_table ap_schema_ledger = {"ledger", ledger, AP_LEDGER_COLUMNS};
const struct ap_schema_table ap_schema_samples_1h = TABLE("samples_1h", samples_rollup);
const struct ap_schema_table ap_schema_samples_1d = TABLE("samples_1d", samples_rollup);
const struct ap_schema_table ap_schema_syscalls_1h = TABLE("syscalls_1h", syscalls_rollup);
const struct ap_schema_table ap_schema_syscalls_1d = TABLE("syscalls_1d", syscalls_rollup);
const struct ap_schema_table ap_schema_ledger_1h = TABLE("ledger_1h", ledger_rollup);
const struct ap_schema_table ap_schema_rollups = TABLE("rollups", rollups);

/* What CREATE TABLE needs beside the columns. The engine's replacing merges away dictionary rows
 * that were stored twice; for samples and the ledger a row is a fact and stays.
 *
 * Samples arrive in the order of time, so that a merge moves long runs of rows: by stack within the hour it
 * would move each by itself, at three times the cost. Stacks that have their outer frames in common are neighbours,
 * and a third as large. Tables keep the order that they were made with. */
struct table {
	const struct ap_schema_table *t;
	const char *engine, *partition, *order;
	const char *
		shard; /* in a cluster: an integer, the remainder of which is the row's shard; NULL: every
			    * shard has all rows */
};
#define UTC_DAY "toDate(time, 'UTC')"
static const struct table tables[] = {
	{&ap_schema_samples, "MergeTree", "toDate(time)", "service, event, time", "segment"},
	{&ap_schema_stacks, "ReplacingMergeTree", "day", "frames, id", "id"},
	{&ap_schema_frames, "ReplacingMergeTree", "day", "id", "id"},
	{&ap_schema_symbols, "ReplacingMergeTree(version)", "tuple()", "build_id, offset",
	 "cityHash64(build_id)"},
	{&ap_schema_syscalls, "MergeTree", "toDate(time)", "service, syscall, time", "segment"},
	{&ap_schema_ledger, "MergeTree", "toDate(time)", "agent, time", "segment"},
	{&ap_schema_samples_1h, "MergeTree", UTC_DAY, "service, event, time, stack", "segment"},
	{&ap_schema_samples_1d, "MergeTree", UTC_DAY, "service, event, time, stack", "segment"},
	{&ap_schema_syscalls_1h, "MergeTree", UTC_DAY, "service, syscall, time", "segment"},
	{&ap_schema_syscalls_1d, "MergeTree", UTC_DAY, "service, syscall, time", "segment"},
	{&ap_schema_ledger_1h, "MergeTree", UTC_DAY, "agent, time", "segment"},
	{&ap_schema_rollups, "ReplacingMergeTree(value)", "tuple()", "kind, writer", NULL},
};

/* ZSTD(1) for all; counts and segments first shrink by their own nature. Stacks are the most of a table. Times are read
 * of every row that may be in a range: DoubleDelta saves 0.02 bytes a row more, and costs a fifth of a question. */
static const char *codec_of(const struct ap_native_spec *c)
{
	if (c->type == AP_NATIVE_DATETIME)
		return "CODEC(Delta(4), LZ4)";
	if (c->type == AP_NATIVE_UINT64 &&
	    (strcmp(c->name, "count") == 0 || strcmp(c->name, "segment") == 0))
		return "CODEC(T64, ZSTD(1))";
	if (c->type == AP_NATIVE_UINT64 && strcmp(c->name, "stack") == 0)
		return "CODEC(ZSTD(3))";
	return "CODEC(ZSTD(1))";
}

static bool has_segment(const struct ap_schema_table *t)
{
	return strcmp(t->columns[t->n_columns - 1].name, "segment") == 0;
}

static void put_columns(const struct ap_store *s, const struct ap_schema_table *t,
			struct ap_buf *sql)
{
	for (uint32_t i = 0; i < t->n_columns; i++) {
		const struct ap_native_spec *c = &t->columns[i];

		ap_buf_printf(sql, "%s%s %s", i ? ", " : "", c->name, ap_native_type_name(c->type));
		if (s->caps & AP_STORE_CAP_CODECS)
			ap_buf_printf(sql, " %s", codec_of(c));
	}
}

/* "CREATE TABLE IF NOT EXISTS name", on all servers of a cluster. */
static void put_create(const struct ap_store *s, const char *name, const char *end,
		       struct ap_buf *sql)
{
	ap_buf_printf(sql, "CREATE TABLE IF NOT EXISTS %s%s ", name, end);
	if (s->cluster)
		ap_buf_printf(sql, "ON CLUSTER '%s' ", s->cluster);
}

/* Tables of one path at the cluster's keeper are each other's replicas: those of a shard, or, where the
 * table is not dealt out, all. The servers put their own names in for the braces. */
static void put_engine(const struct ap_store *s, const char *engine, const char *name, bool dealt,
		       struct ap_buf *sql)
{
	const char *arguments = strchr(engine, '(');

	if (!s->cluster) {
		ap_buf_printf(sql, " ENGINE = %s", engine);
		return;
	}
	ap_buf_printf(sql, " ENGINE = Replicated%.*s('/clickhouse/tables/%s/%s/%s', '%s'",
		      (int)strcspn(engine, "("), engine, dealt ? "{shard}" : "all", s->database,
		      name, dealt ? "{replica}" : "{shard}-{replica}");
	ap_buf_printf(sql, arguments ? ", %s" : ")", arguments ? arguments + 1 : "");
}

static int run(struct ap_store *s, const struct ap_buf *sql, struct ap_error *err)
{
	if (ap_buf_error(sql) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	return s->driver->exec(s, ap_buf_view(sql), err);
}

/* The view of a cluster's tables of that name. */
static int create_view(struct ap_store *s, const struct table *t, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf sql = {0};

	put_create(s, t->t->name, "", &sql);
	ap_buf_byte(&sql, '(');
	put_columns(s, t->t, &sql);
	ap_buf_printf(&sql, ") ENGINE = Distributed('%s', '%s', '%s" AP_SCHEMA_LOCAL "', %s)",
		      s->cluster, s->database, t->t->name, t->shard);
	return run(s, &sql, err);
}

static int create(struct ap_store *s, const struct table *t, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf sql = {0};
	bool dealt = s->cluster && t->shard;
	int r;

	put_create(s, t->t->name, dealt ? AP_SCHEMA_LOCAL : "", &sql);
	ap_buf_byte(&sql, '(');
	put_columns(s, t->t, &sql);
	/* What no range of segments has summed up yet is few rows, in few granules. */
	if (s->caps & AP_STORE_CAP_SKIP_INDEX && has_segment(t->t))
		ap_buf_puts(&sql, ", INDEX by_segment segment TYPE minmax GRANULARITY 1");
	ap_buf_byte(&sql, ')');
	put_engine(s, t->engine, t->t->name, dealt, &sql);
	ap_buf_printf(&sql, " PARTITION BY %s ORDER BY (%s) SETTINGS index_granularity = 8192",
		      t->partition, t->order);
	if (s->cluster)
		ap_buf_puts(&sql, ", replicated_deduplication_window = 1000");
	else if (s->caps & AP_STORE_CAP_DEDUPLICATION)
		ap_buf_puts(&sql, ", non_replicated_deduplication_window = 1000");
	/* A stack's id is seen again within a block of 32,768 rows, but hardly within one of 8,192. A segment's
	 * columns, about 27 MB, are in one file, which are fewer to be synced; what merges make has one for each. */
	if (s->caps & AP_STORE_CAP_COMPRESS_BLOCK && has_segment(t->t))
		ap_buf_puts(&sql, ", min_compress_block_size = 262144, "
				  "min_bytes_for_wide_part = 33554432");
	if (s->caps & AP_STORE_CAP_FSYNC)
		ap_buf_puts(&sql, ", " SYNCED);
	if (s->caps & AP_STORE_CAP_STATISTICS)
		ap_buf_puts(&sql, ", " PLAIN);
	r = run(s, &sql, err);
	return r == 0 && dealt ? create_view(s, t, err) : r;
}

static int create_meta(struct ap_store *s, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf sql = {0};

	put_create(s, "meta", "", &sql);
	ap_buf_puts(&sql, "(version UInt32, created DateTime('UTC'))");
	put_engine(s, "MergeTree", "meta", false, &sql);
	ap_buf_puts(&sql, " ORDER BY version");
	return run(s, &sql, err);
}

/* Whether the server that is asked has all tables of a cluster's, so that nobody else needs to be asked to
 * make them: one that is down could not. False where one lacks a table, which a statement has met with. */
static int is_complete(struct ap_store *s, bool *ret, struct ap_error *err)
{
	static const struct ap_store_limits none;
	_cleanup_buf_ struct ap_buf sql = {0};
	uint64_t n = 0, all = 1;
	int r;

	ap_buf_printf(&sql,
		      "SELECT count() FROM system.tables WHERE database = '%s' AND name IN ('meta'",
		      s->database);
	for (size_t i = 0; i < AP_ARRAY_SIZE(tables); i++) {
		ap_buf_printf(&sql, ", '%s', '%s" AP_SCHEMA_LOCAL "'", tables[i].t->name,
			      tables[i].t->name);
		all += tables[i].shard ? 2 : 1;
	}
	ap_buf_byte(&sql, ')');
	if (ap_buf_error(&sql) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = s->driver->query(s, ap_buf_view(&sql), &none, ap_native_take_uint, &n, err);
	*ret = n == all && !atomic_load(&s->lacking);
	return r;
}

static int check_version(struct ap_store *s, uint64_t *ret, struct ap_error *err)
{
	static const struct ap_store_limits none;
	int r = s->driver->query(s, AP_STR("SELECT toUInt64(max(version)) FROM meta"), &none,
				 ap_native_take_uint, ret, err);

	if (r == 0 && *ret > AP_SCHEMA_VERSION)
		r = ap_error_set(
			err, -EPROTO,
			"the store was written by a newer version of Aperture (schema %u, "
			"this one knows %u): upgrade, or use another data folder or database",
			(unsigned int)*ret, (unsigned int)AP_SCHEMA_VERSION);
	return r;
}

/* Whether a table has settings: of a cluster's servers the one that is asked, since another may be down. They were all
 * told the same. */
static int is_set(struct ap_store *s, const char *name, const char *settings, bool *ret,
		  struct ap_error *err)
{
	static const struct ap_store_limits none;
	_cleanup_buf_ struct ap_buf sql = {0};
	uint64_t lacking = 0;
	int r;

	ap_buf_puts(&sql, "SELECT count() FROM system.tables WHERE database = ");
	if (s->cluster)
		ap_buf_printf(&sql, "'%s'", s->database);
	else
		ap_buf_puts(&sql, "currentDatabase()");
	ap_buf_printf(&sql, " AND name = '%s' AND position(engine_full, ", name);
	ap_sql_quote(&sql, ap_str_of(settings));
	ap_buf_puts(&sql, ") = 0");
	if (ap_buf_error(&sql) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = s->driver->query(s, ap_buf_view(&sql), &none, ap_native_take_uint, &lacking, err);
	*ret = lacking == 0;
	return r;
}

/* Gives settings to a table that an earlier version has made. Replicas have settings of their own. A server of the
 * cluster that is down does its part when it is back. */
static int make_set(struct ap_store *s, const struct table *t, const char *settings,
		    struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf sql = {0};
	bool there = false;
	char name[64];
	int r;

	snprintf(name, sizeof(name), "%s%s", t->t->name,
		 s->cluster && t->shard ? AP_SCHEMA_LOCAL : "");
	r = is_set(s, name, settings, &there, err);
	if (r < 0 || there)
		return r;
	ap_buf_printf(&sql, "ALTER TABLE %s ", name);
	if (s->cluster)
		ap_buf_printf(&sql, "ON CLUSTER '%s' ", s->cluster);
	ap_buf_printf(&sql, "MODIFY SETTING %s", settings);
	r = run(s, &sql, err);
	return s->cluster && r == -ETIMEDOUT ? 0 : r;
}

static int renew(struct ap_store *s, const struct table *t, struct ap_error *err)
{
	int r = 0;

	if (s->caps & AP_STORE_CAP_FSYNC)
		r = make_set(s, t, SYNCED, err);
	if (r == 0 && s->caps & AP_STORE_CAP_STATISTICS)
		r = make_set(s, t, PLAIN, err);
	return r;
}

/* By the driver's own functions: those of store.h come here first. */
int ap_schema_apply(struct ap_store *s, struct ap_error *err)
{
	uint64_t version = 0;
	bool complete = false;
	char sql[96];
	int r = s->cluster ? is_complete(s, &complete, err) : 0;

	if (r == 0 && !complete)
		r = create_meta(s, err);
	if (r == 0)
		r = check_version(s, &version, err);
	for (size_t i = 0; i < AP_ARRAY_SIZE(tables) && r == 0 && !complete; i++)
		r = create(s, &tables[i], err);
	for (size_t i = 0; i < AP_ARRAY_SIZE(tables) && r == 0; i++)
		r = renew(s, &tables[i], err);
	snprintf(sql, sizeof(sql), "INSERT INTO meta VALUES (%d, now())", AP_SCHEMA_VERSION);
	if (r == 0 && version < AP_SCHEMA_VERSION)
		r = s->driver->exec(s, ap_str_of(sql), err);
	if (r == 0)
		atomic_store(&s->lacking, false);
	return r;
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/schema.h"

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

const struct ap_schema_table ap_schema_samples = {"aperture.samples", samples, AP_SAMPLES_COLUMNS};
const struct ap_schema_table ap_schema_stacks = {"aperture.stacks", stacks, AP_STACKS_COLUMNS};
const struct ap_schema_table ap_schema_frames = {"aperture.frames", frames, AP_FRAMES_COLUMNS};
const struct ap_schema_table ap_schema_symbols = {"aperture.symbols", symbols, AP_SYMBOLS_COLUMNS};
const struct ap_schema_table ap_schema_syscalls = {"aperture.syscalls", syscalls,
						   AP_SYSCALLS_COLUMNS};
const struct ap_schema_table ap_schema_ledger = {"aperture.ledger", ledger, AP_LEDGER_COLUMNS};

/* What CREATE TABLE needs beside the columns. The engine's replacing merges away dictionary rows
 * that were stored twice; for samples and the ledger a row is a fact and stays. */
struct table {
	const struct ap_schema_table *t;
	const char *engine, *partition, *order;
};
static const struct table tables[] = {
	{&ap_schema_samples, "MergeTree", "toDate(time)",
	 "service, event, toStartOfHour(time), stack, time"},
	{&ap_schema_stacks, "ReplacingMergeTree", "day", "id"},
	{&ap_schema_frames, "ReplacingMergeTree", "day", "id"},
	{&ap_schema_symbols, "ReplacingMergeTree(version)", "tuple()", "build_id, offset"},
	{&ap_schema_syscalls, "MergeTree", "toDate(time)", "service, syscall, time"},
	{&ap_schema_ledger, "MergeTree", "toDate(time)", "agent, time"},
};

/* ZSTD(1) for all; times and counts first shrink by their own nature. */
static const char *codec_of(const struct ap_native_spec *c)
{
	if (c->type == AP_NATIVE_DATETIME)
		return "CODEC(DoubleDelta, ZSTD(1))";
	if (c->type == AP_NATIVE_UINT64 && strcmp(c->name, "count") == 0)
		return "CODEC(T64, ZSTD(1))";
	return "CODEC(ZSTD(1))";
}

static int create(struct ap_store *s, const struct table *t, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf sql = {0};

	ap_buf_printf(&sql, "CREATE TABLE IF NOT EXISTS %s (", t->t->name);
	for (uint32_t i = 0; i < t->t->n_columns; i++) {
		const struct ap_native_spec *c = &t->t->columns[i];

		ap_buf_printf(&sql, "%s%s %s", i ? ", " : "", c->name,
			      ap_native_type_name(c->type));
		if (s->caps & AP_STORE_CAP_CODECS)
			ap_buf_printf(&sql, " %s", codec_of(c));
	}
	ap_buf_printf(
		&sql,
		") ENGINE = %s PARTITION BY %s ORDER BY (%s) SETTINGS index_granularity = 8192",
		t->engine, t->partition, t->order);
	if (s->caps & AP_STORE_CAP_DEDUPLICATION)
		ap_buf_puts(&sql, ", non_replicated_deduplication_window = 1000");
	if (s->caps & AP_STORE_CAP_FSYNC)
		ap_buf_puts(&sql, ", fsync_after_insert = 1, fsync_part_directory = 1");
	if (ap_buf_error(&sql) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	return ap_store_exec(s, err, "%.*s", (int)sql.n, (const char *)sql.p);
}

int ap_schema_apply(struct ap_store *s, struct ap_error *err)
{
	uint64_t version;
	int r;

	r = ap_store_exec(s, err, "CREATE DATABASE IF NOT EXISTS aperture");
	if (r == 0)
		r = ap_store_exec(s, err,
				  "CREATE TABLE IF NOT EXISTS aperture.meta (version UInt32, "
				  "created DateTime('UTC')) ENGINE = MergeTree ORDER BY version");
	if (r == 0)
		r = ap_store_query_uint(s, "SELECT toUInt64(max(version)) FROM aperture.meta",
					&version, err);
	if (r < 0)
		return r;
	if (version > AP_SCHEMA_VERSION)
		return ap_error_set(
			err, -EPROTO,
			"the store was written by a newer version of Aperture (schema %u, "
			"this one knows %u): upgrade, or use another data folder",
			(unsigned int)version, (unsigned int)AP_SCHEMA_VERSION);
	for (size_t i = 0; i < AP_ARRAY_SIZE(tables) && r == 0; i++)
		r = create(s, &tables[i], err);
	if (r == 0 && version < AP_SCHEMA_VERSION)
		r = ap_store_exec(s, err, "INSERT INTO aperture.meta VALUES (%u, now())",
				  (unsigned int)AP_SCHEMA_VERSION);
	return r;
}

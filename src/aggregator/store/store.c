/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/store.h"

#include <stdarg.h>
#include <stdio.h>

#include "aggregator/store/schema.h"
#include "base/clock.h"
#include "base/files.h"

static const struct ap_store_driver *const drivers[] = {&ap_store_embedded, &ap_store_server};

#define OPENING_WAIT (10 * AP_NSEC_PER_SEC)
#define CHECK_NS     (5 * AP_NSEC_PER_SEC)

static int make_ready(struct ap_store *s, struct ap_error *err)
{
	int r = s->driver->connect ? s->driver->connect(s, err) : 0;

	if (r == 0)
		r = ap_schema_apply(s, err);
	if (r == 0)
		atomic_fetch_add(&s->connects, 1);
	if (r == 0)
		atomic_store(&s->ready, true);
	return r;
}

/* Before each statement. */
static int get_ready(struct ap_store *s, struct ap_error *err)
{
	uint64_t until = ap_clock_mono_ns() + OPENING_WAIT;
	struct timespec ts = {(time_t)(until / AP_NSEC_PER_SEC), (long)(until % AP_NSEC_PER_SEC)};
	int r = 0;

	if (atomic_load(&s->ready))
		return 0;
	if (pthread_mutex_clocklock(&s->opening, CLOCK_MONOTONIC, &ts) != 0)
		return ap_error_set(err, -ENOTCONN, "the store is being connected to");
	if (!atomic_load(&s->ready))
		r = make_ready(s, err);
	pthread_mutex_unlock(&s->opening);
	return r;
}

/* After each statement: what is lost is made ready again before the next. */
static int done(struct ap_store *s, int r)
{
	if (s->driver->connect && (r == -ENOTCONN || r == -ENOENT)) {
		if (r == -ENOENT)
			atomic_store(&s->lacking, true);
		atomic_store(&s->ready, false);
	}
	return r;
}

static int open_with(const struct ap_store_driver *driver, const struct ap_store_options *o,
		     struct ap_store **ret, struct ap_error *err)
{
	_cleanup_(ap_cleanup_store) struct ap_store *s = NULL;
	int r = driver->open(o, &s, err);

	if (r < 0)
		return r;
	if (!driver->connect)
		r = get_ready(s, err);
	if (r == 0)
		*ret = AP_TAKE_PTR(s);
	return r;
}

int ap_store_open(const struct ap_store_options *o, struct ap_store **ret, struct ap_error *err)
{
	const char *name = o->driver ?: "embedded";

	for (size_t i = 0; i < AP_ARRAY_SIZE(drivers); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return open_with(drivers[i], o, ret, err);
	return ap_error_set(err, -ENOENT,
			    "there is no store driver \"%.100s\": use \"embedded\" or \"server\"",
			    name);
}

void ap_store_init(struct ap_store *s, const struct ap_store_driver *driver)
{
	s->driver = driver;
	pthread_mutex_init(&s->opening, NULL);
	pthread_mutex_init(&s->peers.lock, NULL);
}

void ap_store_close(struct ap_store *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->opening);
	pthread_mutex_destroy(&s->peers.lock);
	s->driver->close(s);
}

static int exec(struct ap_store *s, const struct ap_buf *sql, struct ap_error *err)
{
	int r;

	if (ap_buf_error(sql) < 0)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r = get_ready(s, err);
	return r < 0 ? r : done(s, s->driver->exec(s, ap_buf_view(sql), err));
}

int ap_store_exec(struct ap_store *s, struct ap_error *err, const char *fmt, ...)
{
	_cleanup_buf_ struct ap_buf sql = {0};
	va_list ap;

	va_start(ap, fmt);
	ap_buf_vprintf(&sql, fmt, ap);
	va_end(ap);
	return exec(s, &sql, err);
}

int ap_store_alter(struct ap_store *s, struct ap_error *err, const char *table, const char *fmt,
		   ...)
{
	_cleanup_buf_ struct ap_buf sql = {0};
	va_list ap;

	ap_buf_printf(&sql, "ALTER TABLE %s", table);
	if (s->cluster)
		ap_buf_printf(&sql, AP_SCHEMA_LOCAL " ON CLUSTER '%s'", s->cluster);
	ap_buf_byte(&sql, ' ');
	va_start(ap, fmt);
	ap_buf_vprintf(&sql, fmt, ap);
	va_end(ap);
	return exec(s, &sql, err);
}

void ap_store_put_parts(const struct ap_store *s, struct ap_buf *sql)
{
	/* Another server's currentDatabase() is its own. */
	if (s->cluster)
		ap_buf_printf(sql,
			      "(SELECT replaceRegexpOne(p.table, '" AP_SCHEMA_LOCAL
			      "$', '') AS table, partition, rows, bytes_on_disk FROM "
			      "cluster('%s', system, parts) AS p WHERE active AND database = '%s')",
			      s->cluster, s->database);
	else
		ap_buf_puts(sql, "(SELECT table, partition, rows, bytes_on_disk FROM system.parts "
				 "WHERE active AND database = currentDatabase())");
}

int ap_store_insert(struct ap_store *s, const char *table, const struct ap_native_block *block,
		    const char *token, struct ap_error *err)
{
	int r;

	if (ap_native_block_rows(block) == 0)
		return 0;
	r = get_ready(s, err);
	return r < 0 ? r : done(s, s->driver->insert(s, table, block, token, err));
}

int ap_store_insert_select(struct ap_store *s, struct ap_str sql, const char *token,
			   struct ap_error *err)
{
	int r = get_ready(s, err);

	return r < 0 ? r : done(s, s->driver->insert_select(s, sql, token, err));
}

int ap_store_settled(struct ap_store *s, struct ap_error *err)
{
	return s->driver->settled ? s->driver->settled(s, err) : 0;
}

int ap_store_query(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
		   ap_store_block_fn fn, void *ctx, struct ap_error *err)
{
	static const struct ap_store_limits none;
	int r = get_ready(s, err);

	return r < 0 ? r : done(s, s->driver->query(s, sql, limits ?: &none, fn, ctx, err));
}

void ap_store_behind(struct ap_store *s, bool behind)
{
	if (s->driver->behind)
		s->driver->behind(s, behind);
}

int ap_store_check(struct ap_store *s, struct ap_error *err)
{
	const struct ap_store_limits limits = {.timeout_ns = CHECK_NS};
	char sql[128] = "SELECT toUInt64(1)";
	uint64_t one;

	if (!s->driver->connect)
		return 0;
	/* A row of each shard. */
	if (s->cluster)
		snprintf(sql, sizeof(sql), "SELECT count() FROM cluster('%s', system, one)",
			 s->cluster);
	return ap_store_query(s, ap_str_of(sql), &limits, ap_native_take_uint, &one, err);
}

int ap_store_segment_rows(struct ap_store *s, const char *table, uint64_t segment, uint64_t *ret,
			  struct ap_error *err)
{
	char sql[160];
	int r = ap_store_settled(s, err);

	if (r < 0)
		return r;
	snprintf(sql, sizeof(sql), "SELECT count() FROM %s WHERE segment = %llu", table,
		 (unsigned long long)segment);
	return ap_store_query_uint(s, sql, ret, err);
}

int ap_store_query_uint(struct ap_store *s, const char *sql, uint64_t *ret, struct ap_error *err)
{
	uint64_t v = 0;
	int r = ap_store_query(s, ap_str_of(sql), NULL, ap_native_take_uint, &v, err);

	if (r == 0)
		*ret = v;
	return r;
}

#define LIBRARY_IN_TREE "deps/chdb/node_modules/@chdb/lib-linux-x64-gnu/libchdb.so"

int ap_store_find_library(const char *given, char **ret, struct ap_error *err)
{
	char *path;
	int r;

	if (given && *given) {
		if (access(given, R_OK) < 0)
			return ap_error_set(err, -ENOENT, "the library %s cannot be read: %s",
					    given, ap_strerror(errno));
		path = strdup(given);
	} else {
		r = ap_files_find("../lib/aperture/libchdb.so", LIBRARY_IN_TREE, &path);
		if (r < 0)
			return ap_error_set(
				err, r,
				"libchdb.so, the embedded ClickHouse, was not found beside the "
				"program (../lib/aperture/libchdb.so): run `make`, or name it "
				"with --chdb-library or APERTURE_CHDB_LIBRARY");
	}
	if (!path)
		return ap_error_set(err, -ENOMEM, "out of memory");
	*ret = path;
	return 0;
}

void ap_sql_quote(struct ap_buf *out, struct ap_str s)
{
	ap_buf_byte(out, '\'');
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if (c == '\'' || c == '\\')
			ap_buf_byte(out, '\\');
		if (c < 0x20 || c == 0x7f)
			ap_buf_printf(out, "\\x%02X", c);
		else
			ap_buf_byte(out, c);
	}
	ap_buf_byte(out, '\'');
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/store.h"

#include <stdarg.h>
#include <stdio.h>

#include "aggregator/store/schema.h"
#include "base/files.h"

static const struct ap_store_driver *const drivers[] = {&ap_store_embedded};

int ap_store_open(const struct ap_store_options *o, struct ap_store **ret, struct ap_error *err)
{
	_cleanup_(ap_cleanup_store) struct ap_store *s = NULL;
	const char *name = o->driver ?: "embedded";
	int r = -ENOENT;

	for (size_t i = 0; i < AP_ARRAY_SIZE(drivers); i++) {
		if (strcmp(drivers[i]->name, name) != 0)
			continue;
		r = drivers[i]->open(o, &s, err);
		if (r == 0)
			r = ap_schema_apply(s, err);
		if (r == 0)
			*ret = AP_TAKE_PTR(s);
		return r;
	}
	return ap_error_set(err, r, "there is no store driver \"%.100s\": use \"embedded\"", name);
}

void ap_store_close(struct ap_store *s)
{
	if (s)
		s->driver->close(s);
}

int ap_store_exec(struct ap_store *s, struct ap_error *err, const char *fmt, ...)
{
	_cleanup_free_ char *sql = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&sql, fmt, ap);
	va_end(ap);
	if (n < 0) {
		sql = NULL;
		return ap_error_set(err, -ENOMEM, "out of memory");
	}
	return s->driver->exec(s, (struct ap_str){sql, (size_t)n}, err);
}

int ap_store_insert(struct ap_store *s, const char *table, const struct ap_native_block *block,
		    const char *token, struct ap_error *err)
{
	if (ap_native_block_rows(block) == 0)
		return 0;
	return s->driver->insert(s, table, block, token, err);
}

int ap_store_query(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
		   ap_store_block_fn fn, void *ctx, struct ap_error *err)
{
	static const struct ap_store_limits none;

	return s->driver->query(s, sql, limits ?: &none, fn, ctx, err);
}

static int take_first(void *ctx, const struct ap_native_view *block)
{
	uint64_t *v = ctx;

	if (block->n_columns && block->rows)
		*v = ap_native_uint(&block->columns[0], 0);
	return 0;
}

int ap_store_query_uint(struct ap_store *s, const char *sql, uint64_t *ret, struct ap_error *err)
{
	uint64_t v = 0;
	int r = ap_store_query(s, ap_str_of(sql), NULL, take_first, &v, err);

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

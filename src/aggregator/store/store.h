/* SPDX-License-Identifier: Apache-2.0 */
/* Where profiles are kept: one interface, a driver per place. The SQL, the Native blocks and the
 * schema are the same for all; what a driver's engine lacks is said by its capabilities.
 * Thread-safe: any thread may call, the driver guards its connections. */
#ifndef AP_AGGREGATOR_STORE_STORE_H
#define AP_AGGREGATOR_STORE_STORE_H

#include <stdatomic.h>

#include "aggregator/store/native.h"
#include "base/error.h"

enum ap_store_cap {
	AP_STORE_CAP_CODECS = 1,	  /* CODEC(…) on columns */
	AP_STORE_CAP_LOW_CARDINALITY = 2, /* without the experimental setting */
	AP_STORE_CAP_DEDUPLICATION = 4,	  /* insert_deduplication_token on plain MergeTree */
	AP_STORE_CAP_FSYNC = 8,		  /* fsync_after_insert, fsync_part_directory */
};

struct ap_store_options {
	const char *driver;  /* "embedded" (NULL too); each driver's own fields follow */
	const char *path;    /* embedded: the data folder, made where it does not exist */
	const char *library; /* embedded: libchdb.so; NULL: found, see ap_store_find_library */
	uint64_t max_memory; /* bytes the engine may use; 0 = 1 GiB */
	unsigned int query_channels; /* queries that run at once; 0 = 2 */
};

/* Bounds of one query. */
struct ap_store_limits {
	uint64_t timeout_ns; /* 0 = 30 s */
	uint64_t max_memory; /* bytes; 0 = 512 MiB */
	uint64_t max_rows;   /* of the answer: past that the query ends with -E2BIG; 0 = no bound */
	const atomic_bool *cancel; /* set from another thread: -ECANCELED; may be NULL */
};

/* Takes one block of an answer; a negative value ends the query and is returned by it. */
typedef int (*ap_store_block_fn)(void *ctx, const struct ap_native_view *block);

struct ap_store;

/* What a driver supplies. Functions return 0 or -errno and fill `err` with a message that names
 * the remedy; the errors are those of the functions below. */
struct ap_store_driver {
	const char *name;
	int (*open)(const struct ap_store_options *o, struct ap_store **ret, struct ap_error *err);
	void (*close)(struct ap_store *s);
	int (*exec)(struct ap_store *s, struct ap_str sql, struct ap_error *err);
	int (*insert)(struct ap_store *s, const char *table, const struct ap_native_block *block,
		      const char *token, struct ap_error *err);
	int (*query)(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
		     ap_store_block_fn fn, void *ctx, struct ap_error *err);
};

/* The common head of every driver's own structure. */
struct ap_store {
	const struct ap_store_driver *driver;
	uint32_t caps;	  /* enum ap_store_cap */
	char version[64]; /* the engine's, "26.7.3.1" */
};

extern const struct ap_store_driver ap_store_embedded;

/* Opens the store and brings its tables to this version's schema. -ENOENT (no such driver, the
 * library is missing), -EBUSY (the folder is locked by another process), -EPROTO (the folder was
 * written by a newer version), -EACCES, -EIO. */
int ap_store_open(const struct ap_store_options *o, struct ap_store **ret, struct ap_error *err);
/* Must come before the process ends: an engine left open may hang the exit. NULL is allowed. */
void ap_store_close(struct ap_store *s);
AP_DEFINE_CLEANUP(store, struct ap_store, ap_store_close)

/* A statement without an answer. */
int ap_store_exec(struct ap_store *s, struct ap_error *err, const char *fmt, ...) AP_PRINTF(3, 4);

/* One INSERT of one block, whose rows must lie in one partition: durable when it returns 0. Where
 * the engine deduplicates, a repeated `token` (may be NULL) stores nothing again. A block without
 * rows is not sent. */
int ap_store_insert(struct ap_store *s, const char *table, const struct ap_native_block *block,
		    const char *token, struct ap_error *err);

/* Runs a SELECT and hands its blocks to `fn` in the caller's thread; `limits` may be NULL.
 * -ETIMEDOUT, -ECANCELED, -ENOMEM (over its memory), -E2BIG (max_rows), -EBUSY (all query channels
 * were taken until the timeout), -EINVAL (the engine refuses the statement), -EIO, or what `fn`
 * returned. */
int ap_store_query(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
		   ap_store_block_fn fn, void *ctx, struct ap_error *err);

/* A SELECT of one number: the first value of the first row, 0 where there is no row. */
int ap_store_query_uint(struct ap_store *s, const char *sql, uint64_t *ret, struct ap_error *err);

/* Where libchdb.so is: `given` if not NULL, else beside the running program,
 * ../lib/aperture/libchdb.so, else in deps/chdb of a folder above it (a build tree). A path to free;
 * -ENOENT. */
int ap_store_find_library(const char *given, char **ret, struct ap_error *err);

/* Appends `s` as an SQL string literal, quotes included, for any bytes. */
void ap_sql_quote(struct ap_buf *out, struct ap_str s);

#endif

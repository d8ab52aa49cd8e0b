/* SPDX-License-Identifier: Apache-2.0 */
/* Where profiles are kept: one interface, a driver per place. The SQL, the Native blocks and the
 * schema are the same for all; what a driver's engine lacks is said by its capabilities.
 * Thread-safe: any thread may call, the driver guards its connections. */
#ifndef AP_AGGREGATOR_STORE_STORE_H
#define AP_AGGREGATOR_STORE_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "aggregator/store/native.h"
#include "base/error.h"

enum ap_store_cap {
	AP_STORE_CAP_CODECS = 1,	   /* CODEC(…) on columns */
	AP_STORE_CAP_LOW_CARDINALITY = 2,  /* without the experimental setting */
	AP_STORE_CAP_DEDUPLICATION = 4,	   /* insert_deduplication_token on plain MergeTree */
	AP_STORE_CAP_FSYNC = 8,		   /* fsync_after_insert, fsync_part_directory */
	AP_STORE_CAP_ASYNC = 16,	   /* async_insert */
	AP_STORE_CAP_CANCEL = 32,	   /* notices that a client has gone */
	AP_STORE_CAP_SKIP_INDEX = 64,	   /* INDEX … TYPE minmax */
	AP_STORE_CAP_COMPRESS_BLOCK = 128, /* min_compress_block_size of a table */
	AP_STORE_CAP_STATISTICS =
		256, /* auto_statistics_types of a table, which are some by default */
	/* deduplicate_insert and deduplicate_insert_select, which decide in place of insert_deduplicate */
	AP_STORE_CAP_DEDUPLICATE_INSERT = 512,
	AP_STORE_CAP_DEDUPLICATE_SELECT = 1024,
};

/* A segment's id: who wrote it, and his count. The embedded store has one writer, 0. */
enum { AP_SEGMENT_NUMBER_BITS = 40, AP_SEGMENT_WRITER_MAX = (1 << 23) - 1 };
#define AP_SEGMENT_NUMBER_MASK ((1ull << AP_SEGMENT_NUMBER_BITS) - 1)

struct ap_store_options {
	const char *driver; /* "embedded" (NULL too) or "server" */
	const char *path;   /* the data folder, made where it does not exist */
	bool locked;	    /* the caller has its lock (folder.h); otherwise the store takes it */
	unsigned int query_channels; /* queries that run at once; 0 = 2 */
	/* embedded */
	const char *library; /* libchdb.so; NULL: found, see ap_store_find_library */
	uint64_t max_memory; /* bytes the engine may use; 0 = 1 GiB */
	/* server; files and names may be NULL */
	const char *url;		  /* "http://host:8123", "https://host:8443" */
	const char *user, *password_file; /* NULL: the server's default user, no password */
	const char *database;		  /* NULL: "aperture" */
	const char *cluster;		  /* its name in remote_servers; NULL: this server alone */
	const char *ca_file;		  /* NULL: the system's */
	const char *cert_file, *key_file; /* what the server knows this program by */
};

/* Bounds of one query. */
struct ap_store_limits {
	uint64_t timeout_ns; /* 0 = 30 s */
	uint64_t max_memory; /* bytes; 0 = 512 MiB */
	uint64_t max_rows;   /* of the answer: past that the query ends with -E2BIG; 0 = no bound */
	const atomic_bool *cancel; /* set from another thread: -ECANCELED; may be NULL */
	unsigned int max_threads;  /* of the engine's; 0 = as many as there are CPUs */
	/* Of GROUP BY: where there are more, the answer has more rows than that, and is not whole; 0 = no bound */
	uint64_t max_groups;
};

/* Takes one block of an answer; a negative value ends the query and is returned by it. */
typedef int (*ap_store_block_fn)(void *ctx, const struct ap_native_view *block);

struct ap_store;

/* What a driver supplies. Functions return 0 or -errno and fill `err` with a message that names
 * the remedy; the errors are those of the functions below. */
struct ap_store_driver {
	const char *name;
	bool in_process; /* nobody else stores there */
	bool inserts_end; /* one that has failed is over: what of it is not there does not come later */
	int (*open)(const struct ap_store_options *o, struct ap_store **ret, struct ap_error *err);
	/* Brings the connection about, and version and caps with it; NULL: open() does. Called before
	 * the first statement, and before the first one after -ENOTCONN or -ENOENT. */
	int (*connect)(struct ap_store *s, struct ap_error *err);
	void (*close)(struct ap_store *s);
	int (*exec)(struct ap_store *s, struct ap_str sql, struct ap_error *err);
	int (*insert)(struct ap_store *s, const char *table, const struct ap_native_block *block,
		      const char *token, struct ap_error *err);
	int (*insert_select)(struct ap_store *s, struct ap_str sql, const char *token,
			     struct ap_error *err);
	/* See ap_store_behind(); NULL: nothing can be put off. */
	void (*behind)(struct ap_store *s, bool behind);
	/* -EBUSY while an insert that was given up still runs; NULL: there are none. */
	int (*settled)(struct ap_store *s, struct ap_error *err);
	int (*query)(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
		     ap_store_block_fn fn, void *ctx, struct ap_error *err);
};

/* What is known of others that store into the same (peers.h). */
struct ap_peers {
	/* The writer's: */
	bool entered;
	unsigned int connects; /* of the store's, when it was seen to be written down */
	uint64_t free_at;      /* CLOCK_MONOTONIC: not before */
	pthread_mutex_t lock;  /* guards what follows */
	uint64_t looked;       /* when; 0: never */
	uint64_t present, turn;
};

/* The common head of every driver's own structure. */
struct ap_store {
	const struct ap_store_driver *driver;
	uint32_t caps;	       /* enum ap_store_cap; like version, known once it is ready */
	char version[64];      /* the engine's, "26.7.3.1"; "" before it is known */
	uint64_t segment_base; /* segments of this writer are above it: his id, and the number 0 */
	const char *cluster;   /* the driver's; NULL: its tables are in one place */
	const char *database;  /* the same; NULL: the engine's own */
	pthread_mutex_t opening; /* held while it is made ready */
	atomic_bool ready;	 /* connected, and its tables are there */
	atomic_bool lacking;	 /* a table turned out not to be there */
	atomic_uint connects;	 /* how often it was made ready */
	/* Of what is held (hold.h): whether there is any, and the number of `connects` at which it was there. */
	atomic_bool holding;
	atomic_uint sure_of;
	struct ap_peers peers;
};

/* Whether the store may have lost what it had, which is not made good yet: it was away since that was last known to be
 * there. What it answers then may be too little. */
#define AP_STORE_DOUBT "the store was away, and what it has lost meanwhile is being stored again"
static inline bool ap_store_in_doubt(const struct ap_store *s)
{
	return atomic_load(&s->holding) && atomic_load(&s->sure_of) != atomic_load(&s->connects);
}

extern const struct ap_store_driver ap_store_embedded, ap_store_server;

/* For drivers: fills the head of a structure that is zero. */
void ap_store_init(struct ap_store *s, const struct ap_store_driver *driver);

/* Opens the store and brings its tables to this version's schema. The server's driver does so before
 * the first statement instead, which has these errors then. -ENOENT (no such driver, the library is
 * missing), -EBUSY (the folder is locked by another process), -EPROTO (the store was written by a
 * newer version), -EINVAL (options), -EACCES (files; a server's user and password), -ENOTCONN (the
 * server is not reached: again later), -EIO. */
int ap_store_open(const struct ap_store_options *o, struct ap_store **ret, struct ap_error *err);
/* Must come before the process ends: an engine left open may hang the exit. NULL is allowed. */
void ap_store_close(struct ap_store *s);
AP_DEFINE_CLEANUP(store, struct ap_store, ap_store_close)

/* Statements name tables without their database, which is the connection's. In a cluster such a table is a
 * view of all servers' (schema.h): it can be read and inserted into like any other, and is altered by
 * ap_store_alter(); parts are seen through ap_store_put_parts().
 *
 * All of them may fail with -ENOTCONN (the server is not reached, or the connection broke: again
 * later), -EACCES (it does not let this user do that) and -ENOENT (what the tables are in is gone;
 * it is made anew before the next statement). */

/* A statement without an answer. */
int ap_store_exec(struct ap_store *s, struct ap_error *err, const char *fmt, ...) AP_PRINTF(3, 4);

/* ALTER TABLE `table` …, wherever the table's parts are. -ETIMEDOUT: a server of the cluster is down; it does
 * its part when it is back. */
int ap_store_alter(struct ap_store *s, struct ap_error *err, const char *table, const char *fmt,
		   ...) AP_PRINTF(4, 5);
/* Appends what to SELECT from for the active parts of the store's tables, "(SELECT …)": columns table,
 * partition, rows, bytes_on_disk; in a cluster those of one replica of each shard. */
void ap_store_put_parts(const struct ap_store *s, struct ap_buf *sql);

/* One INSERT of one block, whose rows must lie in one partition: stored when it returns 0, and durable
 * where the engine has AP_STORE_CAP_FSYNC. All or nothing; after an error, ap_store_segment_rows()
 * tells which. Where the engine deduplicates, a repeated `token` (may be NULL) stores nothing again.
 * With AP_STORE_ANEW in its place a block is stored that the store remembers and has lost.
 * A block without rows is not sent. */
#define AP_STORE_ANEW ""
int ap_store_insert(struct ap_store *s, const char *table, const struct ap_native_block *block,
		    const char *token, struct ap_error *err);

/* One INSERT … SELECT whose rows lie in one partition: they are one block, all or nothing. After an
 * error, ap_store_settled() and then a question tell which. `token` as above; a store whose failed inserts are over has
 * no use for it. In a cluster the same rows in the same order are left out when they come again, also where the shard
 * has lost them. */
int ap_store_insert_select(struct ap_store *s, struct ap_str sql, const char *token,
			   struct ap_error *err);
/* Says that more rows wait than the next insert takes, or no longer: meanwhile the engine may put off what is not
 * needed for them. By one thread alone. */
void ap_store_behind(struct ap_store *s, bool behind);
/* -EBUSY while an insert of this writer may still come about that nobody waits for. */
int ap_store_settled(struct ap_store *s, struct ap_error *err);

/* Runs a SELECT and hands its blocks to `fn` in the caller's thread; `limits` may be NULL.
 * -ETIMEDOUT, -ECANCELED, -ENOMEM (over its memory), -E2BIG (max_rows), -EBUSY (all query channels
 * were taken until the timeout), -EINVAL (the engine refuses the statement), -EIO, or what `fn`
 * returned. */
int ap_store_query(struct ap_store *s, struct ap_str sql, const struct ap_store_limits *limits,
		   ap_store_block_fn fn, void *ctx, struct ap_error *err);

/* Whether statements may be expected to work; only a server needs to be asked. */
int ap_store_check(struct ap_store *s, struct ap_error *err);

/* How many rows of a segment a table has; the table has a column `segment`. Asked before an insert is
 * repeated whose outcome is not known: a segment is one block, so none or all are there. -EBUSY while
 * that insert may still come about. */
int ap_store_segment_rows(struct ap_store *s, const char *table, uint64_t segment, uint64_t *ret,
			  struct ap_error *err);

/* A SELECT of one number: the first value of the first row, 0 where there is no row. */
int ap_store_query_uint(struct ap_store *s, const char *sql, uint64_t *ret, struct ap_error *err);

/* Where libchdb.so is: `given` if not NULL, else beside the running program,
 * ../lib/aperture/libchdb.so, else in deps/chdb of a folder above it (a build tree). A path to free;
 * -ENOENT. */
int ap_store_find_library(const char *given, char **ret, struct ap_error *err);

/* Appends `s` as an SQL string literal, quotes included, for any bytes. */
void ap_sql_quote(struct ap_buf *out, struct ap_str s);

#endif

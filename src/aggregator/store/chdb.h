/* SPDX-License-Identifier: Apache-2.0 */
/* The functions of libchdb that the embedded driver calls. The library comes without a header, so
 * they are declared here, by the C interface of chDB 26.7 (github.com/chdb-io/chdb,
 * programs/local/chdb.h), and looked up by name once it is loaded. */
#ifndef AP_AGGREGATOR_STORE_CHDB_H
#define AP_AGGREGATOR_STORE_CHDB_H

#include "base/error.h"

struct chdb_connection;
struct chdb_result;
struct chdb_insert;

/* A handle to a connection is a pointer to this, and *handle is what the other calls take. */
typedef struct chdb_connection *chdb_connection;

/* X(name in the library, return type, parameters) */
#define AP_CHDB_FUNCTIONS(X)                                                                  \
	X(set_signal_handlers_enabled, void, (int))                                           \
	X(connect, chdb_connection *, (int, char **))                                         \
	X(close_conn, void, (chdb_connection *))                                              \
	X(query_n, struct chdb_result *,                                                      \
	  (chdb_connection, const char *, size_t, const char *, size_t))                      \
	X(stream_query_n, struct chdb_result *,                                               \
	  (chdb_connection, const char *, size_t, const char *, size_t))                      \
	X(stream_fetch_result, struct chdb_result *, (chdb_connection, struct chdb_result *)) \
	X(stream_cancel_query, void, (chdb_connection, struct chdb_result *))                 \
	X(destroy_query_result, void, (struct chdb_result *))                                 \
	X(result_buffer, char *, (struct chdb_result *))                                      \
	X(result_length, size_t, (struct chdb_result *))                                      \
	X(result_error, const char *, (struct chdb_result *))                                 \
	X(result_rows_written, uint64_t, (struct chdb_result *))                              \
	X(stream_insert_n, struct chdb_insert *,                                              \
	  (chdb_connection, const char *, size_t, const char *, size_t))                      \
	X(stream_append, int, (struct chdb_insert *, const void *, size_t))                   \
	X(stream_done, struct chdb_result *, (struct chdb_insert *))                          \
	X(stream_insert_error, const char *, (struct chdb_insert *))                          \
	X(destroy_insert_stream, void, (struct chdb_insert *))

struct ap_chdb {
#define AP_CHDB_MEMBER(name, type, params) type(*name) params;
	AP_CHDB_FUNCTIONS(AP_CHDB_MEMBER)
#undef AP_CHDB_MEMBER
};

/* Loads the library, once in a process: it cannot be unloaded. -ENOENT, -ELIBBAD (not libchdb, or
 * too old; the message says which function it lacks). */
int ap_chdb_load(const char *path, const struct ap_chdb **ret, struct ap_error *err);

/* Gives back the pages of the library that are as they are in its file. Most were read once, to load it and to start
 * the engine; those that are needed again are read again. Only after ap_chdb_load(). */
void ap_chdb_give_back(const struct ap_chdb *lib);

#endif

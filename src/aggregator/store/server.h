/* SPDX-License-Identifier: Apache-2.0 */
/* The server driver's own: what its files share. */
#ifndef AP_AGGREGATOR_STORE_SERVER_H
#define AP_AGGREGATOR_STORE_SERVER_H

#include "aggregator/store/pool.h"
#include "aggregator/store/server_http.h"
#include "aggregator/store/store.h"
#include "base/clock.h"

/* For questions about the server itself. */
#define AP_SERVER_ASK_NS (5 * AP_NSEC_PER_SEC)

struct ap_server {
	struct ap_store head;
	struct ap_server_address address;
	char *database, *cluster; /* the latter NULL: one server */
	atomic_uint replicas;	  /* of the cluster's shards, at most */
	int lock_fd;
	uint32_t writer;
	atomic_uint_least64_t next_query;
	char *folder;
	pthread_mutex_t insert_lock; /* held for the whole of an insert; guards what follows … */
	uint64_t session;	     /* the last one's number; even: it is over */
	uint64_t session_used;	     /* CLOCK_MONOTONIC, ns */
	bool session_open;	     /* it is there, and all inserts in it were answered */
	bool ending;		     /* it goes by itself, unless it is asked for */
	struct ap_server_channel *insert;
	struct ap_server_channel *watch; /* … to here: for what is asked about inserts */
	struct ap_pool pool;
	unsigned int n_channels;
};

static inline struct ap_server *ap_server_of(struct ap_store *s)
{
	return ap_container_of(s, struct ap_server, head);
}

/* Settings that every statement of ours has. */
void ap_server_put_dialect(const struct ap_server *v, struct ap_buf *params);

/* A query about the server itself on a channel that the caller has, of one number; 0 where there is no row. */
int ap_server_ask_uint(struct ap_server_channel *c, const char *sql, uint64_t *ret,
		       struct ap_error *err);

/* As in struct ap_store_driver. */
int ap_server_insert(struct ap_store *s, const char *table, const struct ap_native_block *block,
		     const char *token, struct ap_error *err);
int ap_server_insert_select(struct ap_store *s, struct ap_str sql, const char *token,
			    struct ap_error *err);
/* Before the end: the next run need not wait for the session of this one if all its inserts were answered. */
void ap_server_leave_session(struct ap_server *v);
int ap_server_settled(struct ap_store *s, struct ap_error *err);

#endif

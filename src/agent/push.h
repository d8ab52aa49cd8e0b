/* SPDX-License-Identifier: Apache-2.0 */
/* The pusher: a thread that hands encoded batches to the aggregator, in order, one at a time, until
 * each is acknowledged, refused for good, or has to make room.
 *
 * A batch whose outcome is unknown (deadline, lost connection) is sent again as it is; the
 * aggregator knows it by (agent id, epoch, sequence). Waits between tries grow from 0.5 s to 4 s
 * with jitter: an aggregator that is back hears from all within seconds, but not in step.
 *
 * With a spool a batch is on disk before it is sent, and leaves it when it has ended; what an earlier run left
 * is sent first. In memory there are as many as the queue has room for. The spool is bounded, and so is the
 * queue where there is none or its disk fails: a batch that does not fit pushes out the oldest one that is
 * not being sent.
 *
 * Every batch ends in exactly one of PUSH_OUT, PUSH_QUEUE_FULL, PUSH_REFUSED, PUSH_DAMAGED, PUSH_KEPT and
 * PUSH_STOPPED of the ledger, by its periods, and in the entry of the same name of stage "syscall_push", by
 * its calls. The ledger deltas that travelled in a lost batch are not lost with it: see
 * ap_pusher_reclaim(). */
#ifndef AP_AGENT_PUSH_H
#define AP_AGENT_PUSH_H

#include "abi/ledger.h"
#include "agent/spool.h"
#include "base/buf.h"
#include "base/error.h"
#include "wire/batch.h"

struct ap_pusher;

/* As ap_client_config has them; NULL: none. */
struct ap_push_security {
	bool tls;
	const char *ca_file, *cert_file, *key_file, *token_file, *token;
};

struct ap_pusher_config {
	const char *server;			 /* "host:port" */
	const struct ap_push_security *security; /* NULL: plain text, and no token */
	size_t max_queue_bytes;			 /* of memory; 0 = 32 MiB */
	const char *spool_dir;			 /* NULL: no spool */
	uint64_t spool_bytes;			 /* of disk; 0 = 512 MiB */
	uint64_t call_timeout_ns;		 /* a try's deadline; 0 = 10 s */
	uint64_t backoff_min_ns, backoff_max_ns; /* 0 = 0.5 s, 4 s */
	struct ap_ledger *ledger;		 /* borrowed; PUSH_* are counted there */
	/* Called in the pusher's thread with settings that an answer brings; NULL: they are left alone. */
	void (*on_settings)(void *ctx, uint64_t version, const struct ap_settings *s);
	void *ctx;
};

/* Starts the thread; does not connect yet. 0, -ENOMEM, -EAGAIN, -EINVAL, or an error of ap_spool_open(), with
 * `err`. */
int ap_pusher_start(const struct ap_pusher_config *config, struct ap_pusher **ret,
		    struct ap_error *err);

/* Queues a PushRequest. Takes the bytes over (`request` is empty afterwards) on success. `units`
 * (copied) counts what the batch holds, `deltas` (copied) the ledger deltas inside it. With a spool it waits
 * for the disk. 0; -EFBIG: larger than the whole queue (counted as QUEUE_FULL); -EPIPE: stopped; -ENOMEM. */
int ap_pusher_add(struct ap_pusher *p, struct ap_buf *request, const struct ap_push_units *units,
		  const struct ap_ledger *deltas);

/* Adds to `into` the ledger deltas of batches lost since the last call, so that the next batch
 * carries them again (`stacks` excepted: those belong to the lost samples). */
void ap_pusher_reclaim(struct ap_pusher *p, struct ap_ledger *into);

struct ap_pusher_stats {
	uint32_t queued; /* batches not acknowledged */
	size_t queued_bytes;
	size_t memory_bytes;  /* of those, in memory */
	uint64_t spool_bytes; /* of files on disk */
	uint64_t
		spool_damaged; /* batches that could not be read back from there, those of earlier runs too */
	char spool_error[160]; /* why the last batch is in memory alone; "" where it is not */
	uint64_t pushed;       /* batches acknowledged, duplicates too */
	uint64_t duplicates, retries, refused, dropped;
	uint64_t sent_bytes;
	bool connected;		/* the last try reached the aggregator */
	char last_error[256];	/* why the last try has to be repeated; "" where it has not */
	char last_refusal[256]; /* why the last refused batch was; "" where none was */
};
void ap_pusher_get_stats(struct ap_pusher *p, struct ap_pusher_stats *ret);

/* Waits at most `timeout_ns` for the queue to empty, ends the thread, counts what is left as PUSH_KEPT where
 * it is on disk, else as PUSH_STOPPED, and frees. Returns the number of batches lost. */
uint32_t ap_pusher_stop(struct ap_pusher *p, uint64_t timeout_ns);

#endif

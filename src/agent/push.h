/* SPDX-License-Identifier: Apache-2.0 */
/* The pusher: a thread that hands encoded batches to the aggregator, in order, one at a time, until
 * each is acknowledged, refused for good, or has to make room.
 *
 * A batch whose outcome is unknown (deadline, lost connection) is sent again as it is; the
 * aggregator knows it by (agent id, epoch, sequence). Waits between tries grow from 0.5 s to 4 s
 * with jitter: an aggregator that is back hears from all within seconds, but not in step. The queue is bounded by bytes: a batch that
 * does not fit pushes out the oldest one that is not being sent.
 *
 * Every batch ends in exactly one of PUSH_OUT, PUSH_QUEUE_FULL, PUSH_REFUSED and PUSH_STOPPED of the
 * ledger, by its periods, and in the entry of the same name of stage "syscall_push", by its calls. The ledger deltas that travelled in a lost batch are not lost with it: see
 * ap_pusher_reclaim(). */
#ifndef AP_AGENT_PUSH_H
#define AP_AGENT_PUSH_H

#include "abi/ledger.h"
#include "base/buf.h"
#include "base/error.h"

struct ap_pusher;

struct ap_pusher_config {
	const char *server;			 /* "host:port" */
	size_t max_queue_bytes;			 /* 0 = 32 MiB */
	uint64_t call_timeout_ns;		 /* a try's deadline; 0 = 10 s */
	uint64_t backoff_min_ns, backoff_max_ns; /* 0 = 0.5 s, 4 s */
	struct ap_ledger *ledger;		 /* borrowed; PUSH_* are counted there */
};

/* Starts the thread; does not connect yet. 0, -ENOMEM, -EAGAIN, -EINVAL with `err`. */
int ap_pusher_start(const struct ap_pusher_config *config, struct ap_pusher **ret,
		    struct ap_error *err);

/* What a batch holds, in the units of the ledger's stages "push" and "syscall_push". */
struct ap_push_units {
	uint64_t periods, calls;
};

/* Queues a PushRequest. Takes the bytes over (`request` is empty afterwards) on success. `units`
 * (copied) counts what the batch holds, `deltas` (copied) the ledger deltas inside it. 0; -EFBIG: larger
 * than the whole queue (counted as QUEUE_FULL); -EPIPE: stopped; -ENOMEM. */
int ap_pusher_add(struct ap_pusher *p, struct ap_buf *request, const struct ap_push_units *units,
		  const struct ap_ledger *deltas);

/* Adds to `into` the ledger deltas of batches lost since the last call, so that the next batch
 * carries them again (`stacks` excepted: those belong to the lost samples). */
void ap_pusher_reclaim(struct ap_pusher *p, struct ap_ledger *into);

struct ap_pusher_stats {
	uint32_t queued; /* batches not acknowledged */
	size_t queued_bytes;
	uint64_t pushed; /* batches acknowledged, duplicates too */
	uint64_t duplicates, retries, refused, dropped;
	uint64_t sent_bytes;
	bool connected;		/* the last try reached the aggregator */
	char last_error[256];	/* why the last try has to be repeated; "" where it has not */
	char last_refusal[256]; /* why the last refused batch was; "" where none was */
};
void ap_pusher_get_stats(struct ap_pusher *p, struct ap_pusher_stats *ret);

/* Waits at most `timeout_ns` for the queue to empty, ends the thread, counts what is left as
 * PUSH_STOPPED and frees. Returns the number of batches left. */
uint32_t ap_pusher_stop(struct ap_pusher *p, uint64_t timeout_ns);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Push: from the bytes of a request to a batch in the buffer, or to a precise refusal; with the
 * counters that /metrics shows. Thread-safe. */
#ifndef AP_AGGREGATOR_INGEST_INGEST_H
#define AP_AGGREGATOR_INGEST_INGEST_H

#include "aggregator/ingest/agents.h"
#include "aggregator/ingest/buffer.h"
#include "aggregator/ingest/wal.h"

struct ap_ingest_config {
	struct ap_buffer *buffer; /* borrowed, as are the next two */
	struct ap_agents *agents;
	struct ap_wal *wal;		/* NULL: what is not stored is in memory alone */
	struct ap_limits *agent_limits; /* borrowed; NULL: none */
	/* Shown each batch that is new, before it is taken in; one that was not is shown again when it comes again.
	 * NULL: nobody looks. Thread-safe. */
	void (*show)(void *ctx, const struct ap_profile *profile, const struct ap_batch_meta *meta);
	void *show_ctx;
	struct ap_batch_limits limits;
	uint64_t
		retention_ns; /* batches that begin before now - retention are TOO_OLD; 0 = 7 days */
	uint64_t ahead_ns;    /* batches that end after now + ahead are TOO_NEW; 0 = 10 minutes */
};

/* Upper bounds of the histogram of push durations, in seconds; one more bucket is +Inf. */
#define AP_INGEST_BUCKETS 12
extern const double ap_ingest_bucket_seconds[AP_INGEST_BUCKETS];

struct ap_ingest_stats {
	uint64_t push_total[AP_PUSH_STATUS_MAX]; /* by enum ap_push_status */
	uint64_t rows;				 /* accepted: aperture_push_events_total */
	uint64_t bytes;				 /* of requests, as they came */
	uint64_t duration_ns;			 /* sum over all pushes */
	uint64_t buckets[AP_INGEST_BUCKETS + 1]; /* not cumulative */
	struct ap_ledger ledger;		 /* stage "ingest" */
};

struct ap_ingest;

int ap_ingest_new(const struct ap_ingest_config *config, struct ap_ingest **ret); /* 0, -ENOMEM */
void ap_ingest_free(struct ap_ingest *ing);

/* Takes in the bytes of one PushRequest; always fills `*ret`. Status OK: the batch is on disk and in the
 * buffer, and will be stored. Waits for the disk, together with pushes of other threads. */
void ap_ingest_push(struct ap_ingest *ing, struct ap_str request, struct ap_push_result *ret);

void ap_ingest_get_stats(struct ap_ingest *ing, struct ap_ingest_stats *ret);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The records of the write-ahead log. */
#ifndef AP_AGGREGATOR_INGEST_WAL_RECORD_H
#define AP_AGGREGATOR_INGEST_WAL_RECORD_H

#include "base/buf.h"

enum wal_kind {
	WAL_BATCH = 1,	/* a batch; the request as it came follows */
	WAL_AGENTS = 3, /* the highest segment so far, and ap_agents_save() */
};

#define WAL_PARTS_MAX 4096u

struct wal_batch {
	int64_t received_ns; /* Unix */
	uint64_t watermark;  /* when it was announced; of AGENTS: the highest segment */
	uint32_t n_parts;
	uint64_t segments[WAL_PARTS_MAX];
	struct ap_str request;
};

/* Appends what comes before the request. */
void wal_batch_head(const struct wal_batch *b, struct ap_buf *out);
void wal_agents_head(uint64_t last_segment, struct ap_buf *out);

/* Takes a record apart, whatever its bytes are; views point into it. The kind, -EBADMSG, or -EPROTO where a newer
 * version wrote it. `ret_rest` is
 * what follows the head of an AGENTS record. */
int wal_record_read(struct ap_str record, struct wal_batch *ret, struct ap_str *ret_rest);

#endif

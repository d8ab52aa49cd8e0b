/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/wal_record.h"

/* The numbers of a record are those of the machine that wrote it, which is the one that reads it. */
struct record_head {
	uint8_t kind, version;
	uint16_t n_parts;
	uint32_t pad;
};

struct batch_head {
	struct record_head head;
	int64_t received_ns;
	uint64_t watermark;
};

struct agents_head {
	struct record_head head;
	uint64_t last_segment;
};

enum { RECORD_VERSION = 1 };

void wal_batch_head(const struct wal_batch *b, struct ap_buf *out)
{
	const struct batch_head h = {
		.head = {.kind = WAL_BATCH,
			 .version = RECORD_VERSION,
			 .n_parts = (uint16_t)b->n_parts},
		.received_ns = b->received_ns,
		.watermark = b->watermark,
	};

	ap_buf_append(out, &h, sizeof(h));
	ap_buf_append(out, b->segments, b->n_parts * sizeof(b->segments[0]));
}

void wal_agents_head(uint64_t last_segment, struct ap_buf *out)
{
	const struct agents_head h = {
		.head = {.kind = WAL_AGENTS, .version = RECORD_VERSION},
		.last_segment = last_segment,
	};

	ap_buf_append(out, &h, sizeof(h));
}

static int read_batch(struct ap_str record, struct wal_batch *ret)
{
	struct batch_head h;
	size_t segments;

	if (record.n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, record.p, sizeof(h));
	segments = h.head.n_parts * sizeof(ret->segments[0]);
	if (h.head.n_parts == 0 || h.head.n_parts > WAL_PARTS_MAX ||
	    record.n - sizeof(h) < segments)
		return -EBADMSG;
	ret->received_ns = h.received_ns;
	ret->watermark = h.watermark;
	ret->n_parts = h.head.n_parts;
	memcpy(ret->segments, record.p + sizeof(h), segments);
	ret->request =
		(struct ap_str){record.p + sizeof(h) + segments, record.n - sizeof(h) - segments};
	return WAL_BATCH;
}

static int read_agents(struct ap_str record, struct wal_batch *ret, struct ap_str *ret_rest)
{
	struct agents_head h;

	if (record.n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, record.p, sizeof(h));
	ret->watermark = h.last_segment;
	*ret_rest = (struct ap_str){record.p + sizeof(h), record.n - sizeof(h)};
	return WAL_AGENTS;
}

int wal_record_read(struct ap_str record, struct wal_batch *ret, struct ap_str *ret_rest)
{
	struct record_head h;

	if (record.n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, record.p, sizeof(h));
	if (h.version != RECORD_VERSION)
		return h.version > RECORD_VERSION ? -EPROTO : -EBADMSG;
	if (h.kind == WAL_BATCH)
		return read_batch(record, ret);
	return h.kind == WAL_AGENTS ? read_agents(record, ret, ret_rest) : -EBADMSG;
}

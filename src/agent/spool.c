/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/spool.h"

#include "base/vec.h"

#define MAX_BYTES_DEFAULT (512ull << 20)
#define FILES		  32 /* that the bound is made of: so much of it goes at once */
#define FILE_BYTES_MAX	  (16ull << 20)

enum { SPOOL_VERSION = 1 };

/* What a record begins with; n_deltas pairs follow, then the request. */
struct record_head {
	uint32_t version, n_deltas;
	uint64_t periods, calls;
};

struct delta {
	uint64_t id, count;
};

struct ap_spool {
	struct ap_journal *journal;
};

/* Takes a record apart: 0 and what is before the request, -EBADMSG, or -EPROTO where a newer version wrote it.
 * `deltas` may be NULL. */
static int read_record(struct ap_str record, struct ap_spooled *ret, struct ap_ledger *deltas,
		       struct ap_str *ret_request)
{
	struct record_head h;
	size_t at = sizeof(h);

	if (record.n < sizeof(h))
		return -EBADMSG;
	memcpy(&h, record.p, sizeof(h));
	if (h.version > SPOOL_VERSION)
		return -EPROTO;
	if (h.version != SPOOL_VERSION || h.n_deltas > AP_LEDGER_MAX ||
	    record.n - at < h.n_deltas * sizeof(struct delta))
		return -EBADMSG;
	for (uint32_t i = 0; i < h.n_deltas; i++, at += sizeof(struct delta)) {
		struct delta d;

		memcpy(&d, record.p + at, sizeof(d));
		if (d.id >= AP_LEDGER_MAX)
			return -EBADMSG;
		if (deltas)
			deltas->count[d.id] += d.count;
	}
	*ret_request = (struct ap_str){record.p + at, record.n - at};
	*ret = (struct ap_spooled){.units = {h.periods, h.calls}, .bytes = ret_request->n};
	return 0;
}

struct opening {
	int (*fn)(void *ctx, const struct ap_spooled *batch);
	void *ctx;
};

static int on_record(void *ctx, const struct ap_journal_at *at, struct ap_str payload)
{
	struct opening *o = ctx;
	struct ap_spooled batch;
	struct ap_str request;
	int r = read_record(payload, &batch, NULL, &request);

	if (r < 0)
		return r == -EPROTO ? r : AP_JOURNAL_DAMAGED; /* nobody can send it */
	batch.at = *at;
	r = o->fn(o->ctx, &batch);
	return r < 0 ? r : 1;
}

int ap_spool_open(const char *dir, uint64_t max_bytes,
		  int (*fn)(void *ctx, const struct ap_spooled *batch), void *ctx,
		  struct ap_spool **ret, struct ap_error *err)
{
	_cleanup_(ap_cleanup_spool) struct ap_spool *s = calloc(1, sizeof(*s));
	struct ap_journal_options o = {.dir = dir,
				       .max_bytes = max_bytes ? max_bytes : MAX_BYTES_DEFAULT,
				       /* A batch that comes twice is known by its sequence. */
				       .any_order = true};
	struct opening opening = {fn, ctx};
	int r;

	if (!s)
		return ap_error_set(err, -ENOMEM, "out of memory");
	o.file_bytes = AP_MIN(o.max_bytes / FILES, FILE_BYTES_MAX);
	r = ap_journal_open(&o, on_record, &opening, &s->journal, err);
	if (r == 0)
		*ret = AP_TAKE_PTR(s);
	return r;
}

void ap_spool_close(struct ap_spool *s)
{
	if (!s)
		return;
	ap_journal_close(s->journal);
	free(s);
}

int ap_spool_add(struct ap_spool *s, struct ap_str request, const struct ap_ledger *deltas,
		 struct ap_spooled *batch)
{
	struct record_head h = {.version = SPOOL_VERSION,
				.periods = batch->units.periods,
				.calls = batch->units.calls};
	_cleanup_buf_ struct ap_buf head = {0};
	struct ap_journal_stats stats;
	int r;

	for (uint32_t i = 0; i < AP_LEDGER_MAX; i++)
		h.n_deltas += deltas->count[i] != 0;
	ap_buf_append(&head, &h, sizeof(h));
	for (uint64_t i = 0; i < AP_LEDGER_MAX; i++) {
		const struct delta d = {i, deltas->count[i]};

		if (d.count)
			ap_buf_append(&head, &d, sizeof(d));
	}
	if (ap_buf_error(&head) < 0)
		return -ENOMEM;
	batch->bytes = request.n;
	r = ap_journal_append(s->journal, ap_buf_view(&head), request, &batch->at);
	if (r != -ENOSPC)
		return r;
	/* Whether it was the bound or the disk. */
	ap_journal_get_stats(s->journal, &stats);
	return stats.bytes + head.n + request.n + 64 > stats.max_bytes ? -E2BIG : -ENOSPC;
}

int ap_spool_read(struct ap_spool *s, const struct ap_journal_at *at, struct ap_buf *ret,
		  struct ap_ledger *deltas)
{
	_cleanup_buf_ struct ap_buf record = {0};
	struct ap_spooled batch;
	struct ap_str request;
	int r = ap_journal_read(s->journal, at, &record);

	if (r == 0)
		r = read_record(ap_buf_view(&record), &batch, deltas, &request);
	if (r < 0 || !ret)
		return r;
	ap_buf_str(ret, request);
	return ap_buf_error(ret);
}

void ap_spool_set_aside(struct ap_spool *s, const struct ap_journal_at *at)
{
	ap_journal_set_aside(s->journal, at);
}

void ap_spool_done(struct ap_spool *s, const struct ap_journal_at *at)
{
	ap_journal_release(s->journal, at);
	ap_journal_trim(s->journal, ap_journal_trimmable(s->journal, NULL));
}

void ap_spool_get_stats(struct ap_spool *s, struct ap_journal_stats *ret)
{
	ap_journal_get_stats(s->journal, ret);
}

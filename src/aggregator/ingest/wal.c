/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/wal.h"
#include "base/clock.h"

#include <pthread.h>

#include "aggregator/ingest/part.h"
#include "aggregator/ingest/wal_record.h"

#define MAX_BYTES_DEFAULT (1ull << 30)
#define FILE_BYTES_DEFAULT \
	(16ull << 20) /* a restart reads what is in the last one, stored or not */

#define ROOM (1u << 20) /* with less than that left it counts as full */

/* The last file does not go, be all of it stored: were it the only one, a full log would stay full. */
enum { FILES_MIN = 4 };

enum {
	READ_TRIES = 10
}; /* of a disk that fails: with the writer's pauses more than half a minute */

struct ap_wal {
	struct ap_wal_options options;
	char *dir;
	struct ap_journal *journal;
	pthread_mutex_t lock;	     /* one trim at a time */
	struct ap_journal_at agents; /* the record that tells of them, number 0 = none */
	uint64_t last_segment;	     /* atomic: the highest that a record was written for */
	struct ap_wal_stats stats;   /* of the replay */
};

int ap_wal_new(const struct ap_wal_options *o, struct ap_wal **ret)
{
	struct ap_wal *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->options = *o;
	w->dir = strdup(o->dir);
	if (!w->dir) {
		free(w);
		return -ENOMEM;
	}
	pthread_mutex_init(&w->lock, NULL);
	*ret = w;
	return 0;
}

void ap_wal_free(struct ap_wal *w)
{
	if (!w)
		return;
	ap_journal_close(w->journal);
	pthread_mutex_destroy(&w->lock);
	free(w->dir);
	free(w);
}

void ap_wal_release(void *wal, const struct ap_journal_at *at)
{
	struct ap_wal *w = wal;

	ap_journal_release(w->journal, at);
}

static void note_segment(struct ap_wal *w, uint64_t segment)
{
	uint64_t last = __atomic_load_n(&w->last_segment, __ATOMIC_RELAXED);

	while (last < segment &&
	       !__atomic_compare_exchange_n(&w->last_segment, &last, segment, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

uint64_t ap_wal_last_segment(struct ap_wal *w)
{
	return __atomic_load_n(&w->last_segment, __ATOMIC_RELAXED);
}

/* What a replay goes through. */
struct replay {
	struct ap_wal *w;
	struct ap_buffer *buffer;
	struct wal_batch batch;
	uint64_t stored;			 /* the highest watermark that a record tells of */
	AP_VEC(struct ap_journal_at) superseded; /* AGENTS records but the last */
};

/* 1: the store may lack it; 0: it has it. */
static int replay_batch(struct replay *r, const struct ap_journal_at *at)
{
	const struct wal_batch *b = &r->batch;
	const struct ap_restore from = {.at = *at,
					.segments = b->segments,
					.n_parts = b->n_parts,
					.watermark = b->watermark};
	struct ap_push_result why;
	struct ap_profile *p = NULL;
	struct ap_batch_meta meta;
	size_t rows;
	int k;

	k = ap_batch_decode(b->request, &r->w->options.limits, &p, &meta, NULL, &why);
	if (k == 0 && r->w->options.labels)
		k = ap_limits_apply(r->w->options.labels, p, meta.agent_id, b->received_ns, false);
	if (k < 0) {
		ap_profile_free(p);
		return k;
	}
	rows = p->samples.n;
	k = ap_agents_remember(r->w->options.agents, &meta, b->received_ns);
	if (k == -EEXIST || k == -ENOMEM) {
		ap_profile_free(p);
		/* Or written twice: its first append had failed, and reached the disk all the same. */
		return k == -EEXIST ? 0 : k;
	}
	r->stored = AP_MAX(r->stored, b->watermark);
	k = ap_buffer_restore(r->buffer, &p, &meta, &from);
	ap_profile_free(p);
	if (k > 0) {
		r->w->stats.replayed++;
		r->w->stats.replayed_rows += rows;
	}
	return k;
}

static int replay(void *ctx, const struct ap_journal_at *at, struct ap_str payload)
{
	struct replay *r = ctx;
	struct ap_str rest;
	int k = wal_record_read(payload, &r->batch, &rest);

	if (k == WAL_BATCH) {
		for (uint32_t i = 0; i < r->batch.n_parts; i++)
			note_segment(r->w, r->batch.segments[i]);
		k = replay_batch(r, at);
	} else if (k == WAL_AGENTS) {
		note_segment(r->w, r->batch.watermark);
		k = ap_agents_load(r->w->options.agents, rest);
		if (k == 0 && r->w->agents.number)
			k = ap_vec_push(&r->superseded, r->w->agents);
		if (k == 0)
			r->w->agents = *at;
		k = k ?: 1;
	}
	if (k == -ENOMEM || k == -EPROTO)
		return k;
	return k < 0 ? AP_JOURNAL_DAMAGED : k != 0;
}

int ap_wal_open(struct ap_wal *w, struct ap_buffer *buffer, uint64_t *ret_stored,
		struct ap_error *err)
{
	uint64_t max = w->options.max_bytes ? w->options.max_bytes : MAX_BYTES_DEFAULT;
	const struct ap_journal_options o = {
		.dir = w->dir,
		.file_bytes = w->options.file_bytes ? w->options.file_bytes
						    : AP_MIN(FILE_BYTES_DEFAULT, max / FILES_MIN),
		.max_bytes = max,
		.reserve = true,
	};
	struct replay *r = calloc(1, sizeof(*r));
	int k;

	if (!r)
		return ap_error_set(err, -ENOMEM, "out of memory");
	r->w = w;
	r->buffer = buffer;
	k = ap_journal_open(&o, replay, r, &w->journal, err);
	if (k == 0)
		AP_VEC_FOREACH(&r->superseded, at)
			ap_journal_release(w->journal, at);
	*ret_stored = r->stored;
	ap_vec_free(&r->superseded);
	free(r);
	return k;
}

int ap_wal_append(struct ap_wal *w, struct ap_str request, const struct ap_batch_list *parts,
		  uint64_t watermark, int64_t received_ns, struct ap_journal_at *ret)
{
	_cleanup_buf_ struct ap_buf head = {0};
	_cleanup_free_ struct wal_batch *b = NULL;

	if (parts->n > WAL_PARTS_MAX)
		return -EFBIG;
	b = malloc(sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->received_ns = received_ns;
	b->watermark = watermark;
	b->n_parts = (uint32_t)parts->n;
	for (size_t i = 0; i < parts->n; i++)
		b->segments[i] = parts->p[i]->segment;
	for (size_t i = 0; i < parts->n; i++)
		note_segment(w, parts->p[i]->segment);
	wal_batch_head(b, &head);
	if (ap_buf_error(&head) < 0)
		return -ENOMEM;
	return ap_journal_append(w->journal, ap_buf_view(&head), request, ret);
}

/* Reads the record of the part and decodes it; errors as those of reading and decoding. */
static int load(struct ap_wal *w, const struct ap_batch *part, struct ap_batch *ret)
{
	_cleanup_free_ struct wal_batch *b = malloc(sizeof(*b));
	_cleanup_free_ struct ap_batch_meta *meta = malloc(sizeof(*meta));
	_cleanup_buf_ struct ap_buf record = {0};
	struct ap_profile *p = NULL;
	struct ap_push_result why;
	struct ap_str rest;
	int r;

	if (!b || !meta)
		return -ENOMEM;
	r = ap_journal_read(w->journal, &part->data->at, &record);
	if (r == 0 && wal_record_read(ap_buf_view(&record), b, &rest) != WAL_BATCH)
		r = -EBADMSG;
	if (r == 0)
		r = ap_batch_decode(b->request, &w->options.limits, &p, meta, NULL, &why);
	if (r == 0 && w->options.labels)
		r = ap_limits_apply(w->options.labels, p, meta->agent_id, ap_clock_unix_ns(), true);
	if (r == 0)
		r = ap_part_sort(p);
	if (r == 0 && (!ap_range_ok(part->first_row, part->n_rows, p->samples.n) ||
		       !ap_range_ok(part->first_call, part->n_calls, p->syscalls.n)))
		r = -EBADMSG;
	if (r < 0) {
		ap_profile_free(p);
		return r;
	}
	*ret = *part;
	ret->profile = p;
	ret->meta = AP_TAKE_PTR(meta);
	return 0;
}

int ap_wal_load(struct ap_wal *w, const struct ap_batch *part, struct ap_batch *ret)
{
	struct ap_batch_data *d = part->data;
	int r;

	if (d->damaged)
		return -EBADMSG;
	r = load(w, part, ret);
	if (r == 0 || r == -ENOMEM)
		return r;
	if (r == -EIO && ++d->read_failures < READ_TRIES)
		return r;
	d->damaged = true;
	ap_journal_set_aside(w->journal, &d->at);
	return -EBADMSG;
}

void ap_wal_unload(struct ap_batch *copy)
{
	ap_profile_free((struct ap_profile *)copy->profile);
	free((void *)copy->meta);
}

/* Writes down which batches were accepted, and how far segments were numbered: the batches' own records
 * may go after it. */
static int save_agents(struct ap_wal *w)
{
	_cleanup_buf_ struct ap_buf record = {0};
	struct ap_journal_at at;
	int r;

	wal_agents_head(ap_wal_last_segment(w), &record);
	r = ap_agents_save(w->options.agents, AP_JOURNAL_RECORD_MAX / 2, &record);
	if (r == 0)
		r = ap_journal_append_urgent(w->journal, ap_buf_view(&record), AP_STR(""), &at);
	if (r < 0)
		return r;
	if (w->agents.number)
		ap_journal_release(w->journal, &w->agents);
	w->agents = at;
	return 0;
}

int ap_wal_trim(struct ap_wal *w)
{
	uint32_t n;
	int r = 0;

	pthread_mutex_lock(&w->lock);
	/* The record that tells of agents is written anew, behind what goes; where a writer keeps up, all before it has
	 * gone, and it would be all that is left of the first file. */
	n = ap_journal_trimmable(w->journal, &w->agents);
	if (n)
		r = save_agents(w);
	if (n && r == 0)
		ap_journal_trim(w->journal, n);
	pthread_mutex_unlock(&w->lock);
	return r;
}

void ap_wal_get_stats(struct ap_wal *w, struct ap_wal_stats *ret)
{
	*ret = w->stats;
	ap_journal_get_stats(w->journal, &ret->journal);
}

bool ap_wal_is_full(const struct ap_wal_stats *s)
{
	return s->journal.max_bytes && s->journal.bytes + ROOM > s->journal.max_bytes;
}

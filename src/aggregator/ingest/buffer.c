/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/buffer.h"

#include <pthread.h>
#include <time.h>

#include "aggregator/ingest/part.h"
#include "aggregator/ingest/segments.h"
#include "base/clock.h"

enum { DEFAULT_CAPACITY = 256 << 20, KEEP_SHARE = 8 };

/* A record whose batch is stored, when the watermark came to be this. */
struct passed {
	struct ap_journal_at at;
	uint64_t watermark;
};

struct ap_buffer {
	struct ap_buffer_config config;
	pthread_mutex_t lock;
	pthread_cond_t more;		 /* rows came, or the buffer was closed */
	AP_VEC(struct ap_batch *) parts; /* in order of arrival */
	size_t announced;		 /* parts that will come or not */
	size_t bytes;			 /* of all parts */
	size_t pending_bytes;		 /* of those not stored */
	size_t pending_rows, hidden_rows, restored_rows;
	size_t uncut_rows; /* of segments that wait to be cut */
	struct segments segments;
	uint64_t settled; /* with hold: segments up to it are so, and what waits for others: */
	AP_VEC(struct passed) passed;
	bool closed;
};

int ap_buffer_new(const struct ap_buffer_config *config, struct ap_buffer **ret)
{
	struct ap_buffer *buf = calloc(1, sizeof(*buf));
	pthread_condattr_t attr;

	if (!buf)
		return -ENOMEM;
	buf->config = *config;
	if (!buf->config.capacity_bytes)
		buf->config.capacity_bytes = DEFAULT_CAPACITY;
	if (!buf->config.keep_bytes)
		buf->config.keep_bytes = buf->config.capacity_bytes / KEEP_SHARE;
	if (!buf->config.segment_rows)
		buf->config.segment_rows = AP_SEGMENT_ROWS;
	buf->segments.watermark = config->last_segment;
	pthread_mutex_init(&buf->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&buf->more, &attr);
	pthread_condattr_destroy(&attr);
	*ret = buf;
	return 0;
}

void ap_buffer_free(struct ap_buffer *buf)
{
	if (!buf)
		return;
	AP_VEC_FOREACH(&buf->parts, b)
		ap_batch_unref(*b);
	ap_vec_free(&buf->parts);
	ap_vec_free(&buf->passed);
	segments_free(&buf->segments);
	pthread_cond_destroy(&buf->more);
	pthread_mutex_destroy(&buf->lock);
	free(buf);
}

static bool is_stored(const struct ap_buffer *buf, const struct ap_batch *b)
{
	return b->segment <= buf->segments.watermark;
}

/* Drops the oldest stored parts until all parts together take at most `limit` bytes. */
static void evict(struct ap_buffer *buf, size_t limit)
{
	size_t kept = 0;

	for (size_t i = 0; i < buf->parts.n; i++) {
		struct ap_batch *b = buf->parts.p[i];

		if (buf->bytes > limit && is_stored(buf, b)) {
			buf->bytes -= b->bytes;
			ap_batch_unref(b);
		} else {
			buf->parts.p[kept++] = b;
		}
	}
	buf->parts.n = kept;
}

/* Whether the parts may come. With the lock held. */
static int announce(struct ap_buffer *buf, const struct ap_batch_list *list)
{
	size_t bytes = 0;

	for (size_t i = 0; i < list->n; i++)
		bytes += list->p[i]->bytes;
	if (buf->closed)
		return -EPIPE;
	if (!buf->config.release && bytes > buf->config.capacity_bytes)
		return -EFBIG;
	if (!buf->config.release && bytes > buf->config.capacity_bytes - buf->pending_bytes)
		return -EAGAIN;
	if (ap_vec_reserve(&buf->parts, buf->announced + list->n) < 0 ||
	    segments_reserve(&buf->segments, list->n) < 0)
		return -ENOMEM;
	buf->announced += list->n;
	for (size_t i = 0; i < list->n; i++)
		list->p[i]->segment = segments_join(&buf->segments, list->p[i]->day,
						    list->p[i]->n_rows, buf->config.segment_rows);
	return 0;
}

int ap_buffer_announce(struct ap_buffer *buf, struct ap_profile **profile,
		       const struct ap_batch_meta *meta, struct ap_batch_list *ret)
{
	int r = ap_part_split(*profile, meta, ret);

	if (r < 0)
		return r;
	pthread_mutex_lock(&buf->lock);
	r = announce(buf, ret);
	pthread_mutex_unlock(&buf->lock);
	if (r == 0)
		*profile = NULL;
	else
		ap_part_join(ret); /* stays the caller's */
	return r;
}

/* The parts are in, in memory as far as there is room. With the lock held. */
static void take_in(struct ap_buffer *buf, struct ap_batch_list *list)
{
	size_t bytes = 0;

	for (size_t i = 0; i < list->n; i++)
		bytes += list->p[i]->bytes;
	if (list->p[0]->data->at.number && bytes + buf->pending_bytes > buf->config.capacity_bytes)
		ap_part_spill(list);
	else
		evict(buf, buf->config.capacity_bytes - bytes);
	for (size_t i = 0; i < list->n; i++) {
		struct ap_batch *b = list->p[i];

		buf->parts.p[buf->parts.n++] = b;
		buf->bytes += b->bytes;
		buf->pending_bytes += b->bytes;
		buf->pending_rows += b->n_rows;
		buf->hidden_rows += b->profile ? 0 : b->n_rows;
	}
	ap_vec_free(list); /* the buffer has the references */
}

/* The parts' segments know of the outcome. With the lock held. */
static void settle(struct ap_buffer *buf, const struct ap_batch_list *list, bool in)
{
	buf->announced -= list->n;
	for (size_t i = 0; i < list->n; i++) {
		struct segment *g = segments_get(&buf->segments, list->p[i]->segment);

		g->unsettled--;
		g->parts += in;
		if (in) {
			segment_covers(g, list->p[i]->first_ns, list->p[i]->last_ns);
			buf->uncut_rows += list->p[i]->n_rows;
		} else {
			g->rows -= list->p[i]->n_rows;
		}
	}
}

void ap_buffer_commit(struct ap_buffer *buf, struct ap_batch_list *list,
		      const struct ap_journal_at *at)
{
	pthread_mutex_lock(&buf->lock);
	if (at)
		list->p[0]->data->at = *at;
	settle(buf, list, true);
	take_in(buf, list);
	pthread_cond_broadcast(&buf->more);
	pthread_mutex_unlock(&buf->lock);
}

struct ap_profile *ap_buffer_withdraw(struct ap_buffer *buf, struct ap_batch_list *list)
{
	pthread_mutex_lock(&buf->lock);
	settle(buf, list, false);
	pthread_mutex_unlock(&buf->lock);
	return ap_part_join(list);
}

int ap_buffer_add(struct ap_buffer *buf, struct ap_profile **profile,
		  const struct ap_batch_meta *meta)
{
	struct ap_batch_list list = {0};
	int r = ap_buffer_announce(buf, profile, meta, &list);

	if (r == 0)
		ap_buffer_commit(buf, &list, NULL);
	return r;
}

uint64_t ap_buffer_watermark(struct ap_buffer *buf)
{
	uint64_t watermark;

	pthread_mutex_lock(&buf->lock);
	watermark = buf->segments.watermark;
	pthread_mutex_unlock(&buf->lock);
	return watermark;
}

/* With the lock held. */
static int restore(struct ap_buffer *buf, struct ap_batch_list *list, const struct ap_restore *from)
{
	uint64_t last = 0;
	size_t kept = 0;

	if (list->n != from->n_parts)
		return -EBADMSG;
	if (!buf->parts.n && !buf->segments.list.n)
		buf->segments.watermark = AP_MAX(buf->segments.watermark, from->watermark);
	for (size_t i = 0; i < list->n; i++) {
		if (from->segments[i] > buf->segments.watermark + AP_SEGMENTS_MAX)
			return -EBADMSG;
		last = AP_MAX(last, from->segments[i]);
	}
	if (segments_extend(&buf->segments, last) < 0 || ap_vec_reserve(&buf->parts, list->n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < list->n; i++) {
		struct ap_batch *b = list->p[i];
		struct segment *g = segments_get(&buf->segments, from->segments[i]);

		if (!g) { /* stored before the watermark that the first record tells of */
			b->data->unstored--;
			ap_batch_unref(b);
			continue;
		}
		b->segment = from->segments[i];
		g->parts++;
		g->rows += b->n_rows;
		g->unsure = true;
		g->day = b->day;
		buf->uncut_rows += b->n_rows;
		list->p[kept++] = b;
	}
	list->n = kept;
	return (int)AP_MIN(kept, 1u);
}

int ap_buffer_restore(struct ap_buffer *buf, struct ap_profile **profile,
		      const struct ap_batch_meta *meta, const struct ap_restore *from)
{
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	int r = ap_part_split(*profile, meta, &list);

	if (r < 0)
		return r;
	*profile = NULL;
	list.p[0]->data->at = from->at;
	pthread_mutex_lock(&buf->lock);
	r = restore(buf, &list, from);
	if (r > 0)
		take_in(buf, &list);
	pthread_mutex_unlock(&buf->lock);
	return r;
}

size_t ap_buffer_wait(struct ap_buffer *buf, size_t min_rows, uint64_t deadline_mono_ns)
{
	struct timespec t = {.tv_sec = (time_t)(deadline_mono_ns / AP_NSEC_PER_SEC),
			     .tv_nsec = (long)(deadline_mono_ns % AP_NSEC_PER_SEC)};
	size_t rows;

	pthread_mutex_lock(&buf->lock);
	while (buf->uncut_rows < min_rows && !buf->closed)
		if (pthread_cond_timedwait(&buf->more, &buf->lock, &t) == ETIMEDOUT)
			break;
	rows = buf->uncut_rows;
	pthread_mutex_unlock(&buf->lock);
	return rows;
}

/* Appends a reference to each part of `segment`. */
static int list_segment(struct ap_buffer *buf, uint64_t segment, struct ap_batch_list *ret)
{
	AP_VEC_FOREACH(&buf->parts, b) {
		if ((*b)->segment != segment)
			continue;
		if (ap_vec_push(ret, *b) < 0)
			return -ENOMEM;
		ap_batch_ref(*b);
	}
	return 0;
}

static int cut(struct ap_buffer *buf, struct ap_cut *ret, struct ap_batch_list *ret_list)
{
	uint64_t number = segments_cut(&buf->segments);
	struct segment *g = segments_get(&buf->segments, number);

	if (!g)
		return -ENOENT;
	if (list_segment(buf, number, ret_list) < 0) {
		g->state = SEGMENT_RETRY; /* the next cut finds it */
		return -ENOMEM;
	}
	*ret = (struct ap_cut){.segment = number, .unsure = g->unsure, .again = g->was_cut};
	if (!g->was_cut)
		buf->uncut_rows -= g->rows;
	g->was_cut = true;
	return 0;
}

/* Threads commit in another order than they were written down. */
static int by_record(const void *a, const void *b)
{
	const struct ap_batch *x = *(struct ap_batch *const *)a, *y = *(struct ap_batch *const *)b;
	uint64_t record_x = x->data->at.number, record_y = y->data->at.number;

	if (record_x != record_y)
		return record_x < record_y ? -1 : 1;
	return x->part < y->part ? -1 : x->part > y->part;
}

int ap_buffer_cut(struct ap_buffer *buf, struct ap_cut *ret, struct ap_batch_list *ret_list)
{
	struct ap_batch_list list = {0};
	int r;

	pthread_mutex_lock(&buf->lock);
	r = cut(buf, ret, &list);
	pthread_mutex_unlock(&buf->lock);
	if (r == 0 && ap_vec_reserve(ret_list, list.n) < 0) {
		ap_buffer_retry(buf, ret->segment, ret->unsure);
		r = -ENOMEM;
	}
	if (r == 0) {
		if (buf->config.release)
			qsort(list.p, list.n, sizeof(*list.p), by_record);
		for (size_t i = 0; i < list.n; i++)
			ret_list->p[ret_list->n++] = list.p[i];
		ap_vec_free(&list);
	}
	ap_batch_list_free(&list);
	return r;
}

/* The segment, if it is out; NULL where it is not. */
static struct segment *segment_out(struct ap_buffer *buf, uint64_t number)
{
	struct segment *g = segments_get(&buf->segments, number);

	return g && g->state == SEGMENT_OUT ? g : NULL;
}

/* One part more of its batch is in the store, and no one before it is missing there. */
static void pass(struct ap_buffer *buf, struct ap_batch *b)
{
	struct ap_batch_data *d = b->data;

	buf->pending_rows -= b->n_rows;
	buf->pending_bytes -= b->bytes;
	buf->hidden_rows -= b->profile ? 0 : b->n_rows;
	if (--d->unstored > 0 || !d->at.number || !buf->config.release)
		return;
	if (!buf->config.hold)
		buf->config.release(buf->config.ctx, &d->at);
	/* Without memory its file stays until the next start. */
	else if (ap_vec_reserve(&buf->passed, 1) == 0)
		buf->passed.p[buf->passed.n++] = (struct passed){d->at, buf->segments.watermark};
}

/* Moves the watermark over the segments that are stored without a gap. */
static void advance(struct ap_buffer *buf)
{
	uint64_t before = buf->segments.watermark;

	if (!segments_advance(&buf->segments))
		return;
	AP_VEC_FOREACH(&buf->parts, b)
		if ((*b)->segment > before && is_stored(buf, *b))
			pass(buf, *b);
	evict(buf, buf->pending_bytes + buf->config.keep_bytes);
}

int ap_buffer_stored(struct ap_buffer *buf, uint64_t segment)
{
	struct segment *g;

	pthread_mutex_lock(&buf->lock);
	g = segment_out(buf, segment);
	if (g) {
		g->state = SEGMENT_STORED;
		advance(buf);
	}
	pthread_mutex_unlock(&buf->lock);
	return g ? 0 : -ENOENT;
}

bool ap_buffer_stored_times(struct ap_buffer *buf, uint64_t after, uint64_t upto,
			    int64_t *ret_min_ns, int64_t *ret_max_ns)
{
	bool known;

	pthread_mutex_lock(&buf->lock);
	known = segments_times(&buf->segments, after, upto, ret_min_ns, ret_max_ns);
	pthread_mutex_unlock(&buf->lock);
	return known;
}

void ap_buffer_settle(struct ap_buffer *buf, uint64_t segment)
{
	size_t n = 0;

	pthread_mutex_lock(&buf->lock);
	buf->settled = AP_MAX(buf->settled, AP_MIN(segment, buf->segments.watermark));
	while (n < buf->passed.n && buf->passed.p[n].watermark <= buf->settled)
		buf->config.release(buf->config.ctx, &buf->passed.p[n++].at);
	if (n) {
		buf->passed.n -= n;
		memmove(buf->passed.p, buf->passed.p + n, buf->passed.n * sizeof(*buf->passed.p));
	}
	pthread_mutex_unlock(&buf->lock);
}

uint64_t ap_buffer_settled(struct ap_buffer *buf)
{
	uint64_t n;

	pthread_mutex_lock(&buf->lock);
	n = buf->config.hold ? buf->settled : buf->segments.watermark;
	pthread_mutex_unlock(&buf->lock);
	return n;
}

int ap_buffer_retry(struct ap_buffer *buf, uint64_t segment, bool unsure)
{
	struct segment *g;

	pthread_mutex_lock(&buf->lock);
	g = segment_out(buf, segment);
	if (g) {
		g->state = SEGMENT_RETRY;
		g->unsure |= unsure;
	}
	pthread_mutex_unlock(&buf->lock);
	return g ? 0 : -ENOENT;
}

int ap_buffer_restored(struct ap_buffer *buf, uint64_t stored, uint64_t last)
{
	int r;

	pthread_mutex_lock(&buf->lock);
	last = AP_MAX(last, stored);
	r = buf->segments.list.n ? segments_extend(&buf->segments, last) : 0;
	if (r == 0 && !buf->segments.list.n)
		buf->segments.watermark = AP_MAX(buf->segments.watermark, last);
	for (uint64_t n = buf->segments.watermark + 1; r == 0 && n <= stored; n++) {
		struct segment *g = segments_get(&buf->segments, n);

		g->state = SEGMENT_STORED;
		buf->uncut_rows -= g->rows; /* it never will be */
	}
	advance(buf);
	buf->settled = buf->segments.watermark;
	buf->restored_rows = buf->pending_rows;
	pthread_mutex_unlock(&buf->lock);
	return r;
}

/* Lists the parts, without the stored ones if `beyond`. */
static int list_parts(struct ap_buffer *buf, bool beyond, uint64_t *ret_watermark,
		      struct ap_batch_list *ret, struct ap_batch_list *ret_hidden)
{
	int r;

	pthread_mutex_lock(&buf->lock);
	r = ap_vec_reserve(ret, buf->parts.n);
	if (r == 0 && ret_hidden)
		r = ap_vec_reserve(ret_hidden, buf->parts.n);
	if (r == 0) {
		AP_VEC_FOREACH(&buf->parts, b) {
			bool stored = is_stored(buf, *b);

			if ((*b)->profile && (!beyond || !stored))
				ret->p[ret->n++] = ap_batch_ref(*b);
			else if (ret_hidden && !(*b)->profile && !stored)
				ret_hidden->p[ret_hidden->n++] = ap_batch_ref(*b);
		}
		if (ret_watermark)
			*ret_watermark = buf->segments.watermark;
	}
	pthread_mutex_unlock(&buf->lock);
	return r;
}

int ap_buffer_snapshot(struct ap_buffer *buf, uint64_t *ret_watermark,
		       struct ap_batch_list *ret_list, struct ap_batch_list *ret_hidden)
{
	return list_parts(buf, true, ret_watermark, ret_list, ret_hidden);
}

int ap_buffer_recent(struct ap_buffer *buf, uint64_t *ret_watermark, struct ap_batch_list *ret_list,
		     struct ap_batch_list *ret_hidden)
{
	return list_parts(buf, false, ret_watermark, ret_list, ret_hidden);
}

void ap_buffer_get_stats(struct ap_buffer *buf, struct ap_buffer_stats *ret)
{
	pthread_mutex_lock(&buf->lock);
	*ret = (struct ap_buffer_stats){
		.batches = buf->parts.n,
		.bytes = buf->bytes,
		.pending_rows = buf->pending_rows,
		.hidden_rows = buf->hidden_rows,
		.restored_rows = buf->restored_rows,
		.pending_bytes = buf->pending_bytes,
		.capacity_bytes = buf->config.capacity_bytes,
		.watermark = buf->segments.watermark,
	};
	AP_VEC_FOREACH(&buf->parts, b) {
		if (!is_stored(buf, *b)) {
			ret->oldest_pending_ns = (*b)->received_ns;
			break;
		}
	}
	pthread_mutex_unlock(&buf->lock);
}

void ap_buffer_close(struct ap_buffer *buf)
{
	pthread_mutex_lock(&buf->lock);
	buf->closed = true;
	pthread_cond_broadcast(&buf->more);
	pthread_mutex_unlock(&buf->lock);
}

bool ap_buffer_closed(struct ap_buffer *buf)
{
	bool closed;

	pthread_mutex_lock(&buf->lock);
	closed = buf->closed;
	pthread_mutex_unlock(&buf->lock);
	return closed;
}

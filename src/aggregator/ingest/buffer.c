/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/ingest/buffer.h"

#include <pthread.h>
#include <time.h>

#include "base/clock.h"

enum { DEFAULT_CAPACITY = 256 << 20, KEEP_SHARE = 8 };

#define NSEC_PER_DAY (86400ll * 1000000000ll)

/* What the parts of one batch share. */
struct ap_batch_data {
	uint32_t refs; /* atomic: one for each part that lives */
	struct ap_profile *profile;
	struct ap_batch_meta meta;
};

enum segment_state { SEGMENT_OUT, SEGMENT_RETRY, SEGMENT_STORED };

struct ap_buffer {
	pthread_mutex_t lock;
	pthread_cond_t more; /* rows came, or the buffer was closed */
	size_t capacity, keep;
	AP_VEC(struct ap_batch *) parts; /* in order of arrival */
	size_t bytes;			 /* of all parts */
	size_t pending_bytes;		 /* of those not stored */
	size_t pending_rows;
	size_t uncut_rows, uncut_parts; /* in no segment */
	/* States of the segments watermark + 1, watermark + 2, … */
	AP_VEC(enum segment_state) segments;
	uint64_t watermark;
	bool closed;
};

struct ap_batch *ap_batch_ref(struct ap_batch *b)
{
	__atomic_fetch_add(&b->refs, 1, __ATOMIC_RELAXED);
	return b;
}

static void data_unref(struct ap_batch_data *d)
{
	if (__atomic_fetch_sub(&d->refs, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	ap_profile_free(d->profile);
	free(d);
}

void ap_batch_unref(struct ap_batch *b)
{
	if (!b || __atomic_fetch_sub(&b->refs, 1, __ATOMIC_ACQ_REL) > 1)
		return;
	data_unref(b->data);
	free(b);
}

void ap_batch_list_free(struct ap_batch_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		ap_batch_unref(l->p[i]);
	ap_vec_free(l);
}

int ap_buffer_new(const struct ap_buffer_config *config, struct ap_buffer **ret)
{
	struct ap_buffer *buf = calloc(1, sizeof(*buf));
	pthread_condattr_t attr;

	if (!buf)
		return -ENOMEM;
	buf->capacity = config->capacity_bytes ? config->capacity_bytes : DEFAULT_CAPACITY;
	buf->keep = config->keep_bytes ? config->keep_bytes : buf->capacity / KEEP_SHARE;
	buf->watermark = config->last_segment;
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
	ap_vec_free(&buf->segments);
	pthread_cond_destroy(&buf->more);
	pthread_mutex_destroy(&buf->lock);
	free(buf);
}

static int32_t day_of(int64_t time_ns)
{
	return (int32_t)(time_ns / NSEC_PER_DAY);
}

/* Reorders the rows so that days ascend, keeping the order within each. */
static int sort_by_day(struct ap_profile *p)
{
	__typeof__(p->samples) sorted = {0};
	int32_t day = INT32_MIN, next;

	if (ap_vec_reserve(&sorted, p->samples.n) < 0)
		return -ENOMEM;
	/* One pass a day: a batch spans a midnight or two. */
	while (sorted.n < p->samples.n) {
		next = INT32_MAX;
		AP_VEC_FOREACH(&p->samples, s)
			if (day_of(s->time_ns) > day)
				next = AP_MIN(next, day_of(s->time_ns));
		day = next;
		AP_VEC_FOREACH(&p->samples, s)
			if (day_of(s->time_ns) == day)
				sorted.p[sorted.n++] = *s;
	}
	ap_vec_free(&p->samples);
	p->samples.p = sorted.p;
	p->samples.n = sorted.n;
	p->samples.cap = sorted.cap;
	return 0;
}

/* Where the run of rows of one day that begins at `first` ends; AP_PART_ROWS at most. */
static size_t day_run(const struct ap_profile *p, size_t first)
{
	size_t end = AP_MIN(p->samples.n, first + AP_PART_ROWS);
	int64_t begin_ns = day_of(p->samples.p[first].time_ns) * NSEC_PER_DAY;
	size_t i = first;

	while (i < end && p->samples.p[i].time_ns >= begin_ns &&
	       p->samples.p[i].time_ns < begin_ns + NSEC_PER_DAY)
		i++;
	return i;
}

static bool days_ascend(const struct ap_profile *p)
{
	for (size_t at = 0, next; at < p->samples.n; at = next) {
		next = day_run(p, at);
		if (next < p->samples.n &&
		    day_of(p->samples.p[next].time_ns) < day_of(p->samples.p[at].time_ns))
			return false;
	}
	return true;
}

/* A part of the rows from `first` on: of one day, AP_PART_ROWS at most. */
static struct ap_batch *part_new(struct ap_batch_data *d, size_t first, size_t total_bytes)
{
	const struct ap_profile *p = d->profile;
	struct ap_batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->refs = 1;
	b->data = d;
	b->profile = p;
	b->meta = &d->meta;
	b->first_row = first;
	b->min_time_ns = p->samples.n ? p->samples.p[first].time_ns : d->meta.start_ns;
	b->max_time_ns = p->samples.n ? b->min_time_ns : d->meta.end_ns - 1;
	b->day = day_of(b->min_time_ns);
	b->n_rows = p->samples.n ? day_run(p, first) - first : 0;
	for (size_t i = first; i < first + b->n_rows; i++) {
		b->min_time_ns = AP_MIN(b->min_time_ns, p->samples.p[i].time_ns);
		b->max_time_ns = AP_MAX(b->max_time_ns, p->samples.p[i].time_ns);
	}
	b->bytes = p->samples.n ? (size_t)((__uint128_t)total_bytes * b->n_rows / p->samples.n)
				: total_bytes;
	b->bytes += sizeof(*b);
	__atomic_fetch_add(&d->refs, 1, __ATOMIC_RELAXED);
	return b;
}

/* All parts of a batch; the list is empty again on failure. */
static int split(struct ap_batch_data *d, struct ap_batch_list *ret)
{
	size_t total = ap_profile_bytes(d->profile) + sizeof(*d), first = 0;
	int64_t now = ap_clock_unix_ns();

	do {
		struct ap_batch *b = part_new(d, first, total);

		if (!b || ap_vec_push(ret, b) < 0) {
			ap_batch_unref(b);
			ap_batch_list_free(ret);
			return -ENOMEM;
		}
		b->part = (uint32_t)ret->n - 1;
		b->received_ns = now;
		first += b->n_rows;
	} while (first < d->profile->samples.n);
	return 0;
}

static bool is_stored(const struct ap_buffer *buf, const struct ap_batch *b)
{
	return b->segment && b->segment <= buf->watermark;
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

/* Puts the parts in, if there is room. With the lock held. */
static int admit(struct ap_buffer *buf, const struct ap_batch_list *list)
{
	size_t bytes = 0;

	for (size_t i = 0; i < list->n; i++)
		bytes += list->p[i]->bytes;
	if (buf->closed)
		return -EPIPE;
	if (bytes > buf->capacity)
		return -EFBIG;
	if (bytes > buf->capacity - buf->pending_bytes)
		return -EAGAIN;
	if (ap_vec_reserve(&buf->parts, list->n) < 0)
		return -ENOMEM;
	evict(buf, buf->capacity - bytes);
	for (size_t i = 0; i < list->n; i++) {
		buf->parts.p[buf->parts.n++] = list->p[i];
		buf->pending_rows += list->p[i]->n_rows;
		buf->uncut_rows += list->p[i]->n_rows;
	}
	buf->uncut_parts += list->n;
	buf->bytes += bytes;
	buf->pending_bytes += bytes;
	pthread_cond_broadcast(&buf->more);
	return 0;
}

int ap_buffer_add(struct ap_buffer *buf, struct ap_profile **profile,
		  const struct ap_batch_meta *meta)
{
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	struct ap_batch_data *d;
	int r = 0;

	if (!days_ascend(*profile))
		r = sort_by_day(*profile);
	if (r < 0)
		return r;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->refs = 1;
	d->meta = *meta;
	d->profile = *profile;
	r = split(d, &list);
	if (r == 0) {
		pthread_mutex_lock(&buf->lock);
		r = admit(buf, &list);
		pthread_mutex_unlock(&buf->lock);
	}
	if (r == 0) {
		*profile = NULL;
		ap_vec_free(&list); /* the buffer has the references */
	} else {
		ap_batch_list_free(&list);
		d->profile = NULL; /* stays the caller's */
	}
	data_unref(d);
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

/* Puts the oldest uncut parts of one day into a new segment. */
static void cut_new(struct ap_buffer *buf, size_t max_rows, uint64_t segment)
{
	const struct ap_batch *first = NULL;
	size_t rows = 0;

	AP_VEC_FOREACH(&buf->parts, at) {
		struct ap_batch *b = *at;

		if (b->segment)
			continue;
		if (first && b->day != first->day)
			continue;
		if (first && rows + b->n_rows > max_rows)
			break;
		first = first ? first : b;
		rows += b->n_rows;
		__atomic_store_n(&b->segment, segment, __ATOMIC_RELEASE);
		buf->uncut_rows -= b->n_rows;
		buf->uncut_parts--;
	}
}

static int cut(struct ap_buffer *buf, size_t max_rows, uint64_t *ret_segment,
	       struct ap_batch_list *ret_list)
{
	uint64_t segment;

	for (size_t i = 0; i < buf->segments.n; i++) {
		if (buf->segments.p[i] != SEGMENT_RETRY)
			continue;
		segment = buf->watermark + 1 + i;
		if (list_segment(buf, segment, ret_list) < 0)
			return -ENOMEM;
		buf->segments.p[i] = SEGMENT_OUT;
		*ret_segment = segment;
		return 0;
	}
	if (buf->uncut_parts == 0)
		return -ENOENT;
	if (ap_vec_push(&buf->segments, SEGMENT_OUT) < 0)
		return -ENOMEM;
	segment = buf->watermark + buf->segments.n;
	cut_new(buf, max_rows ? max_rows : AP_PART_ROWS, segment);
	if (list_segment(buf, segment, ret_list) < 0) {
		/* The segment exists now: the next cut finds it. */
		buf->segments.p[buf->segments.n - 1] = SEGMENT_RETRY;
		return -ENOMEM;
	}
	*ret_segment = segment;
	return 0;
}

int ap_buffer_cut(struct ap_buffer *buf, size_t max_rows, uint64_t *ret_segment,
		  struct ap_batch_list *ret_list)
{
	struct ap_batch_list list = {0};
	int r;

	pthread_mutex_lock(&buf->lock);
	r = cut(buf, max_rows, ret_segment, &list);
	pthread_mutex_unlock(&buf->lock);
	if (r == 0 && ap_vec_reserve(ret_list, list.n) < 0) {
		ap_buffer_retry(buf, *ret_segment);
		r = -ENOMEM;
	}
	if (r == 0) {
		for (size_t i = 0; i < list.n; i++)
			ret_list->p[ret_list->n++] = list.p[i];
		ap_vec_free(&list);
	}
	ap_batch_list_free(&list);
	return r;
}

/* The state of a segment that is out; NULL where it is not. */
static enum segment_state *segment_out(struct ap_buffer *buf, uint64_t segment)
{
	enum segment_state *s;

	if (segment <= buf->watermark || segment - buf->watermark > buf->segments.n)
		return NULL;
	s = &buf->segments.p[segment - buf->watermark - 1];
	return *s == SEGMENT_OUT ? s : NULL;
}

/* Moves the watermark over the segments that are stored without a gap. */
static void advance(struct ap_buffer *buf)
{
	uint64_t before = buf->watermark;
	size_t n = 0;

	while (n < buf->segments.n && buf->segments.p[n] == SEGMENT_STORED)
		n++;
	if (n == 0)
		return;
	buf->segments.n -= n;
	memmove(buf->segments.p, buf->segments.p + n, buf->segments.n * sizeof(*buf->segments.p));
	buf->watermark += n;
	AP_VEC_FOREACH(&buf->parts, b) {
		if ((*b)->segment > before && (*b)->segment <= buf->watermark) {
			buf->pending_rows -= (*b)->n_rows;
			buf->pending_bytes -= (*b)->bytes;
		}
	}
	evict(buf, buf->pending_bytes + buf->keep);
}

int ap_buffer_stored(struct ap_buffer *buf, uint64_t segment)
{
	enum segment_state *s;

	pthread_mutex_lock(&buf->lock);
	s = segment_out(buf, segment);
	if (s) {
		*s = SEGMENT_STORED;
		advance(buf);
	}
	pthread_mutex_unlock(&buf->lock);
	return s ? 0 : -ENOENT;
}

int ap_buffer_retry(struct ap_buffer *buf, uint64_t segment)
{
	enum segment_state *s;

	pthread_mutex_lock(&buf->lock);
	s = segment_out(buf, segment);
	if (s)
		*s = SEGMENT_RETRY;
	pthread_mutex_unlock(&buf->lock);
	return s ? 0 : -ENOENT;
}

/* Lists the parts, without the stored ones if `beyond`. */
static int list_parts(struct ap_buffer *buf, bool beyond, uint64_t *ret_watermark,
		      struct ap_batch_list *ret)
{
	int r;

	pthread_mutex_lock(&buf->lock);
	r = ap_vec_reserve(ret, buf->parts.n);
	if (r == 0) {
		AP_VEC_FOREACH(&buf->parts, b)
			if (!beyond || !is_stored(buf, *b))
				ret->p[ret->n++] = ap_batch_ref(*b);
		if (ret_watermark)
			*ret_watermark = buf->watermark;
	}
	pthread_mutex_unlock(&buf->lock);
	return r;
}

int ap_buffer_snapshot(struct ap_buffer *buf, uint64_t *ret_watermark,
		       struct ap_batch_list *ret_list)
{
	return list_parts(buf, true, ret_watermark, ret_list);
}

int ap_buffer_recent(struct ap_buffer *buf, uint64_t *ret_watermark, struct ap_batch_list *ret_list)
{
	return list_parts(buf, false, ret_watermark, ret_list);
}

void ap_buffer_get_stats(struct ap_buffer *buf, struct ap_buffer_stats *ret)
{
	pthread_mutex_lock(&buf->lock);
	*ret = (struct ap_buffer_stats){
		.batches = buf->parts.n,
		.bytes = buf->bytes,
		.pending_rows = buf->pending_rows,
		.pending_bytes = buf->pending_bytes,
		.capacity_bytes = buf->capacity,
		.watermark = buf->watermark,
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

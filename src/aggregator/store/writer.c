/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/store/writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "aggregator/store/rows.h"
#include "aggregator/store/schema.h"
#include "base/clock.h"

#define INTERVAL_DEFAULT (2 * AP_NSEC_PER_SEC)
#define SLICE		 (100 * AP_NSEC_PER_MSEC) /* how long a wish to stop or flush may wait */
#define BACKOFF_MIN	 (100 * AP_NSEC_PER_MSEC)
#define BACKOFF_MAX	 (10 * AP_NSEC_PER_SEC)

struct ap_writer {
	struct ap_store *store;
	struct ap_buffer *buffer;
	uint64_t interval;
	uint32_t max_rows;
	pthread_t thread;
	struct ap_rows rows;	/* the thread's own, as are the next two */
	uint64_t first_attempt; /* the highest segment that was cut before */
	uint64_t backoff;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	bool stopping;
	uint64_t asked, done; /* flushes */
	struct ap_writer_stats stats;
};

int ap_store_last_segment(struct ap_store *s, uint64_t *ret, struct ap_error *err)
{
	static const char *const queries[] = {
		"SELECT max(segment) FROM aperture.samples",
		"SELECT max(segment) FROM aperture.syscalls",
		"SELECT max(segment) FROM aperture.ledger",
	};
	uint64_t last = 0, segment;
	int r = 0;

	for (size_t i = 0; i < AP_ARRAY_SIZE(queries) && r == 0; i++) {
		r = ap_store_query_uint(s, queries[i], &segment, err);
		if (r == 0)
			last = AP_MAX(last, segment);
	}
	if (r == 0)
		*ret = last;
	return r;
}

static int insert_all(struct ap_writer *w, struct ap_error *err)
{
	const struct {
		const struct ap_schema_table *table;
		const struct ap_native_block *block;
	} inserts[] = {
		{&ap_schema_frames, w->rows.frames},   {&ap_schema_stacks, w->rows.stacks},
		{&ap_schema_samples, w->rows.samples}, {&ap_schema_syscalls, w->rows.syscalls},
		{&ap_schema_ledger, w->rows.ledger},
	};
	int r = 0;

	for (size_t i = 0; i < AP_ARRAY_SIZE(inserts) && r == 0; i++)
		r = ap_store_insert(w->store, inserts[i].table->name, inserts[i].block, NULL, err);
	return r;
}

static int store_batches(struct ap_writer *w, uint64_t segment, const struct ap_batch_list *list,
			 struct ap_error *err)
{
	int r = 0;

	ap_rows_clear(&w->rows);
	for (size_t i = 0; i < list->n && r == 0; i++)
		r = ap_rows_add(&w->rows, list->p[i], segment);
	if (r < 0)
		ap_error_set(err, r, "a batch cannot be turned into rows: %s", ap_strerror(r));
	if (segment > w->first_attempt) {
		w->first_attempt = segment;
		pthread_mutex_lock(&w->lock);
		w->stats.periods_in += w->rows.periods;
		pthread_mutex_unlock(&w->lock);
	}
	if (r == 0)
		r = insert_all(w, err);
	if (r < 0 && list->n)
		ap_rows_forget(&w->rows, list->p[0]->day);
	return r;
}

static void count_flush(struct ap_writer *w, int r, uint64_t segment, uint64_t took,
			const struct ap_error *err)
{
	struct ap_writer_stats *s = &w->stats;

	pthread_mutex_lock(&w->lock);
	if (r == 0) {
		s->flushes_ok++;
		s->rows += ap_native_block_rows(w->rows.samples);
		s->stacks += ap_native_block_rows(w->rows.stacks);
		s->frames += ap_native_block_rows(w->rows.frames);
		s->periods_stored += w->rows.periods;
		s->flush_ns += took;
		s->last_flush_ns = took;
		s->segment = segment;
		s->last_error[0] = '\0';
	} else {
		s->flushes_failed++;
		snprintf(s->last_error, sizeof(s->last_error), "%s", err->msg);
	}
	pthread_mutex_unlock(&w->lock);
}

/* The next segment: its rows, -ENOENT where there is none, or why it failed. */
static int flush_segment(struct ap_writer *w, size_t *ret_rows)
{
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	uint64_t start = ap_clock_mono_ns(), segment;
	struct ap_error err = {0};
	int r;

	r = ap_buffer_cut(w->buffer, w->max_rows, &segment, &list);
	if (r < 0)
		return r;
	r = store_batches(w, segment, &list, &err);
	if (r == 0)
		ap_buffer_stored(w->buffer, segment);
	else
		ap_buffer_retry(w->buffer, segment);
	count_flush(w, r, segment, ap_clock_mono_ns() - start, &err);
	*ret_rows = ap_native_block_rows(w->rows.samples);
	return r;
}

/* Stores segments: all there are, or while they are large enough to be worth an insert each. */
static int flush(struct ap_writer *w, bool all)
{
	size_t rows;
	int r;

	do
		r = flush_segment(w, &rows);
	while (r == 0 && (all || rows >= w->max_rows / 2));
	return r == -ENOENT ? 0 : r;
}

static void wait_slice(struct ap_writer *w, uint64_t until)
{
	struct timespec ts = {(time_t)(until / AP_NSEC_PER_SEC), (long)(until % AP_NSEC_PER_SEC)};

	pthread_mutex_lock(&w->lock);
	if (!w->stopping && (w->backoff || w->asked == w->done))
		pthread_cond_timedwait(&w->changed, &w->lock, &ts);
	pthread_mutex_unlock(&w->lock);
}

/* Waits for the next flush, in slices: the buffer wakes us for rows, not for wishes. Returns the
 * number of flushes asked for, and whether to stop. */
static uint64_t wait_for_work(struct ap_writer *w, uint64_t pause, bool *ret_stop)
{
	uint64_t until = ap_clock_mono_ns() + pause, asked;

	for (;;) {
		uint64_t now = ap_clock_mono_ns(), slice = AP_MIN(until, now + SLICE);
		bool due;

		pthread_mutex_lock(&w->lock);
		asked = w->asked;
		*ret_stop = w->stopping;
		due = w->stopping || (w->asked != w->done && w->backoff == 0);
		pthread_mutex_unlock(&w->lock);
		if (due || now >= until)
			return asked;
		if (w->backoff || ap_buffer_closed(w->buffer))
			wait_slice(w, slice);
		else if (ap_buffer_wait(w->buffer, w->max_rows, slice) >= w->max_rows)
			return asked;
	}
}

static void *run(void *arg)
{
	struct ap_writer *w = arg;
	bool stop = false;

	while (!stop) {
		uint64_t asked = wait_for_work(w, w->backoff ?: w->interval, &stop);
		int r;

		r = flush(w, stop || asked != w->done);
		if (r < 0)
			w->backoff = AP_MIN(AP_MAX(w->backoff * 2, BACKOFF_MIN), BACKOFF_MAX);
		else
			w->backoff = 0;
		pthread_mutex_lock(&w->lock);
		if (r == 0)
			w->done = asked;
		pthread_cond_broadcast(&w->changed);
		pthread_mutex_unlock(&w->lock);
	}
	return NULL;
}

static int start_thread(struct ap_writer *w)
{
	sigset_t all, old;
	int r;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		pthread_setname_np(w->thread, "store-writer");
	return -r;
}

static void writer_free(struct ap_writer *w)
{
	ap_rows_free(&w->rows);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	free(w);
}

int ap_writer_start(const struct ap_writer_options *o, struct ap_writer **ret)
{
	struct ap_writer *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;
	int r;

	if (!w)
		return -ENOMEM;
	w->store = o->store;
	w->buffer = o->buffer;
	w->interval = o->flush_interval_ns ?: INTERVAL_DEFAULT;
	w->max_rows = o->max_block_rows ?: AP_PART_ROWS;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	r = ap_rows_init(&w->rows);
	if (r == 0)
		r = start_thread(w);
	if (r < 0) {
		writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

int ap_writer_flush(struct ap_writer *w, uint64_t deadline)
{
	struct timespec until = {(time_t)(deadline / AP_NSEC_PER_SEC),
				 (long)(deadline % AP_NSEC_PER_SEC)};
	uint64_t mine;
	int r = 0;

	pthread_mutex_lock(&w->lock);
	mine = ++w->asked;
	pthread_cond_broadcast(&w->changed);
	while (w->done < mine && r == 0)
		r = pthread_cond_timedwait(&w->changed, &w->lock, &until);
	r = w->done >= mine ? 0 : -ETIMEDOUT;
	pthread_mutex_unlock(&w->lock);
	return r;
}

void ap_writer_stop(struct ap_writer *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	writer_free(w);
}

void ap_writer_get_stats(struct ap_writer *w, struct ap_writer_stats *ret)
{
	pthread_mutex_lock(&w->lock);
	*ret = w->stats;
	pthread_mutex_unlock(&w->lock);
}

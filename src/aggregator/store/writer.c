/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>

#include "aggregator/store/writer_internal.h"
#include "base/clock.h"

#define INTERVAL_DEFAULT (2 * AP_NSEC_PER_SEC)
#define SLICE		 (100 * AP_NSEC_PER_MSEC) /* how long a wish to stop or flush may wait */
#define BACKOFF_MIN	 (100 * AP_NSEC_PER_MSEC)
#define BACKOFF_MAX	 (10 * AP_NSEC_PER_SEC)

int ap_store_last_segment(struct ap_store *s, uint64_t *ret, struct ap_error *err)
{
	uint64_t last = s->segment_base, segment;
	char sql[160];
	int r = 0;

	for (size_t i = 0; i < AP_HOLD_TABLES && r == 0; i++) {
		snprintf(sql, sizeof(sql),
			 "SELECT max(segment) FROM %s WHERE segment >= %llu AND segment <= %llu",
			 ap_hold_tables[i], (unsigned long long)s->segment_base,
			 (unsigned long long)(s->segment_base | AP_SEGMENT_NUMBER_MASK));
		r = ap_store_query_uint(s, sql, &segment, err);
		if (r == 0)
			last = AP_MAX(last, segment);
	}
	if (r == 0)
		*ret = last;
	return r;
}

static void count_flush(struct ap_writer *w, const struct ap_rows *rows, int r, uint64_t segment,
			uint64_t took, const struct ap_error *err)
{
	struct ap_writer_stats *s = &w->stats;

	pthread_mutex_lock(&w->lock);
	if (r == 0) {
		s->flushes_ok++;
		s->rows += ap_native_block_rows(rows->samples);
		s->stacks += ap_native_block_rows(rows->stacks);
		s->frames += ap_native_block_rows(rows->frames);
		s->periods_stored += rows->periods;
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

/* Whether rows wait that are worth so many inserts. */
static bool waits(struct ap_writer *w, unsigned int inserts)
{
	return ap_buffer_wait(w->buffer, 0, 0) >= (size_t)w->max_rows * inserts;
}

/* The next segment. -ENOENT where there is none, or why it failed. `ret_more`: the one after it is to follow at once,
 * since this one was large, or enough waits for another. */
static int flush_segment(struct ap_writer *w, struct ap_rows *rows, bool *ret_more)
{
	_cleanup_batch_list_ struct ap_batch_list list = {0};
	uint64_t start = ap_clock_mono_ns();
	struct ap_error err = {0};
	struct ap_cut cut;
	int r;

	pthread_mutex_lock(&w->making);
	r = ap_buffer_cut(w->buffer, &cut, &list);
	if (r < 0) {
		pthread_mutex_unlock(&w->making);
		return r;
	}
	r = ap_writer_store_segment(w, rows, &cut, &list, &err);
	if (r == 0)
		r = ap_writer_hold(w, rows, cut.segment, &list, &err);
	if (r == 0)
		ap_buffer_stored(w->buffer, cut.segment);
	else
		ap_buffer_retry(w->buffer, cut.segment, true);
	count_flush(w, rows, r, cut.segment, ap_clock_mono_ns() - start, &err);
	*ret_more = ap_native_block_rows(rows->samples) >= w->max_rows / 2 || waits(w, 1);
	return r;
}

/* Segments, while enough waits and the writer's thread stores others. */
static void *help(void *arg)
{
	struct ap_writer *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->helper_ends) {
		bool more;
		int r;

		if (!w->helping) {
			pthread_cond_wait(&w->changed, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		do
			r = flush_segment(w, &w->helper_rows, &more);
		while (r == 0 && more);
		pthread_mutex_lock(&w->lock);
		w->helped = r == -ENOENT ? 0 : r;
		w->helping = false;
		pthread_cond_broadcast(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

/* Where more than one segment waits, unless the help failed: what failed is for the writer's thread to repeat. */
static void ask_for_help(struct ap_writer *w)
{
	if (!waits(w, 2))
		return;
	pthread_mutex_lock(&w->lock);
	if (!w->helping && w->helped == 0) {
		w->helping = true;
		pthread_cond_broadcast(&w->changed);
	}
	pthread_mutex_unlock(&w->lock);
}

/* Until the helper has no segment any more: how that ended. */
static int await_helper(struct ap_writer *w)
{
	int r;

	pthread_mutex_lock(&w->lock);
	while (w->helping)
		pthread_cond_wait(&w->changed, &w->lock);
	r = w->helped;
	w->helped = 0;
	pthread_mutex_unlock(&w->lock);
	return r;
}

/* Beside the storing: whether it could be done with nothing to store, and what is held. */
static int check_store(struct ap_writer *w, bool idle)
{
	struct ap_error err = {0};
	int r = idle ? ap_store_check(w->store, &err) : 0;

	if (r == 0 && w->hold_ns) {
		r = ap_writer_check_held(w, &err);
		ap_writer_settle(w);
	}
	pthread_mutex_lock(&w->lock);
	snprintf(w->stats.last_error, sizeof(w->stats.last_error), "%s", err.msg);
	pthread_mutex_unlock(&w->lock);
	return idle ? 0 : r;
}

/* Stores segments: the next and, while enough waits, those after it; or all there are. */
static int flush(struct ap_writer *w, bool all)
{
	int r, helped;
	bool more;

	do {
		ap_store_behind(w->store, waits(w, 2));
		ask_for_help(w);
		r = flush_segment(w, &w->rows, &more);
		if (r == 0)
			ap_writer_settle(w);
	} while (r == 0 && (all || more));
	ap_store_behind(w->store, false);
	helped = await_helper(w);
	ap_writer_settle(w);
	if (helped < 0 && (r == 0 || r == -ENOENT))
		return helped;
	if (r == -ENOENT)
		return all ? 0 : check_store(w, true);
	return r < 0 ? r : check_store(w, false);
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

static int start_thread(pthread_t *ret, const char *name, void *(*fn)(void *), struct ap_writer *w)
{
	sigset_t all, old;
	int r;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(ret, NULL, fn, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		pthread_setname_np(*ret, name);
	return -r;
}

static void stop_helper(struct ap_writer *w)
{
	if (!w->has_helper)
		return;
	pthread_mutex_lock(&w->lock);
	w->helper_ends = true;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->helper, NULL);
	w->has_helper = false;
}

static int start_threads(struct ap_writer *w)
{
	int r = start_thread(&w->helper, "store-helper", help, w);

	w->has_helper = r == 0;
	return r == 0 ? start_thread(&w->thread, "store-writer", run, w) : r;
}

static void writer_free(struct ap_writer *w)
{
	stop_helper(w);
	ap_rows_free(&w->rows);
	ap_rows_free(&w->helper_rows);
	ap_known_free(w->known);
	ap_hold_free(&w->hold);
	pthread_mutex_destroy(&w->making);
	pthread_mutex_destroy(&w->naming);
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
	w->connects = atomic_load(&o->store->connects);
	atomic_store(&o->store->sure_of, w->connects);
	w->buffer = o->buffer;
	w->wal = o->wal;
	w->hold_ns = o->wal ? o->hold_ns : 0;
	w->interval = o->flush_interval_ns ?: INTERVAL_DEFAULT;
	w->max_rows = o->max_block_rows ?: AP_SEGMENT_ROWS;
	pthread_mutex_init(&w->lock, NULL);
	pthread_mutex_init(&w->making, NULL);
	pthread_mutex_init(&w->naming, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &attr);
	pthread_condattr_destroy(&attr);
	w->known = ap_known_new();
	r = w->known ? ap_rows_init(&w->rows, w->known) : -ENOMEM;
	if (r == 0)
		r = ap_rows_init(&w->helper_rows, w->known);
	if (r == 0)
		r = start_threads(w);
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
	if (!ret->last_error[0] && ap_store_in_doubt(w->store))
		snprintf(ret->last_error, sizeof(ret->last_error), "%s", AP_STORE_DOUBT);
}

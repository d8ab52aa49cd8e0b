/* SPDX-License-Identifier: Apache-2.0 */
/* What the writer keeps in the log of what a store has taken that may lose it (hold.h). */
#include "aggregator/store/writer_internal.h"
#include "base/clock.h"

#define HEAP_SLACK ((size_t)16 << 20)

int ap_writer_hold(struct ap_writer *w, const struct ap_rows *rows, uint64_t segment,
		   const struct ap_batch_list *list, struct ap_error *err)
{
	const uint64_t counts[AP_HOLD_TABLES] = {ap_native_block_rows(rows->samples),
						 ap_native_block_rows(rows->syscalls),
						 ap_native_block_rows(rows->ledger)};
	int r;

	if (!w->hold_ns || w->store->caps & AP_STORE_CAP_FSYNC)
		return 0;
	pthread_mutex_lock(&w->lock);
	r = ap_hold_add(&w->hold, segment, list, counts);
	atomic_store(&w->store->holding, true);
	pthread_mutex_unlock(&w->lock);
	return r < 0 ? ap_error_set(err, r, "out of memory") : 0;
}

/* Stores what the store lacks of held segments, which are counted: `all` for their dictionaries. */
static int refill(struct ap_writer *w, uint64_t before, bool all, struct ap_error *err)
{
	int r = 0;

	pthread_mutex_lock(&w->making);
	AP_VEC_FOREACH(&w->hold.list, held)
		if (all || (held->since < before && !ap_held_is_whole(held)))
			ap_known_forget(w->known, held->day);
	pthread_mutex_unlock(&w->making);
	AP_VEC_FOREACH(&w->hold.list, held) {
		const struct ap_cut cut = {.segment = held->segment, .unsure = true, .again = true};
		uint64_t damaged = w->stats.periods_damaged;
		bool whole = ap_held_is_whole(held);

		if (!all && (held->since >= before || whole))
			continue;
		held->since = ap_clock_mono_ns();
		w->refilling = true;
		pthread_mutex_lock(&w->making);
		r = ap_writer_store_segment(w, &w->rows, &cut, &held->parts, err);
		w->refilling = false;
		if (r < 0)
			return r;
		pthread_mutex_lock(&w->lock);
		w->stats.refilled += !whole;
		/* What the log does not give back is lost where the store has not got it, or no more. */
		damaged = w->stats.periods_damaged - damaged;
		*(whole ? &w->stats.periods_damaged : &w->stats.periods_stored) -= damaged;
		pthread_mutex_unlock(&w->lock);
	}
	return 0;
}

int ap_writer_check_held(struct ap_writer *w, struct ap_error *err)
{
	unsigned int connects = atomic_load(&w->store->connects);
	uint64_t now = ap_clock_mono_ns(), before = now - AP_MIN(now, w->hold_ns);
	bool all = w->connects != connects;
	int r;

	if (!all && !ap_hold_is_due(&w->hold, before, w->hold_ns))
		return 0;
	r = ap_hold_count(&w->hold, w->store, all ? UINT64_MAX : before, err);
	if (r == 0)
		r = refill(w, before, all, err);
	if (r < 0)
		return r;
	w->connects = connects;
	atomic_store(&w->store->sure_of, connects);
	if (!all)
		ap_hold_release(&w->hold, before);
	return 0;
}

/* What no held segment is before is on the store's disk, as far as the watermark. That is asked for first: all up to it
 * was held before, but for what the store has on its disk. */
void ap_writer_settle(struct ap_writer *w)
{
	uint64_t segment = ap_buffer_watermark(w->buffer);

	pthread_mutex_lock(&w->lock);
	if (w->hold.list.n)
		segment = AP_MIN(segment, w->hold.list.p[0].segment - 1);
	if (w->hold_ns)
		atomic_store(&w->store->holding, w->hold.list.n > 0);
	w->stats.held = w->hold.list.n;
	pthread_mutex_unlock(&w->lock);
	if (w->hold_ns)
		ap_buffer_settle(w->buffer, segment);
	/* Failing, it is tried again after the next segment; the log's own numbers tell of it. */
	if (w->wal)
		ap_wal_trim(w->wal);
	/* Batches were kept by the thousand, and are freed as they are stored. */
	ap_heap_give_back(&w->heap, HEAP_SLACK);
}

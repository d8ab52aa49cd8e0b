/* SPDX-License-Identifier: Apache-2.0 */
/* A segment on its way from the buffer's parts to the store's tables; by either of the writer's threads. */
#include <stdio.h>

#include "aggregator/store/peers.h"
#include "aggregator/store/segment_insert.h"
#include "aggregator/store/writer_internal.h"

/* The log does not give the part back, and the store will be without it. */
static void lose(struct ap_writer *w, struct ap_batch *part)
{
	part->lost = true;
	pthread_mutex_lock(&w->lock);
	w->stats.periods_damaged += part->periods;
	pthread_mutex_unlock(&w->lock);
}

static int add_part(struct ap_writer *w, struct ap_rows *rows, struct ap_batch *part,
		    uint64_t segment)
{
	struct ap_batch loaded;
	int r;

	if (part->profile)
		return ap_rows_add(rows, part, segment);
	if (part->lost)
		return 0;
	r = ap_wal_load(w->wal, part, &loaded);
	if (r == -EBADMSG) {
		lose(w, part);
		return 0;
	}
	if (r < 0)
		return r;
	r = ap_rows_add(rows, &loaded, segment);
	ap_wal_unload(&loaded);
	return r;
}

static void count_first_attempt(struct ap_writer *w, const struct ap_cut *cut,
				const struct ap_batch_list *list)
{
	if (cut->again)
		return;
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < list->n; i++)
		w->stats.periods_in += list->p[i]->periods;
	pthread_mutex_unlock(&w->lock);
}

static int make_rows(struct ap_writer *w, struct ap_rows *rows, const struct ap_cut *cut,
		     const struct ap_batch_list *list, struct ap_error *err)
{
	int r = 0;

	ap_rows_clear(rows);
	for (size_t i = 0; i < list->n && r == 0; i++)
		r = add_part(w, rows, list->p[i], cut->segment);
	if (r == 0)
		r = ap_rows_finish(rows);
	if (r < 0)
		ap_error_set(err, r, "a batch cannot be turned into rows: %s", ap_strerror(r));
	return r;
}

/* Makes the rows of a segment and stores their dictionaries, after those of all segments whose rows were made before:
 * each id is sent once. What was left out because it was known is made again if storing it has failed since then.
 * Called with `making` held, which is let go. */
static int store_names(struct ap_writer *w, struct ap_rows *rows, const struct ap_cut *cut,
		       const struct ap_batch_list *list, struct ap_error *err)
{
	int r;

	count_first_attempt(w, cut, list);
	r = make_rows(w, rows, cut, list, err);
	pthread_mutex_lock(&w->naming);
	if (w->unnamed) {
		ap_known_forget_all(w->known);
		w->unnamed = false;
		if (r == 0)
			r = make_rows(w, rows, cut, list, err);
	}
	pthread_mutex_unlock(&w->making);
	if (r == 0)
		r = ap_peers_enter(w->store, err);
	if (r == 0)
		r = ap_segment_insert_names(w->store, rows, cut, w->refilling, err);
	w->unnamed = r < 0;
	pthread_mutex_unlock(&w->naming);
	return r;
}

int ap_writer_store_segment(struct ap_writer *w, struct ap_rows *rows, const struct ap_cut *cut,
			    const struct ap_batch_list *list, struct ap_error *err)
{
	int r = store_names(w, rows, cut, list, err);

	if (r < 0)
		return r;
	r = ap_segment_insert_rows(w->store, rows, cut, w->refilling, err);
	if (r < 0) {
		/* A server that has vanished may have lost the dictionaries too. */
		pthread_mutex_lock(&w->naming);
		w->unnamed = true;
		pthread_mutex_unlock(&w->naming);
	}
	return r;
}

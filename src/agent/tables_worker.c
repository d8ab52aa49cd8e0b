/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that compile tables, one after the other, and fill the store. Their priority is as others':
 * on a busy machine a lower one cost stacks (nice 5: 35 of 500 without tables, nice 0: 26, beside a
 * real-time program), and what they do is short. */
#include "agent/tables_internal.h"

static void release_all(struct ap_tables *t, uint64_t now)
{
	AP_VEC_FOREACH(&t->releases, at)
		ap_table_store_release(t->store, *at, now);
	t->releases.n = 0;
}

/* Takes a table from a file, whose frames are walked without from now on. */
static void take_table(struct ap_tables *t, struct ap_slot *s, uint64_t now)
{
	uint32_t at = s->ref.at;

	s->ref.at = 0;
	s->ref.flags = AP_FILE_PENDING;
	s->retry = now + AP_TABLE_RETRY_NS;
	ap_slot_set_state(t, s, AP_SLOT_WANTED);
	ap_slot_publish(t, s);
	ap_table_store_release(t->store, at, now);
}

static bool has_table(const struct ap_slot *s)
{
	return s->ref.at;
}

/* Makes room for `n_words` by taking the tables of files that have been out of use the longest:
 * false, and nothing is taken, where those that are idle do not do. */
static bool make_room(struct ap_tables *t, uint32_t n_words, uint64_t now)
{
	struct ap_slot_uses uses = {0};
	struct ap_table_store_stats stats;
	uint64_t sum;
	size_t n = 0;

	ap_table_store_get_stats(t->store, &stats);
	sum = (stats.capacity_bytes - stats.table_bytes) / sizeof(uint32_t);
	ap_slots_by_use(t, has_table, &uses);
	while (n < uses.v.n && sum < n_words && uses.v.p[n].used + AP_TABLE_IDLE_NS <= now)
		sum += uses.v.p[n++].slot->n_words;
	for (size_t i = 0; sum >= n_words && i < n; i++)
		take_table(t, uses.v.p[i].slot, now);
	ap_vec_free(&uses.v);
	return sum >= n_words;
}

/* Puts the table into the store and tells the walker; or lets it wait for room. */
static void install(struct ap_tables *t, struct ap_slot *s, struct ap_unwind_table *table,
		    bool may_stall)
{
	uint64_t now = ap_clock_mono_ns();
	struct ap_file_ref ref = {0};
	int r;

	pthread_mutex_lock(&t->storing);
	pthread_mutex_lock(&t->lock);
	release_all(t, now);
	pthread_mutex_unlock(&t->lock);
	r = ap_table_store_add(t->store, table, now, &ref);
	pthread_mutex_lock(&t->lock);
	if (r == 0) {
		ref.file = s->id;
		s->ref = ref;
		s->n_words = table->n_words;
		ap_slot_set_state(t, s, AP_SLOT_READY);
		ap_slot_publish(t, s);
	} else if (r == -ENOSPC && may_stall && !t->stalled && make_room(t, table->n_words, now)) {
		t->stalled = s;
		t->stalled_table = AP_TAKE_PTR(table);
		t->stalled_until = now + AP_STORE_REST_NS;
	} else {
		s->retry = now + AP_TABLE_RETRY_NS;
		ap_slot_set_state(t, s, AP_SLOT_WANTED);
	}
	ap_table_store_get_stats(t->store, &t->stats.store);
	pthread_mutex_unlock(&t->lock);
	pthread_mutex_unlock(&t->storing);
	ap_unwind_table_free(table);
}

static uint64_t thread_cpu_ns(void)
{
	struct timespec t;

	return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) < 0
		       ? 0
		       : (uint64_t)t.tv_sec * AP_NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

static void build(struct ap_tables *t, struct ap_slot *s)
{
	uint64_t begin = thread_cpu_ns();
	struct ap_unwind_table *table = NULL;
	int r = ap_unwind_table_build(s->file->fd, &table);

	ap_file_unpin(s->file);
	pthread_mutex_lock(&t->lock);
	t->stats.build_ns += thread_cpu_ns() - begin;
	s->compiled = true;
	if (r == 0) {
		t->stats.built++;
		t->stats.cut += table->cut;
	} else if (r == -ENOMEM) {
		s->retry = ap_clock_mono_ns() + AP_TABLE_RETRY_NS;
		ap_slot_set_state(t, s, AP_SLOT_WANTED);
	} else {
		s->ref.flags = 0;
		ap_slot_set_state(t, s, AP_SLOT_WITHOUT);
		ap_slot_publish(t, s);
	}
	pthread_mutex_unlock(&t->lock);
	if (r == 0)
		install(t, s, table, true);
}

/* Waits for something to do. Called with the lock held. */
static void wait_for_work(struct ap_tables *t)
{
	struct timespec until = ap_clock_timespec(t->stalled_until);

	t->busy--;
	pthread_cond_broadcast(&t->idle);
	if (t->stalled)
		pthread_cond_timedwait(&t->work, &t->lock, &until);
	else
		pthread_cond_wait(&t->work, &t->lock);
	t->busy++;
}

/* Called with the lock held, which is let go meanwhile: false where there is nothing to do. */
static bool work(struct ap_tables *t, bool is_large)
{
	bool is_due = t->stalled && ap_clock_mono_ns() >= t->stalled_until;
	struct ap_unwind_table *table = is_due ? AP_TAKE_PTR(t->stalled_table) : NULL;
	struct ap_slot *s = is_due ? AP_TAKE_PTR(t->stalled) : ap_slot_next_queued(t, is_large);

	if (!s)
		return false;
	ap_slot_set_state(t, s, AP_SLOT_WORKED);
	pthread_mutex_unlock(&t->lock);
	if (is_due)
		install(t, s, table, false);
	else
		build(t, s);
	pthread_mutex_lock(&t->lock);
	return true;
}

static void *run(struct ap_tables *t, bool is_large)
{
	pthread_mutex_lock(&t->lock);
	while (!t->stop)
		if (!work(t, is_large))
			wait_for_work(t);
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

void *ap_tables_worker(void *tables)
{
	pthread_setname_np(pthread_self(), "ap-tables");
	return run(tables, false);
}

void *ap_tables_large_worker(void *tables)
{
	pthread_setname_np(pthread_self(), "ap-tables-large");
	return run(tables, true);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/alert/vitals.h"

#include <math.h>
#include <pthread.h>
#include <sys/statvfs.h>

#include "aggregator/alert/source.h"

#define NEAR_MS	  60000 /* a reading of then may be that far from it */
#define NS_PER_MS 1000000

struct ap_vitals_log {
	struct ap_vitals_options o;
	pthread_mutex_t lock; /* guards what follows */
	struct ap_vitals now;
	struct ap_vitals *past; /* a ring of AP_VITALS_KEPT; at_ms 0: none */
	size_t next;
};

int ap_vitals_new(const struct ap_vitals_options *o, struct ap_vitals_log **ret)
{
	struct ap_vitals_log *v = calloc(1, sizeof(*v));

	if (v)
		v->past = calloc(AP_VITALS_KEPT, sizeof(*v->past));
	if (!v || !v->past) {
		free(v);
		return -ENOMEM;
	}
	v->o = *o;
	pthread_mutex_init(&v->lock, NULL);
	*ret = v;
	return 0;
}

void ap_vitals_free(struct ap_vitals_log *v)
{
	if (!v)
		return;
	pthread_mutex_destroy(&v->lock);
	free(v->past);
	free(v);
}

static void read_pushes(const struct ap_vitals_log *l, struct ap_vitals *v)
{
	struct ap_ingest_stats s;

	ap_ingest_get_stats(l->o.ingest, &s);
	memcpy(v->pushes, s.push_total, sizeof(v->pushes));
	v->rows = s.rows;
}

static void read_buffer(const struct ap_vitals_log *l, struct ap_vitals *v)
{
	struct ap_buffer_stats s;
	double lag;

	ap_buffer_get_stats(l->o.buffer, &s);
	v->buffer_bytes = s.bytes;
	v->buffer_pending_bytes = s.pending_bytes;
	v->buffer_max_bytes = s.capacity_bytes;
	v->pending_rows = s.pending_rows;
	lag = s.oldest_pending_ns ? (double)(v->at_ms * NS_PER_MS - s.oldest_pending_ns) / 1e9 : 0;
	v->lag_s = lag > 0 ? lag : 0;
}

static void read_disk(const struct ap_vitals_log *l, struct ap_vitals *v)
{
	struct ap_wal_stats wal;
	struct statvfs disk;

	ap_wal_get_stats(l->o.wal, &wal);
	v->wal_bytes = wal.journal.bytes;
	v->wal_max_bytes = wal.journal.max_bytes;
	if (statvfs(l->o.data_dir, &disk) == 0) {
		v->disk_free = (uint64_t)disk.f_bavail * disk.f_frsize;
		v->disk_all = (uint64_t)disk.f_blocks * disk.f_frsize;
	}
}

static void read_writer(const struct ap_vitals_log *l, struct ap_vitals *v)
{
	struct ap_writer_stats s;

	ap_writer_get_stats(l->o.writer, &s);
	v->stored_rows = s.rows;
	v->flushes = s.flushes_ok;
	v->flush_errors = s.flushes_failed;
	v->flush_ns = s.flush_ns;
}

static void read_queries(const struct ap_vitals_log *l, struct ap_vitals *v)
{
	struct ap_query_stats s;

	ap_query_engine_get_stats(l->o.query, &s);
	for (int kind = 0; kind < AP_QUERY_KINDS; kind++)
		for (int status = 0; status < AP_QUERY_STATUSES; status++) {
			v->queries += s.total[kind][status];
			if (status != AP_QUERY_OK && status != AP_QUERY_CANCELLED)
				v->query_failures += s.total[kind][status];
		}
}

static void read_agents(const struct ap_vitals_log *l, struct ap_vitals *v)
{
	_cleanup_free_ struct ap_agent_info *agents = NULL;
	int64_t now_ns = v->at_ms * NS_PER_MS;
	size_t n;

	v->silent_s = NAN;
	if (ap_agents_list(l->o.agents, now_ns, &agents, &n) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		double silence = ap_alert_silence_of(&agents[i], NULL, now_ns);

		v->agents[agents[i].state]++;
		if (silence >= 0)
			v->silent_s = fmax(v->silent_s, silence);
	}
}

void ap_vitals_take(struct ap_vitals_log *l, int64_t now_ms, struct ap_vitals *ret)
{
	struct ap_vitals v = {.at_ms = now_ms};

	read_pushes(l, &v);
	read_buffer(l, &v);
	read_disk(l, &v);
	read_writer(l, &v);
	read_queries(l, &v);
	read_agents(l, &v);
	pthread_mutex_lock(&l->lock);
	l->now = v;
	if (now_ms - l->past[(l->next + AP_VITALS_KEPT - 1) % AP_VITALS_KEPT].at_ms >=
	    AP_VITALS_STEP_MS) {
		l->past[l->next] = v;
		l->next = (l->next + 1) % AP_VITALS_KEPT;
	}
	pthread_mutex_unlock(&l->lock);
	*ret = v;
}

bool ap_vitals_at(struct ap_vitals_log *l, int64_t at_ms, struct ap_vitals *ret)
{
	const struct ap_vitals *best;
	bool near;

	pthread_mutex_lock(&l->lock);
	best = &l->now;
	for (size_t i = 0; i < AP_VITALS_KEPT; i++)
		if (l->past[i].at_ms &&
		    llabs(l->past[i].at_ms - at_ms) < llabs(best->at_ms - at_ms))
			best = &l->past[i];
	near = best->at_ms && llabs(best->at_ms - at_ms) <= NEAR_MS;
	if (near)
		*ret = *best;
	pthread_mutex_unlock(&l->lock);
	return near;
}

size_t ap_vitals_since(struct ap_vitals_log *l, int64_t from_ms, struct ap_vitals *ret)
{
	size_t n = 0;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < AP_VITALS_KEPT; i++) {
		const struct ap_vitals *v = &l->past[(l->next + i) % AP_VITALS_KEPT];

		if (v->at_ms && v->at_ms >= from_ms)
			ret[n++] = *v;
	}
	pthread_mutex_unlock(&l->lock);
	return n;
}

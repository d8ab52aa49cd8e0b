/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/aggregator.h"

#include <stdio.h>

#include "aggregator/alert/source.h"
#include "aggregator/annotate/deploys.h"
#include "aggregator/internal.h"
#include "aggregator/place.h"
#include "aggregator/store/folder.h"
#include "aggregator/store/peers.h"
#include "base/clock.h"

#define GRACE_MS	 5000u
#define FLUSH_TIMEOUT_NS (30 * AP_NSEC_PER_SEC)

static int restore_agent(void *ctx, const struct ap_agent_history *h)
{
	struct ap_aggregator *a = ctx;
	struct ap_agent_info info = {
		.first_seen_ns = h->first_seen_ms * (int64_t)AP_NSEC_PER_MSEC,
		.last_seen_ns = h->last_seen_ms * (int64_t)AP_NSEC_PER_MSEC,
		.periods = h->samples,
		.ledger = h->ledger,
		.cpu_share = -1,
	};
	int r;

	if (h->agent.n > AP_AGENT_ID_LEN)
		return 0;
	memcpy(info.meta.agent_id, h->agent.p, h->agent.n);
	memcpy(info.meta.host, h->host.p, AP_MIN(h->host.n, sizeof(info.meta.host) - 1));
	info.meta.epoch = h->epoch;
	info.meta.status.stopping =
		ap_alert_engine_has_left(a->alerts, info.meta.agent_id, h->epoch);
	r = ap_agents_restore(a->agents, &info);
	return r == -ENOSPC ? 0 : r;
}

/* Agents of earlier runs are known from the start: what is silent is expected, not forgotten. */
static int restore_agents(struct ap_aggregator *a, struct ap_error *err)
{
	int64_t now = ap_clock_unix_ns(), from = now - (int64_t)a->set->retention_ns;
	int r = ap_query_agents(a->query, from / (int64_t)AP_NSEC_PER_MSEC, restore_agent, a, err);

	return r < 0 ? r : ap_agents_load_wanted(a->agents, now, err);
}

/* What an earlier run took in and did not store is in the buffer again, and stored first of all: the store's
 * sums of what agents sent are whole after that. */
static int replay(struct ap_aggregator *a, struct ap_error *err)
{
	uint64_t stored, last = 0;
	int r;

	atomic_store(&a->phase, AP_API_REPLAYING);
	r = ap_wal_open(a->wal, a->buffer, &stored, err);
	if (r == 0)
		r = ap_store_last_segment(a->store, &last, err);
	/* A server that is not there is waited for; the log knows how far segments were numbered. */
	a->late = r == -ENOTCONN;
	if (a->late)
		r = 0;
	last = AP_MAX(last, ap_wal_last_segment(a->wal));
	if (r == 0 && ap_buffer_restored(a->buffer, stored, last) < 0)
		r = ap_error_set(err, -ENOMEM, "out of memory");
	return r;
}

static int open_pipeline(struct ap_aggregator *a, struct ap_error *err)
{
	const struct ap_aggregator_settings *set = a->set;
	_cleanup_free_ char *dir = NULL;
	struct ap_wal_options wal = {.max_bytes = set->wal_bytes};
	struct ap_buffer_config buffer = {.capacity_bytes = set->buffer_bytes,
					  .last_segment = a->store->segment_base,
					  .release = ap_wal_release,
					  .hold = ap_place_hold_ns(set) > 0};
	const struct ap_limits_config limits = {.bytes_per_second = set->agent_rate,
						.values_per_label = set->max_label_values,
						.labels = (uint32_t)set->max_labels};
	int r = ap_agents_new(0, &a->agents);

	if (r == 0)
		r = ap_limits_new(&limits, &a->limits);
	if (asprintf(&dir, "%s/%s", set->data_dir, ap_place_wal_folder(a->set)) < 0) {
		dir = NULL;
		r = -ENOMEM;
	}
	wal.dir = dir;
	wal.agents = a->agents;
	wal.labels = a->limits;
	if (r == 0)
		r = ap_wal_new(&wal, &a->wal);
	buffer.ctx = a->wal;
	if (r == 0)
		r = ap_buffer_new(&buffer, &a->buffer);
	return r < 0 ? ap_error_set(err, r, "cannot start: %s", ap_strerror(r)) : replay(a, err);
}

/* What was there before the first batch: state.db is made or brought up to date here. */
static int open_state(struct ap_aggregator *a, struct ap_error *err)
{
	int r;

	if (asprintf(&a->state_path, "%s/state.db", a->set->data_dir) < 0) {
		a->state_path = NULL;
		return ap_error_set(err, -ENOMEM, "out of memory");
	}
	r = ap_annotations_open(a->state_path, &a->annotations, err);
	if (r == 0)
		r = ap_deploys_open(a->annotations, &a->deploys, err);
	return r < 0 ? r : ap_agents_keep_wanted(a->agents, a->state_path, err);
}

static void show_batch(void *ctx, const struct ap_profile *profile,
		       const struct ap_batch_meta *meta)
{
	struct ap_aggregator *a = ctx;

	/* What there is no memory for is seen in the agent's next batch. */
	ap_deploys_see_batch(a->deploys, profile, ap_str_of(meta->host));
}

static int open_vitals(struct ap_aggregator *a)
{
	const struct ap_vitals_options o = {
		.ingest = a->ingest,
		.buffer = a->buffer,
		.wal = a->wal,
		.writer = a->writer,
		.agents = a->agents,
		.query = a->query,
		.data_dir = a->set->data_dir,
	};

	return ap_vitals_new(&o, &a->vitals);
}

static int open_alerts(struct ap_aggregator *a, struct ap_error *err)
{
	const struct ap_notifier_options notifier = {.path = a->state_path};
	struct ap_alert_source_options source = {.agents = a->agents, .query = a->query};
	struct ap_alert_engine_options o = {
		.path = a->state_path,
		.read = ap_alert_source_read,
		.explain = ap_alert_source_explain,
		.covered = ap_alert_source_covered,
		.left = ap_alert_source_left,
		.retention_s = a->set->retention_ns / AP_NSEC_PER_SEC,
		.retention_hourly_s = a->set->retention_hourly_ns / AP_NSEC_PER_SEC,
	};
	int r = ap_notifier_start(&notifier, &a->notifier, err);

	if (r < 0)
		return r;
	r = open_vitals(a);
	source.vitals = a->vitals;
	if (r == 0)
		r = ap_alert_source_new(&source, &a->alert_source);
	if (r < 0)
		return ap_error_set(err, r, "cannot start: %s", ap_strerror(r));
	o.ctx = a->alert_source;
	o.notifier = a->notifier;
	return ap_alert_engine_new(&o, &a->alerts, err);
}

static int start_pipeline(struct ap_aggregator *a, struct ap_error *err)
{
	const struct ap_aggregator_settings *set = a->set;
	struct ap_ingest_config ingest = {
		.retention_ns = set->retention_ns, .show = show_batch, .show_ctx = a};
	struct ap_writer_options writer = {.flush_interval_ns = set->flush_interval_ns,
					   .hold_ns = ap_place_hold_ns(set)};
	struct ap_query_engine_options query = {
		.max_concurrent = (uint32_t)set->query.concurrency,
		.max_waiting = (uint32_t)set->query.queue,
		.timeout_ns = set->query.timeout_ns,
		.max_memory = set->query.memory,
	};
	int r = open_pipeline(a, err);

	if (r == 0)
		r = open_state(a, err);
	if (r < 0)
		return r;
	ingest.buffer = writer.buffer = query.buffer = a->buffer;
	ingest.wal = writer.wal = a->wal;
	ingest.agents = a->agents;
	ingest.agent_limits = a->limits;
	writer.store = query.store = a->store;
	r = ap_place_sums(set, a->store, &a->rollup, err);
	if (r < 0)
		return r;
	query.rollup = a->rollup;
	r = ap_ingest_new(&ingest, &a->ingest);
	if (r == 0)
		r = ap_query_engine_new(&query, &a->query);
	if (r == 0)
		r = ap_writer_start(&writer, &a->writer);
	if (r < 0)
		return ap_error_set(err, r, "cannot start: %s", ap_strerror(r));
	atomic_store(&a->phase, AP_API_STORING);
	if (!a->late)
		ap_writer_flush(a->writer, ap_clock_mono_ns() + FLUSH_TIMEOUT_NS);
	r = open_alerts(a, err);
	if (r == 0 && !a->late)
		r = restore_agents(a, err);
	/* A server that has gone since then, or may have lost something, is asked again later. */
	if (r == -ENOTCONN) {
		a->late = true;
		r = 0;
	}
	if (r < 0)
		return r;
	return ap_place_keep(set, a->store, a->rollup, a->buffer, &a->retention, err);
}

static int start(struct ap_aggregator *a, struct ap_error *err)
{
	int r = ap_aggregator_check_ports(a, err);

	if (r == 0)
		r = ap_folder_lock(a->set->data_dir, &a->lock_fd, err);
	if (r == 0)
		r = ap_aggregator_open_guard(a, err);
	if (r == 0)
		r = ap_aggregator_open_http(a, err);
	if (r == 0)
		r = ap_place_open(a->set, &a->store, err);
	if (r == 0)
		r = start_pipeline(a, err);
	if (r < 0)
		return r;
	ap_place_name(a->set, a->store, a->late, a->store_name, sizeof(a->store_name));
	r = ap_aggregator_open_grpc(a, err);
	if (r == 0)
		r = ap_alert_engine_start(a->alerts,
					  a->set->external_url ? a->set->external_url
							       : ap_http_server_url(a->http),
					  err);
	if (r < 0)
		return r;
	ap_aggregator_complete_api(a);
	return ap_aggregator_write_ports(a, err);
}

int ap_aggregator_start(const struct ap_aggregator_settings *settings, struct ap_aggregator **ret,
			struct ap_error *err)
{
	struct ap_aggregator *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return ap_error_set(err, -ENOMEM, "out of memory");
	a->set = settings;
	a->lock_fd = -1;
	r = start(a, err);
	if (r < 0) {
		ap_aggregator_stop(a, NULL);
		return r;
	}
	*ret = a;
	return 0;
}

/* Takes no more batches and stores those that have come. Who asks meanwhile is told. */
static void drain(struct ap_aggregator *a)
{
	int running = AP_API_RUNNING;

	/* A start that failed stays one: handlers lack what they need. */
	atomic_compare_exchange_strong(&a->phase, &running, AP_API_DRAINING);
	if (a->grpc)
		ap_grpc_stop(a->grpc, GRACE_MS * AP_NSEC_PER_MSEC);
	if (!a->writer)
		return;
	ap_buffer_close(a->buffer);
	/* A server that is not reached is not waited for: the log has it all. */
	if (atomic_load(&a->store->ready))
		ap_writer_flush(a->writer, ap_clock_mono_ns() + FLUSH_TIMEOUT_NS);
}

/* What is left of the buffer stays in the log. */
static int stop_writer(struct ap_aggregator *a, struct ap_error *err)
{
	struct ap_buffer_stats left;

	ap_writer_stop(a->writer);
	ap_buffer_get_stats(a->buffer, &left);
	if (left.pending_rows == 0)
		return 0;
	return ap_error_set(
		err, -EIO,
		"%zu rows could not be stored; they are kept in %s/%s and stored after the next "
		"start",
		left.pending_rows, a->set->data_dir, ap_place_wal_folder(a->set));
}

int ap_aggregator_stop(struct ap_aggregator *a, struct ap_error *err)
{
	int r = 0;

	if (!a)
		return 0;
	drain(a);
	ap_http_server_stop(a->http, GRACE_MS);
	ap_grpc_free(a->grpc); /* which /metrics asked until now */
	if (a->query)
		ap_query_engine_stop(a->query); /* what alert rules ask */
	ap_alert_engine_free(a->alerts);
	ap_notifier_stop(a->notifier);
	ap_alert_source_free(a->alert_source);
	ap_retention_stop(a->retention);
	if (a->writer)
		r = stop_writer(a, err);
	/* One that cannot say so counts as one that is back soon. */
	if (a->store && atomic_load(&a->store->ready))
		ap_peers_leave(a->store, NULL);
	ap_query_engine_free(a->query);
	ap_rollup_free(a->rollup);
	ap_ingest_free(a->ingest);
	ap_vitals_free(a->vitals);
	if (a->deploys)
		ap_deploys_save(a->deploys, NULL);
	ap_deploys_close(a->deploys);
	ap_annotations_close(a->annotations);
	free(a->state_path);
	ap_agents_free(a->agents);
	ap_buffer_free(a->buffer);
	ap_wal_free(a->wal);
	ap_limits_free(a->limits);
	ap_store_close(a->store);
	if (a->lock_fd >= 0)
		close(a->lock_fd);
	ap_guard_close(a->guard);
	ap_tls_source_free(a->tls);
	ap_http_static_free(a->files);
	ap_buf_free(&a->openapi);
	free(a->host_names);
	free(a);
	return r;
}

int ap_aggregator_reload(struct ap_aggregator *a, struct ap_error *err)
{
	return a->tls ? ap_tls_source_reload(a->tls, err) : 0;
}

const char *ap_aggregator_url(const struct ap_aggregator *a)
{
	return ap_http_server_url(a->http);
}

const char *ap_aggregator_ui_error(const struct ap_aggregator *a)
{
	return a->ui_error.code ? a->ui_error.msg : NULL;
}

const char *ap_aggregator_agent_address(const struct ap_aggregator *a)
{
	return a->agent_address;
}

const char *ap_aggregator_store_name(const struct ap_aggregator *a)
{
	return a->store_name;
}

void ap_aggregator_tick(struct ap_aggregator *a)
{
	struct ap_vitals now;

	if (a->late && restore_agents(a, NULL) == 0)
		a->late = false;
	ap_vitals_take(a->vitals, ap_clock_unix_ns() / (int64_t)AP_NSEC_PER_MSEC, &now);
	a->deploys_error.code = ap_deploys_save(a->deploys, &a->deploys_error);
}

bool ap_aggregator_store_error(struct ap_aggregator *a, char *buf, size_t cap)
{
	struct ap_writer_stats w;

	ap_writer_get_stats(a->writer, &w);
	snprintf(buf, cap, "%s", w.last_error);
	return buf[0] || ap_retention_error(a->retention, buf, cap);
}

bool ap_aggregator_log_full(struct ap_aggregator *a, char *buf, size_t cap)
{
	struct ap_wal_stats wal;

	ap_wal_get_stats(a->wal, &wal);
	snprintf(
		buf, cap,
		"the write-ahead log has its %llu MiB (--wal-bytes): agents keep what they have in "
		"their spools until the store has caught up, and lose nothing while those have room",
		(unsigned long long)(wal.journal.max_bytes >> 20));
	return ap_wal_is_full(&wal);
}

bool ap_aggregator_log_damage(struct ap_aggregator *a, char *buf, size_t cap)
{
	struct ap_wal_stats wal;

	ap_wal_get_stats(a->wal, &wal);
	if (wal.journal.damaged_records == 0)
		return false;
	snprintf(buf, cap,
		 "%llu or more batches (%llu bytes) are lost: the disk does not give back what was "
		 "written to %s/%s; what it gives instead is in files *.damaged there. Check that "
		 "disk",
		 (unsigned long long)wal.journal.damaged_records,
		 (unsigned long long)wal.journal.damaged_bytes, a->set->data_dir,
		 ap_place_wal_folder(a->set));
	return true;
}

bool ap_aggregator_dropped(struct ap_aggregator *a, char *buf, size_t cap)
{
	return ap_retention_notice(a->retention, buf, cap);
}

bool ap_aggregator_alerts_error(struct ap_aggregator *a, char *buf, size_t cap)
{
	return ap_alert_engine_error(a->alerts, buf, cap);
}

bool ap_aggregator_deploys_error(struct ap_aggregator *a, char *buf, size_t cap)
{
	snprintf(buf, cap, "%s", a->deploys_error.msg);
	return a->deploys_error.code != 0;
}

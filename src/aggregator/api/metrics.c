/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/access.h"
#include "aggregator/api/answer.h"
#include "aggregator/store/peers.h"
#include "base/clock.h"
#include "http/prometheus.h"

static void write_push(struct ap_prom *p, const struct ap_ingest_stats *s)
{
	struct ap_prom_histogram h;

	ap_prom_family(p, "aperture_push_total", AP_PROM_COUNTER, "Batches pushed, by answer.");
	for (int i = AP_PUSH_OK; i < AP_PUSH_STATUS_MAX; i++)
		ap_prom_u64(p,
			    AP_PROM_LABELS({"status", ap_str_of(ap_push_status_name(
							      (enum ap_push_status)i))}),
			    s->push_total[i]);
	ap_prom_family(p, "aperture_push_events_total", AP_PROM_COUNTER,
		       "Rows of samples in accepted batches.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s->rows);
	ap_prom_family(p, "aperture_push_bytes_total", AP_PROM_COUNTER,
		       "Bytes of push requests, as they came.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s->bytes);
	ap_prom_histogram_init(&h, ap_ingest_bucket_seconds, AP_INGEST_BUCKETS);
	memcpy(h.counts, s->buckets, sizeof(s->buckets));
	h.sum_ns = s->duration_ns;
	ap_prom_family(p, "aperture_push_duration_seconds", AP_PROM_HISTOGRAM,
		       "Time from a push's arrival to its answer.");
	ap_prom_histogram_write(p, AP_PROM_NO_LABELS, &h);
}

static void write_buffer(struct ap_prom *p, const struct ap_api *api,
			 const struct ap_ingest_stats *s)
{
	struct ap_buffer_stats b;

	ap_buffer_get_stats(api->buffer, &b);
	ap_prom_family(p, "aperture_buffer_batches", AP_PROM_GAUGE,
		       "Batches in the in-memory buffer.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, b.batches);
	ap_prom_family(p, "aperture_buffer_bytes", AP_PROM_GAUGE, "Memory that they take.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, b.bytes);
	ap_prom_family(p, "aperture_buffer_capacity_bytes", AP_PROM_GAUGE,
		       "Memory that they may take.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, b.capacity_bytes);
	ap_prom_family(
		p, "aperture_buffer_drops_total", AP_PROM_COUNTER,
		"Batches turned away because there was no room for them; the agent keeps them.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s->push_total[AP_PUSH_BACKPRESSURE]);
	ap_prom_family(p, "aperture_clickhouse_pending_rows", AP_PROM_GAUGE,
		       "Rows accepted and not in the store yet.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, b.pending_rows);
	ap_prom_family(p, "aperture_clickhouse_hidden_rows", AP_PROM_GAUGE,
		       "Of those, rows that only the write-ahead log has room for: queries do not "
		       "see them until they are stored.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, b.hidden_rows);
}

static void write_wal(struct ap_prom *p, const struct ap_api *api)
{
	struct ap_wal_stats w;
	const struct ap_journal_stats *j = &w.journal;

	ap_wal_get_stats(api->wal, &w);
	ap_prom_family(p, "aperture_wal_bytes", AP_PROM_GAUGE, "Bytes of the write-ahead log.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, j->bytes);
	ap_prom_family(p, "aperture_wal_max_bytes", AP_PROM_GAUGE, "Bytes that it may have.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, j->max_bytes);
	ap_prom_family(p, "aperture_wal_files", AP_PROM_GAUGE, "Its files.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, j->files);
	ap_prom_family(p, "aperture_wal_records_total", AP_PROM_COUNTER, "Records written to it.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, j->appended);
	ap_prom_family(p, "aperture_wal_commit_duration_seconds", AP_PROM_SUMMARY,
		       "Time to write records to disk; those of several pushes go together.");
	ap_prom_summary(p, AP_PROM_NO_LABELS, j->commits, j->commit_ns);
	ap_prom_family(p, "aperture_wal_commit_failures_total", AP_PROM_COUNTER,
		       "Commits that failed; their batches were not acknowledged.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, j->failures);
	ap_prom_family(
		p, "aperture_wal_damaged_bytes", AP_PROM_GAUGE,
		"Bytes of it that cannot be read back as they were written, at the start and "
		"since; they are put aside in files *.damaged.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, j->damaged_bytes);
	ap_prom_family(p, "aperture_wal_damaged_records", AP_PROM_GAUGE,
		       "Records that these were, at least: batches that are lost.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, j->damaged_records);
	ap_prom_family(p, "aperture_wal_replayed_rows", AP_PROM_GAUGE,
		       "Rows that the start found and that were not stored for certain.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, w.replayed_rows);
}

static void write_store(struct ap_prom *p, const struct ap_api *api)
{
	struct ap_writer_stats w;

	ap_writer_get_stats(api->writer, &w);
	ap_prom_family(
		p, "aperture_clickhouse_up", AP_PROM_GAUGE,
		"1 while the store takes what arrives, 0 while it does not: it, or a shard of "
		"its cluster, is not reached or refuses it. /readyz says why.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, !w.last_error[0] && atomic_load(&api->store->ready));
	ap_prom_family(p, "aperture_clickhouse_flush_total", AP_PROM_COUNTER,
		       "Segments written to the store, by outcome; failed ones are repeated.");
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("ok")}), w.flushes_ok);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("error")}), w.flushes_failed);
	ap_prom_family(p, "aperture_clickhouse_flush_rows_total", AP_PROM_COUNTER,
		       "Rows of samples stored.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, w.rows);
	ap_prom_family(p, "aperture_clickhouse_held_segments", AP_PROM_GAUGE,
		       "Segments stored, and kept in the log until they are on the server's disk.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, w.held);
	ap_prom_family(p, "aperture_clickhouse_refilled_segments_total", AP_PROM_COUNTER,
		       "Of those, segments that the server had lost and that were stored again.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, w.refilled);
	ap_prom_family(p, "aperture_clickhouse_flush_duration_seconds", AP_PROM_SUMMARY,
		       "Time to write one segment.");
	ap_prom_summary(p, AP_PROM_NO_LABELS, w.flushes_ok, w.flush_ns);
}

static void write_queries(struct ap_prom *p, const struct ap_api *api)
{
	struct ap_query_stats s;

	ap_query_engine_get_stats(api->query, &s);
	ap_prom_family(p, "aperture_query_running", AP_PROM_GAUGE, "Queries that run.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.running);
	ap_prom_family(p, "aperture_query_waiting", AP_PROM_GAUGE,
		       "Queries that wait for one of those to end.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.waiting);
	ap_prom_family(p, "aperture_query_total", AP_PROM_COUNTER,
		       "Queries, by kind and outcome: cancelled ones nobody waited for any more, "
		       "limited ones reached a bound on memory, rows or an expression's cost, busy "
		       "ones never ran.");
	for (int kind = 0; kind < AP_QUERY_KINDS; kind++)
		for (int status = 0; status < AP_QUERY_STATUSES; status++)
			ap_prom_u64(
				p,
				AP_PROM_LABELS({"kind", ap_str_of(ap_query_kind_name(kind))},
					       {"status", ap_str_of(ap_query_status_name(status))}),
				s.total[kind][status]);
	ap_prom_family(p, "aperture_query_recalled_total", AP_PROM_COUNTER,
		       "Answers of the store that were still known: to a whole statement, to the "
		       "middle or an end of its range, or extended by rows that came since.");
	ap_prom_u64(p, AP_PROM_LABELS({"part", AP_STR("all")}), s.recalled);
	ap_prom_u64(p, AP_PROM_LABELS({"part", AP_STR("middle")}), s.recalled_in_part);
	ap_prom_u64(p, AP_PROM_LABELS({"part", AP_STR("end")}), s.recalled_ends);
	ap_prom_u64(p, AP_PROM_LABELS({"part", AP_STR("extended")}), s.extended);
	ap_prom_family(p, "aperture_query_memo_bytes", AP_PROM_GAUGE,
		       "Memory of the store's answers that are kept for that.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.memo_bytes);
	ap_prom_family(p, "aperture_query_duration_seconds", AP_PROM_HISTOGRAM,
		       "Time from a query's arrival at the query engine to its end, by kind.");
	for (int kind = 0; kind < AP_QUERY_KINDS; kind++)
		ap_prom_histogram_write(
			p, AP_PROM_LABELS({"kind", ap_str_of(ap_query_kind_name(kind))}),
			&s.seconds[kind]);
}

static void write_rollups(struct ap_prom *p, const struct ap_api *api)
{
	uint64_t stored = ap_buffer_watermark(api->buffer);
	struct ap_rollup_stats s;

	ap_rollup_get_stats(api->rollup, &s);
	ap_prom_family(p, "aperture_rollup_ranges_total", AP_PROM_COUNTER,
		       "Ranges of segments summed up, by resolution.");
	for (unsigned int level = AP_ROLLUP_HOUR; level < AP_ROLLUP_LEVELS; level++)
		ap_prom_u64(p, AP_PROM_LABELS({"level", ap_str_of(ap_keep_level_names[level])}),
			    s.ranges[level]);
	ap_prom_family(p, "aperture_rollup_duration_seconds", AP_PROM_SUMMARY,
		       "Time to sum one range up.");
	ap_prom_summary(p, AP_PROM_NO_LABELS, s.ranges[AP_ROLLUP_HOUR] + s.ranges[AP_ROLLUP_DAY],
			s.build_ns);
	ap_prom_family(
		p, "aperture_rollup_failures_total", AP_PROM_COUNTER,
		"Tries to sum up that failed, as they do while a server is not reached; they "
		"are made again.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.failures);
	ap_prom_family(
		p, "aperture_rollup_lost_ranges_total", AP_PROM_COUNTER,
		"Ranges that the server had lost sums of before questions rested on them; they "
		"are made again.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.lost);
	ap_prom_family(p, "aperture_rollup_waiting_segments", AP_PROM_GAUGE,
		       "Segments stored, or summed up by hour, that are to be summed up.");
	ap_prom_u64(p, AP_PROM_LABELS({"level", ap_str_of(ap_keep_level_names[AP_ROLLUP_HOUR])}),
		    stored > s.upto[AP_ROLLUP_HOUR] ? stored - s.upto[AP_ROLLUP_HOUR] : 0);
	ap_prom_u64(p, AP_PROM_LABELS({"level", ap_str_of(ap_keep_level_names[AP_ROLLUP_DAY])}),
		    s.upto[AP_ROLLUP_HOUR] - s.upto[AP_ROLLUP_DAY]);
}

static void write_dropped(struct ap_prom *p, const char *name, const char *help,
			  const uint64_t counts[AP_KEEP_LEVELS][2])
{
	static const char *const why[] = {"retention", "budget"};

	ap_prom_family(p, name, AP_PROM_COUNTER, help);
	for (unsigned int level = 0; level < AP_KEEP_LEVELS; level++)
		for (int i = 0; i < 2; i++)
			ap_prom_u64(p,
				    AP_PROM_LABELS({"level", ap_str_of(ap_keep_level_names[level])},
						   {"reason", ap_str_of(why[i])}),
				    counts[level][i]);
}

static void write_retention(struct ap_prom *p, const struct ap_api *api)
{
	struct ap_retention_stats s;

	ap_retention_get_stats(api->retention, &s);
	write_dropped(p, "aperture_store_dropped_days_total",
		      "Days of tables dropped, for their age or to stay within the disk budget.",
		      s.days);
	write_dropped(p, "aperture_store_dropped_rows_total", "Their rows.", s.rows);
	write_dropped(p, "aperture_store_dropped_bytes_total", "Their bytes on disk.", s.bytes);
	ap_prom_family(p, "aperture_store_over_budget_bytes", AP_PROM_GAUGE,
		       "Bytes over the disk budget when nothing is left to drop but today's rows.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.short_of);
	ap_prom_family(
		p, "aperture_store_parts", AP_PROM_GAUGE,
		"The most parts that a day of a table is in. Where merges fall behind it grows, "
		"and ClickHouse makes inserts wait, then refuses them.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.parts);
	ap_prom_family(
		p, "aperture_store_peers", AP_PROM_GAUGE,
		"Other aggregators that store at the same ClickHouse server, or ended without "
		"saying so. While there are any, no answers are kept.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, ap_peers_known(api->store));
}

/* Where the stacks of all agents end. */
static void write_stacks(struct ap_prom *p, const struct ap_agent_info *agents, size_t n)
{
	ap_prom_family(p, "aperture_stacks_total", AP_PROM_COUNTER,
		       "Sampling periods by why their user stack ends; ok and kernel_only are "
		       "complete.");
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		uint64_t count = 0;

		if (strcmp(ap_reason_name(i), "unknown") == 0)
			continue;
		for (size_t j = 0; j < n; j++)
			count += agents[j].ledger.stacks[i];
		ap_prom_u64(p, AP_PROM_LABELS({"reason", ap_str_of(ap_reason_name(i))}), count);
	}
}

/* The ledger of all agents since this aggregator's start, and its own. Every loss is listed from
 * the first scrape on, so that a rate can be taken of it. */
static int write_lost(struct ap_prom *p, const struct ap_api *api, const struct ap_ingest_stats *s)
{
	_cleanup_free_ struct ap_agent_info *agents = NULL;
	struct ap_writer_stats writer;
	size_t n;
	int r = ap_agents_list(api->agents, ap_clock_unix_ns(), &agents, &n);

	if (r < 0)
		return r;
	ap_writer_get_stats(api->writer, &writer);
	ap_prom_family(
		p, "aperture_lost_total", AP_PROM_COUNTER,
		"What did not go on, by stage and reason: sampling periods; in stages syscall, "
		"syscall_push and syscall_stack system calls.");
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];
		uint64_t count = s->ledger.count[e->id];

		if (e->kind != AP_LEDGER_KIND_LOSS)
			continue;
		if (e->id == AP_LEDGER_STORE_DAMAGED)
			count += writer.periods_damaged;
		for (size_t j = 0; j < n; j++)
			count += agents[j].ledger.count[e->id];
		ap_prom_u64(p,
			    AP_PROM_LABELS({"stage", ap_str_of(e->stage)},
					   {"reason", ap_str_of(e->name)}),
			    count);
	}
	write_stacks(p, agents, n);
	ap_prom_family(p, "aperture_agents", AP_PROM_GAUGE, "Agents known, by state.");
	for (int state = AP_AGENT_OK; state <= AP_AGENT_LEFT; state++) {
		uint64_t count = 0;

		for (size_t j = 0; j < n; j++)
			count += (int)agents[j].state == state;
		ap_prom_u64(p,
			    AP_PROM_LABELS({"state", ap_str_of(ap_agent_state_name(
							     (enum ap_agent_state)state))}),
			    count);
	}
	return 0;
}

static void write_alerts(struct ap_prom *p, const struct ap_api *api)
{
	struct ap_alert_counts c;
	struct ap_notifier_stats n;

	ap_alert_engine_get_counts(api->alerts, &c);
	ap_notifier_get_stats(api->notifier, &n);
	ap_prom_family(p, "aperture_alert_rules", AP_PROM_GAUGE, "Alert rules, by state.");
	ap_prom_u64(p, AP_PROM_LABELS({"state", AP_STR("pending")}), c.pending);
	ap_prom_u64(p, AP_PROM_LABELS({"state", AP_STR("firing")}), c.firing);
	ap_prom_u64(p, AP_PROM_LABELS({"state", AP_STR("insufficient")}), c.insufficient);
	ap_prom_u64(p, AP_PROM_LABELS({"state", AP_STR("quiet")}),
		    c.rules - c.pending - c.firing - c.insufficient);
	ap_prom_family(p, "aperture_alert_evaluations_total", AP_PROM_COUNTER,
		       "Evaluations of alert rules, by outcome.");
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("ok")}), c.evaluations - c.failures);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("error")}), c.failures);
	ap_prom_family(p, "aperture_alert_notifications_total", AP_PROM_COUNTER,
		       "Notifications, by outcome; those that wait are in neither.");
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("delivered")}), n.delivered);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("dropped")}), n.dropped);
}

/* What there is once it has started. */
static int write_all(struct ap_prom *p, struct ap_http_request *req, const struct ap_api *api)
{
	struct ap_ingest_stats s;

	ap_ingest_get_stats(api->ingest, &s);
	write_push(p, &s);
	write_buffer(p, api, &s);
	write_wal(p, api);
	write_store(p, api);
	write_queries(p, api);
	write_rollups(p, api);
	write_retention(p, api);
	write_alerts(p, api);
	ap_api_guard_metrics(p, req, api);
	return write_lost(p, api, &s);
}

void ap_api_metrics(struct ap_http_request *req, void *ctx)
{
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_prom p = {.out = &b};
	int r = 0;

	ap_prom_process(&p, "aperture-aggregator");
	ap_prom_family(&p, "aperture_running", AP_PROM_GAUGE,
		       "1 between the start, in which the write-ahead log is replayed, and the "
		       "stop, in which what has arrived is stored; 0 in these.");
	ap_prom_u64(&p, AP_PROM_NO_LABELS, !ap_api_pause(api));
	if (ap_api_is_complete(api))
		r = write_all(&p, req, api);
	if (r == 0)
		r = ap_prom_error(&p);
	if (r < 0)
		ap_http_reply_error(req, 500, "internal", NULL, "%s", ap_strerror(r));
	else
		ap_http_reply(req, 200, AP_PROM_CONTENT_TYPE, &b);
}

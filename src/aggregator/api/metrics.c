/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregator/api/answer.h"
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
	ap_prom_family(p, "aperture_buffer_drops_total", AP_PROM_COUNTER,
		       "Batches turned away because the buffer was full; the agent keeps them.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s->push_total[AP_PUSH_BACKPRESSURE]);
	ap_prom_family(p, "aperture_clickhouse_pending_rows", AP_PROM_GAUGE,
		       "Rows accepted and not in the store yet.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, b.pending_rows);
}

static void write_store(struct ap_prom *p, const struct ap_api *api)
{
	struct ap_writer_stats w;

	ap_writer_get_stats(api->writer, &w);
	ap_prom_family(p, "aperture_clickhouse_flush_total", AP_PROM_COUNTER,
		       "Segments written to the store, by outcome; failed ones are repeated.");
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("ok")}), w.flushes_ok);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("error")}), w.flushes_failed);
	ap_prom_family(p, "aperture_clickhouse_flush_rows_total", AP_PROM_COUNTER,
		       "Rows of samples stored.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, w.rows);
	ap_prom_family(p, "aperture_clickhouse_flush_duration_seconds", AP_PROM_SUMMARY,
		       "Time to write one segment.");
	ap_prom_summary(p, AP_PROM_NO_LABELS, w.flushes_ok, w.flush_ns);
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
	size_t n;
	int r = ap_agents_list(api->agents, ap_clock_unix_ns(), &agents, &n);

	if (r < 0)
		return r;
	ap_prom_family(
		p, "aperture_lost_total", AP_PROM_COUNTER,
		"What did not go on, by stage and reason: sampling periods; in stages syscall "
		"and syscall_push system calls.");
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];
		uint64_t count = s->ledger.count[e->id];

		if (e->kind != AP_LEDGER_KIND_LOSS)
			continue;
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

void ap_api_metrics(struct ap_http_request *req, void *ctx)
{
	_cleanup_buf_ struct ap_buf b = {0};
	const struct ap_api *api = ctx;
	struct ap_prom p = {.out = &b};
	struct ap_ingest_stats s;
	int r;

	ap_ingest_get_stats(api->ingest, &s);
	ap_prom_process(&p, "aperture-aggregator");
	write_push(&p, &s);
	write_buffer(&p, api, &s);
	write_store(&p, api);
	r = write_lost(&p, api, &s);
	if (r == 0)
		r = ap_prom_error(&p);
	if (r < 0)
		ap_http_reply_error(req, 500, "internal", NULL, "%s", ap_strerror(r));
	else
		ap_http_reply(req, 200, AP_PROM_CONTENT_TYPE, &b);
}

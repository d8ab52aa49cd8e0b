/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemon_internal.h"
#include "http/prometheus.h"

static void write_ledger(struct ap_prom *p, const struct ap_ledger *ledger)
{
	ap_prom_family(p, "aperture_lost_total", AP_PROM_COUNTER,
		       "Sampling periods that did not go on, by stage and reason.");
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];

		if (e->kind == AP_LEDGER_KIND_LOSS && e->id < AP_LEDGER_INGEST_IN)
			ap_prom_u64(p,
				    AP_PROM_LABELS({"stage", ap_str_of(e->stage)},
						   {"reason", ap_str_of(e->name)}),
				    ap_ledger_get(ledger, e->id));
	}
	ap_prom_family(p, "aperture_periods_total", AP_PROM_COUNTER,
		       "Sampling periods that entered and left each stage.");
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];

		if (e->kind != AP_LEDGER_KIND_LOSS && e->id < AP_LEDGER_INGEST_IN)
			ap_prom_u64(p,
				    AP_PROM_LABELS({"stage", ap_str_of(e->stage)},
						   {"name", ap_str_of(e->name)}),
				    ap_ledger_get(ledger, e->id));
	}
	ap_prom_family(p, "aperture_stacks_total", AP_PROM_COUNTER,
		       "Sampling periods by why their user stack ends; ok and kernel_only are "
		       "complete.");
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++)
		if (strcmp(ap_reason_name(i), "unknown") != 0)
			ap_prom_u64(p, AP_PROM_LABELS({"reason", ap_str_of(ap_reason_name(i))}),
				    __atomic_load_n(&ledger->stacks[i], __ATOMIC_RELAXED));
}

static void write_push(struct ap_prom *p, const struct ap_pusher_stats *s)
{
	ap_prom_family(p, "aperture_queue_batches", AP_PROM_GAUGE,
		       "Batches that wait to be acknowledged.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s->queued);
	ap_prom_family(p, "aperture_queue_bytes", AP_PROM_GAUGE, "Bytes of those batches.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s->queued_bytes);
	ap_prom_family(p, "aperture_push_total", AP_PROM_COUNTER,
		       "Batches by how they ended; retry counts tries that have to be repeated.");
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("ok")}), s->pushed - s->duplicates);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("duplicate")}), s->duplicates);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("refused")}), s->refused);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("dropped")}), s->dropped);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("retry")}), s->retries);
	ap_prom_family(p, "aperture_push_bytes_total", AP_PROM_COUNTER,
		       "Bytes of acknowledged batches.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s->sent_bytes);
	ap_prom_family(p, "aperture_connected", AP_PROM_GAUGE,
		       "Whether the last push reached the aggregator.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s->connected);
}

static void write_rate(struct ap_prom *p, const struct ap_agent_status *s, uint64_t changes,
		       double budget)
{
	ap_prom_family(p, "aperture_sampling_frequency_hertz", AP_PROM_GAUGE,
		       "Samples a second and CPU, now.");
	ap_prom_double(p, AP_PROM_NO_LABELS, (double)s->frequency_hz / s->stride);
	ap_prom_family(p, "aperture_sampling_frequency_changes_total", AP_PROM_COUNTER,
		       "Changes of that frequency, to keep the agent's CPU budget.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, changes);
	ap_prom_family(p, "aperture_cpu_budget_ratio", AP_PROM_GAUGE,
		       "Share of one CPU that the agent may use; 0 is no limit.");
	ap_prom_double(p, AP_PROM_NO_LABELS, budget);
}

static void write_cost(struct ap_prom *p, const struct ap_agent_status *s, uint64_t batches)
{
	ap_prom_family(p, "aperture_batches_total", AP_PROM_COUNTER, "Batches made.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, batches);
	ap_prom_family(p, "aperture_bpf_seconds_total", AP_PROM_COUNTER,
		       "Time spent in BPF programs, from timing one run in 64.");
	ap_prom_double(p, AP_PROM_NO_LABELS, (double)s->cpu_bpf_ns / 1e9);
	ap_prom_family(p, "aperture_bpf_map_bytes", AP_PROM_GAUGE, "Memory of BPF maps and rings.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s->map_bytes);
}

static void write_debuginfod(struct ap_prom *p, struct ap_debuginfod *debuginfod)
{
	struct ap_debuginfod_stats s;

	ap_debuginfod_get_stats(debuginfod, &s);
	ap_prom_family(p, "aperture_debuginfod_total", AP_PROM_COUNTER,
		       "Debug files asked for, by how that ended; failed ones are tried again.");
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("fetched")}), s.fetched);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("absent")}), s.absent);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("failed")}), s.failed);
	ap_prom_family(p, "aperture_debuginfod_queued", AP_PROM_GAUGE,
		       "Debug files that are still to be fetched.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.queued);
	ap_prom_family(p, "aperture_debuginfod_cache_bytes", AP_PROM_GAUGE,
		       "Disk taken by fetched debug files.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, s.cache_bytes);
}

static void write_processes(struct ap_prom *p, struct ap_profiler *profiler)
{
	struct ap_profiler_processes n;

	ap_profiler_processes(profiler, &n);
	ap_prom_family(p, "aperture_processes", AP_PROM_GAUGE, "Processes that the agent knows.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, n.known);
	ap_prom_family(
		p, "aperture_processes_evicted_total", AP_PROM_COUNTER,
		"Processes forgotten alive because the table was full: their frames lack files.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, n.evicted);
	ap_prom_family(p, "aperture_process_events_lost_total", AP_PROM_COUNTER,
		       "Mmap, fork, exec and exit events that the kernel dropped.");
	ap_prom_u64(p, AP_PROM_NO_LABELS, n.events_lost);
}

int ap_daemon_metrics(struct ap_daemon *d, struct ap_buf *out)
{
	struct ap_prom p = {.out = out};
	struct ap_pusher_stats push;
	struct ap_agent_status status;
	uint64_t batches, rate_changes;

	pthread_mutex_lock(&d->lock);
	status = d->status;
	batches = d->batches;
	rate_changes = d->rate_changes;
	pthread_mutex_unlock(&d->lock);
	ap_pusher_get_stats(d->pusher, &push);
	ap_prom_process(&p, "aperture-agent");
	write_ledger(&p, d->ledger);
	write_push(&p, &push);
	write_processes(&p, d->profiler);
	write_cost(&p, &status, batches);
	write_rate(&p, &status, rate_changes, d->governor.budget);
	if (d->debuginfod)
		write_debuginfod(&p, d->debuginfod);
	return ap_prom_error(&p);
}

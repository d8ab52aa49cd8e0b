/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/daemon_internal.h"
#include "http/prometheus.h"

static void write_gauge(struct ap_prom *p, const char *name, const char *help, uint64_t value)
{
	ap_prom_family(p, name, AP_PROM_GAUGE, help);
	ap_prom_u64(p, AP_PROM_NO_LABELS, value);
}

static void write_counter(struct ap_prom *p, const char *name, const char *help, uint64_t value)
{
	ap_prom_family(p, name, AP_PROM_COUNTER, help);
	ap_prom_u64(p, AP_PROM_NO_LABELS, value);
}

/* Not of the stages that the aggregator keeps. */
static bool is_ours(const struct ap_ledger_entry *e)
{
	return strcmp(e->stage, "ingest") != 0 && strcmp(e->stage, "store") != 0;
}

static void write_ledger(struct ap_prom *p, const struct ap_ledger *ledger)
{
	ap_prom_family(
		p, "aperture_lost_total", AP_PROM_COUNTER,
		"What did not go on, by stage and reason: sampling periods; in stages syscall, "
		"syscall_push and syscall_stack system calls.");
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];

		if (e->kind == AP_LEDGER_KIND_LOSS && is_ours(e))
			ap_prom_u64(p,
				    AP_PROM_LABELS({"stage", ap_str_of(e->stage)},
						   {"reason", ap_str_of(e->name)}),
				    ap_ledger_get(ledger, e->id));
	}
	ap_prom_family(p, "aperture_periods_total", AP_PROM_COUNTER,
		       "What entered and left each stage, in the same units.");
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];

		if (e->kind != AP_LEDGER_KIND_LOSS && is_ours(e))
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
	write_gauge(p, "aperture_queue_batches", "Batches that wait to be acknowledged.",
		    s->queued);
	write_gauge(p, "aperture_queue_bytes", "Bytes of those batches.", s->queued_bytes);
	write_gauge(p, "aperture_queue_memory_bytes", "Of those, bytes in memory.",
		    s->memory_bytes);
	write_gauge(p, "aperture_spool_bytes", "Bytes of the spool's files on disk.",
		    s->spool_bytes);
	write_gauge(
		p, "aperture_spool_damaged_batches",
		"Batches lost because the spool's disk does not give them back; what it gives instead "
		"is put aside in files *.damaged.",
		s->spool_damaged);
	ap_prom_family(p, "aperture_push_total", AP_PROM_COUNTER,
		       "Batches by how they ended; retry counts tries that have to be repeated.");
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("ok")}), s->pushed - s->duplicates);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("duplicate")}), s->duplicates);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("refused")}), s->refused);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("dropped")}), s->dropped);
	ap_prom_u64(p, AP_PROM_LABELS({"status", AP_STR("retry")}), s->retries);
	write_counter(p, "aperture_push_bytes_total", "Bytes of acknowledged batches.",
		      s->sent_bytes);
	write_gauge(p, "aperture_connected", "Whether the last push reached the aggregator.",
		    s->connected);
}

static void write_rate(struct ap_prom *p, const struct ap_agent_status *s, uint64_t changes,
		       double budget)
{
	ap_prom_family(p, "aperture_sampling_frequency_hertz", AP_PROM_GAUGE,
		       "Samples a second and CPU, now.");
	ap_prom_double(p, AP_PROM_NO_LABELS, (double)s->frequency_hz / s->stride);
	write_counter(p, "aperture_sampling_frequency_changes_total",
		      "Changes of that frequency, to keep the agent's CPU budget.", changes);
	ap_prom_family(p, "aperture_cpu_budget_ratio", AP_PROM_GAUGE,
		       "Share of one CPU that the agent may use; 0 is no limit.");
	ap_prom_double(p, AP_PROM_NO_LABELS, budget);
	write_gauge(
		p, "aperture_remote_settings_active",
		"Whether settings from the aggregator are in force in place of the agent's own.",
		s->settings.remaining_ns > 0);
}

/* As of now; what goes with the batches is as old as the last one. */
static void write_cost(struct ap_prom *p, struct ap_profiler *profiler, uint64_t batches)
{
	struct ap_profiler_cost cost;

	ap_profiler_cost(profiler, &cost);
	write_counter(p, "aperture_batches_total", "Batches made.", batches);
	ap_prom_family(p, "aperture_bpf_seconds_total", AP_PROM_COUNTER,
		       "Time spent in BPF programs, from timing one run in 64.");
	ap_prom_double(p, AP_PROM_NO_LABELS, (double)cost.bpf_ns / 1e9);
	write_counter(p, "aperture_bpf_runs_total", "Runs of those programs.", cost.bpf_runs);
	write_gauge(p, "aperture_bpf_map_bytes", "Memory of BPF maps and rings.", cost.map_bytes);
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
	write_gauge(p, "aperture_debuginfod_queued", "Debug files that are still to be fetched.",
		    s.queued);
	write_gauge(p, "aperture_debuginfod_cache_bytes", "Disk taken by fetched debug files.",
		    s.cache_bytes);
}

static void write_processes(struct ap_prom *p, struct ap_profiler *profiler)
{
	struct ap_profiler_processes n;

	ap_profiler_processes(profiler, &n);
	write_gauge(p, "aperture_processes", "Processes that the agent knows.", n.known);
	write_counter(
		p, "aperture_processes_evicted_total",
		"Processes forgotten alive because the table was full: their frames lack files.",
		n.evicted);
	write_counter(p, "aperture_process_events_lost_total",
		      "Mmap, fork, exec and exit events that the kernel dropped.", n.events_lost);
}

static void write_tables(struct ap_prom *p, struct ap_profiler *profiler)
{
	struct ap_tables_stats n;

	ap_profiler_tables(profiler, &n);
	write_gauge(p, "aperture_files", "Mapped files that frames can name.", n.files);
	write_gauge(p, "aperture_file_inodes", "Inodes by which the walker knows them.", n.keys);
	write_counter(p, "aperture_files_evicted_total",
		      "Files forgotten because there were too many.", n.files_evicted);
	write_counter(p, "aperture_file_notices_total",
		      "Inodes that the walker met and did not know.", n.notices);
	write_counter(p, "aperture_file_notices_unresolved_total",
		      "Of those, whose file could not be told.", n.unresolved);
	write_gauge(p, "aperture_unwind_tables", "Unwind tables in the store.", n.store.tables);
	write_gauge(p, "aperture_unwind_tables_held", "Unwind tables of files in use.",
		    n.store.held);
	write_gauge(p, "aperture_unwind_table_bytes", "Memory of unwind tables.",
		    n.store.table_bytes);
	write_gauge(p, "aperture_unwind_table_capacity_bytes",
		    "The most that unwind tables may take (--table-bytes).",
		    n.store.capacity_bytes);
	write_gauge(p, "aperture_unwind_rules", "Distinct unwind rules of all tables.",
		    n.store.rules);
	write_counter(p, "aperture_unwind_rules_refused_total",
		      "Rules left out of tables because there were too many.",
		      n.store.rules_refused);
	write_counter(p, "aperture_unwind_table_evictions_total",
		      "Tables that made way for others.", n.store.evictions);
	write_counter(p, "aperture_unwind_table_refusals_total",
		      "Tables that found no room, tries counted.", n.store.refusals);
	write_gauge(p, "aperture_unwind_table_queue_length", "Tables to be compiled.", n.queued);
	write_counter(p, "aperture_unwind_table_postponed_total",
		      "Tables not queued because the queue was full.", n.postponed);
	write_counter(p, "aperture_unwind_table_builds_total", "Tables compiled.", n.built);
	write_counter(p, "aperture_unwind_tables_cut_total",
		      "Tables that a limit left something out of.", n.cut);
	ap_prom_family(p, "aperture_unwind_table_build_seconds_total", AP_PROM_COUNTER,
		       "CPU time spent compiling tables.");
	ap_prom_double(p, AP_PROM_NO_LABELS, (double)n.build_ns / 1e9);
	write_gauge(p, "aperture_unwind_files_without_table",
		    "Files that have no unwind information or cannot be read.", n.without);
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
	write_tables(&p, d->profiler);
	write_cost(&p, d->profiler, batches);
	write_rate(&p, &status, rate_changes, d->governor.budget);
	if (d->debuginfod)
		write_debuginfod(&p, d->debuginfod);
	return ap_prom_error(&p);
}

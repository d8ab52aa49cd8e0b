/* SPDX-License-Identifier: Apache-2.0 */
/* The ledger as JSON: what became of every sampling period, and what the profiler itself used. A figure that
 * could not be had is null, with its reason beside it. */
#include "base/json.h"
#include "cli/session.h"

static void string(struct ap_buf *out, const char *key, const char *value)
{
	ap_json_key(out, key);
	ap_json_string(out, ap_str_of(value));
}

static void number(struct ap_buf *out, const char *key, uint64_t value)
{
	ap_json_key(out, key);
	ap_json_u64(out, value);
}

static void real(struct ap_buf *out, const char *key, double value)
{
	ap_json_key(out, key);
	ap_json_double(out, value);
}

static void entry(struct ap_buf *out, const struct ap_ledger_entry *e, uint64_t count)
{
	ap_buf_byte(out, '{');
	string(out, "name", e->name);
	string(out, "text", e->text);
	number(out, "count", count);
	ap_buf_byte(out, '}');
}

/* The entries of one kind in `stage`, separated by commas; returns their sum. */
static uint64_t entries(struct ap_buf *out, const struct ap_ledger *l, const char *stage,
			enum ap_ledger_kind kind)
{
	const char *separator = "";
	uint64_t sum = 0;

	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];

		if (strcmp(e->stage, stage) != 0 || e->kind != kind)
			continue;
		ap_buf_puts(out, separator);
		entry(out, e, ap_ledger_get(l, e->id));
		sum += ap_ledger_get(l, e->id);
		separator = ",";
	}
	return sum;
}

static void stage(struct ap_buf *out, const struct ap_ledger *l, const char *name)
{
	uint64_t in, accounted;

	ap_buf_byte(out, '{');
	string(out, "stage", name);
	ap_json_key(out, "in");
	in = entries(out, l, name, AP_LEDGER_KIND_IN);
	ap_json_key(out, "out");
	accounted = entries(out, l, name, AP_LEDGER_KIND_OUT);
	ap_json_key(out, "losses");
	ap_buf_byte(out, '[');
	accounted += entries(out, l, name, AP_LEDGER_KIND_LOSS);
	ap_buf_byte(out, ']');
	ap_json_key(out, "balance");
	ap_json_i64(out, (int64_t)(in - accounted));
	ap_buf_byte(out, '}');
}

static void reasons(struct ap_buf *out, const struct ap_ledger *l)
{
	const char *separator = "";

	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		uint64_t n = __atomic_load_n(&l->stacks[i], __ATOMIC_RELAXED);

		if (n == 0)
			continue;
		ap_buf_printf(out, "%s{", separator);
		string(out, "name", ap_reason_name(i));
		string(out, "text", ap_reason_text(i));
		number(out, "count", n);
		ap_buf_byte(out, '}');
		separator = ",";
	}
}

static void bpf_cost(struct ap_buf *out, const struct ap_profiler_cost *c, uint64_t delivered)
{
	if (c->bpf_runs == 0 || c->bpf_ns == 0) {
		ap_json_key(out, "bpf_ns");
		ap_buf_puts(out, "null");
		string(out, "bpf_ns_reason",
		       c->bpf_runs ? "no run was timed: one in 64 is" : "no program ran");
		return;
	}
	number(out, "bpf_ns", c->bpf_ns);
	number(out, "bpf_runs", c->bpf_runs);
	real(out, "bpf_ns_per_run", (double)c->bpf_ns / (double)c->bpf_runs);
	if (delivered)
		real(out, "bpf_ns_per_sample", (double)c->bpf_ns / (double)delivered);
}

static void cost(struct ap_buf *out, const struct ap_session *s, uint64_t delivered)
{
	struct ap_profiler_cost c = {0};
	struct ap_tables_stats tables;

	ap_profiler_cost(s->profiler, &c);
	ap_buf_byte(out, '{');
	real(out, "cpu_s", (double)c.cpu_ns / 1e9);
	bpf_cost(out, &c, delivered);
	number(out, "peak_rss_bytes", c.peak_rss_bytes);
	number(out, "map_bytes", c.map_bytes);
	number(out, "map_bytes_per_cpu", c.map_cpu_bytes);
	ap_profiler_tables(s->profiler, &tables);
	number(out, "table_bytes", tables.store.table_bytes);
	number(out, "tables", tables.store.tables);
	real(out, "table_build_s", (double)tables.build_ns / 1e9);
	number(out, "profile_bytes", ap_profile_bytes(s->profile));
	ap_buf_byte(out, '}');
}

void ap_session_ledger_json(const struct ap_session *s, struct ap_buf *out)
{
	/* Those of modes that were not asked for would be nothing but zeros. */
	static const struct {
		const char *name;
		uint32_t modes; /* 0: all */
	} stages[] = {{"sample", 0},
		      {"reader", 0},
		      {"batch", 0},
		      {"offcpu", AP_MODE_OFFCPU | AP_MODE_LOCK},
		      {"waker", AP_MODE_LOCK},
		      {"kernel_lock", AP_MODE_LOCK},
		      {"syscall", AP_MODE_SYSCALL},
		      {"syscall_stack", AP_MODE_SYSCALL}};
	const struct ap_ledger *l = ap_profiler_ledger(s->profiler);
	struct ap_profiler_processes processes;

	ap_buf_byte(out, '{');
	string(out, "version", APERTURE_VERSION);
	number(out, "frequency_hz", s->set->frequency);
	real(out, "duration_s", (double)(s->stop_ns - s->start_ns) / 1e9);
	ap_profiler_processes(s->profiler, &processes);
	number(out, "processes", processes.sampled);
	number(out, "processes_evicted", processes.evicted);
	number(out, "process_events_lost", processes.events_lost);
	ap_json_key(out, "stages");
	ap_buf_byte(out, '[');
	for (size_t i = 0; i < AP_ARRAY_SIZE(stages); i++) {
		if (stages[i].modes && !(s->modes & stages[i].modes))
			continue;
		ap_buf_puts(out, i ? "," : "");
		stage(out, l, stages[i].name);
	}
	ap_buf_byte(out, ']');
	ap_json_key(out, "reasons");
	ap_buf_byte(out, '[');
	reasons(out, l);
	ap_buf_byte(out, ']');
	ap_json_key(out, "cost");
	cost(out, s, ap_ledger_get(l, AP_LEDGER_SAMPLE_DELIVERED));
	ap_buf_puts(out, "}");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What a recording says at its end: where the time went, how far that can be trusted, and how to go
 * on from here. */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/record.h"
#include "profile/top.h"
#include "profile/value.h"

#define HOTTEST 5

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void headline(const struct ap_recording *r, struct ap_buf *out)
{
	struct ap_profiler_processes processes;
	uint64_t count[AP_EVENT_MAX] = {0}, value[AP_EVENT_MAX] = {0};

	ap_profiler_processes(r->profiler, &processes);
	AP_VEC_FOREACH(&r->profile->samples, s) {
		count[s->event] += s->count;
		value[s->event] += s->value;
	}
	ap_buf_printf(out, "%.1f s", (double)(r->stop_ns - r->start_ns) / 1e9);
	if (r->modes & AP_MODE_CPU)
		ap_buf_printf(out, " at %" PRIu64 " Hz: %" PRIu64 " samples", r->set->frequency,
			      count[AP_EVENT_CPU]);
	ap_buf_printf(out, " of %" PRIu64 " process%s", processes.sampled,
		      processes.sampled == 1 ? "" : "es");
	if (r->modes & AP_MODE_CPU)
		ap_buf_printf(out, ", %.2f CPU s", (double)value[AP_EVENT_CPU] / 1e9);
	if (r->modes & AP_MODE_OFFCPU)
		ap_buf_printf(out, ", %" PRIu64 " waits of %.2f s", count[AP_EVENT_OFFCPU],
			      (double)value[AP_EVENT_OFFCPU] / 1e9);
	if (r->modes & AP_MODE_LOCK)
		ap_buf_printf(out, ", %" PRIu64 " waits for locks of %.2f s", count[AP_EVENT_LOCK],
			      (double)value[AP_EVENT_LOCK] / 1e9);
	if (r->modes & AP_MODE_SYSCALL)
		ap_buf_printf(
			out, ", %" PRIu64 " system calls",
			ap_ledger_get(ap_profiler_ledger(r->profiler), AP_LEDGER_SYSCALL_OUT));
	ap_buf_byte(out, '\n');
	if (processes.evicted || processes.events_lost)
		ap_buf_printf(out,
			      "known only in part: %" PRIu64
			      " processes forgotten for want of room, "
			      "%" PRIu64 " events dropped by the kernel\n",
			      processes.evicted, processes.events_lost);
	if (r->end == AP_RECORD_END_MEMORY)
		ap_buf_printf(out, "ended early: the profile reached %" PRIu64 " MiB (--memory)\n",
			      r->set->memory >> 20);
}

static void hottest(const struct ap_recording *r, struct ap_buf *out)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL;
	const struct ap_profile_type *type = ap_record_type(r);

	if (!b || ap_tree_add_profile(b, r->profile, type, 0) < 0 ||
	    ap_top_build(b, AP_TOP_SELF, HOTTEST, &top) < 0) {
		ap_buf_puts(out, "no memory for the hottest functions\n");
		return;
	}
	ap_buf_printf(out, "hottest functions (self, of the %s):\n",
		      r->modes == AP_MODE_CPU	   ? "CPU time sampled"
		      : r->modes == AP_MODE_OFFCPU ? "time off the CPU"
		      : r->modes == AP_MODE_LOCK   ? "time waited for locks"
						   : "time on and off the CPU");
	for (uint32_t i = 0; i < top->n && top->rows[i].self[0]; i++) {
		const struct ap_top_row *row = &top->rows[i];

		ap_buf_printf(out, "  %5.1f %%  %.*s", percent(row->self[0], top->total[0]),
			      AP_STR_ARG(row->name));
		if (row->module.n)
			ap_buf_printf(out, "  (%.*s)", AP_STR_ARG(row->module));
		ap_buf_byte(out, '\n');
	}
}

static void completeness(const struct ap_ledger *l, struct ap_buf *out)
{
	uint64_t all = 0, complete = 0;
	const char *separator = "; others: ";

	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		uint64_t n = __atomic_load_n(&l->stacks[i], __ATOMIC_RELAXED);

		all += n;
		if (ap_reason_is_complete(i))
			complete += n;
	}
	ap_buf_puts(out, "complete stacks: ");
	ap_value_percent(out, complete, all);
	for (uint32_t i = 0; i < AP_REASONS_MAX; i++) {
		uint64_t n = __atomic_load_n(&l->stacks[i], __ATOMIC_RELAXED);

		if (n == 0 || ap_reason_is_complete(i))
			continue;
		ap_buf_puts(out, separator);
		ap_value_percent(out, n, all);
		ap_buf_printf(out, " %s", ap_reason_text(i));
		separator = ", ";
	}
	ap_buf_byte(out, '\n');
}

static void lost_calls(const struct ap_ledger *l, struct ap_buf *out)
{
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];
		uint64_t n = ap_ledger_get(l, e->id);

		if (n && (ap_ledger_is_lost_call(e->id) || e->id == AP_LEDGER_SYSCALL_NO_START))
			ap_buf_printf(out, "%s: %" PRIu64 " system call%s %s: %s\n",
				      ap_ledger_is_lost_call(e->id) ? "lost" : "not in the table",
				      n, n == 1 ? "" : "s", e->name, e->text);
	}
}

static void losses(const struct ap_ledger *l, struct ap_buf *out)
{
	uint64_t lost = ap_ledger_lost(l);
	const char *separator = " (";

	if (lost == 0) {
		ap_buf_puts(out, "lost: none\n");
		return;
	}
	ap_buf_printf(out, "lost: %" PRIu64 " sample%s", lost, lost == 1 ? "" : "s");
	for (uint32_t i = 0; i < ap_ledger_entry_count; i++) {
		const struct ap_ledger_entry *e = &ap_ledger_entries[i];
		uint64_t n = ap_ledger_get(l, e->id);

		if (n == 0 || !ap_ledger_is_lost(e->id))
			continue;
		ap_buf_printf(out, "%s%" PRIu64 " %s: %s", separator, n, e->name, e->text);
		separator = ", ";
	}
	ap_buf_puts(out, ")\n");
}

static void next_step(const struct ap_recording *r, struct ap_buf *out)
{
	const char *path = r->out.path;

	if (strcmp(path, "-") == 0)
		return;
	ap_buf_printf(out, "wrote %s (%s, %" PRIu64 " KiB)\n", path,
		      ap_record_counts_only(r) && r->format == AP_FORMAT_PPROF
			      ? "text"
			      : ap_format_info(r->format)->name,
		      (r->out.bytes + 1023) / 1024);
	if (r->profile->samples.n == 0)
		return;
	if (r->format == AP_FORMAT_PPROF || r->format == AP_FORMAT_JSON)
		ap_buf_printf(out, "next: aperture report %s\n", path);
	else if (r->format == AP_FORMAT_SVG || r->format == AP_FORMAT_HTML)
		ap_buf_printf(out, "next: open %s in a browser\n", path);
	else if (r->format == AP_FORMAT_SPEEDSCOPE)
		ap_buf_printf(out, "next: load %s in speedscope\n", path);
	else
		ap_buf_puts(out, "next: aperture record -o profile.html for a flame graph\n");
}

static void no_samples(const struct ap_recording *r, struct ap_buf *out)
{
	ap_buf_puts(out, r->target == AP_TARGET_MACHINE
				 ? "no samples: the machine was idle\n"
				 : "no samples: what was profiled used no CPU meanwhile, or too "
				   "little for this rate (-F) and time (-d)\n");
}

void ap_record_summary(const struct ap_recording *r, struct ap_buf *out)
{
	const struct ap_ledger *l = ap_profiler_ledger(r->profiler);

	headline(r, out);
	if (r->modes & AP_MODE_SYSCALL && !ap_record_counts_only(r) &&
	    ap_record_syscalls_text(r, out) < 0)
		ap_buf_puts(out, "no memory for the system calls\n");
	if (ap_record_counts_only(r)) {
		lost_calls(l, out);
		next_step(r, out);
		return;
	}
	if (r->profile->samples.n) {
		hottest(r, out);
		completeness(l, out);
	} else {
		no_samples(r, out);
	}
	losses(l, out);
	lost_calls(l, out);
	if (r->refused)
		ap_buf_printf(out, "note: %s\n", r->refused);
	if (r->kernel_names.code)
		ap_buf_printf(out, "note: %s\n", r->kernel_names.msg);
	next_step(r, out);
}

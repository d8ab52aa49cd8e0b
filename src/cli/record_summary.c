/* SPDX-License-Identifier: Apache-2.0 */
/* What a recording says at its end: where the time went, how far that can be trusted, and how to go
 * on from here. */
#include <inttypes.h>

#include "base/clock.h"
#include "cli/lock_table.h"
#include "cli/record.h"
#include "cli/syscall_table.h"
#include "profile/top.h"
#include "profile/value.h"

#define HOTTEST	    5
#define LOCKS_SHOWN 5u

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void headline(const struct ap_recording *r, struct ap_buf *out)
{
	struct ap_profiler_processes processes;
	uint64_t count[AP_EVENT_MAX] = {0}, value[AP_EVENT_MAX] = {0};

	ap_profiler_processes(r->session.profiler, &processes);
	AP_VEC_FOREACH(&r->session.profile->samples, s) {
		count[s->event] += s->count;
		value[s->event] += s->value;
	}
	ap_buf_printf(out, "%.1f s", (double)(r->session.stop_ns - r->session.start_ns) / 1e9);
	if (r->session.modes & AP_MODE_CPU)
		ap_buf_printf(out, " at %" PRIu64 " Hz: %" PRIu64 " samples",
			      r->session.set->frequency, count[AP_EVENT_CPU]);
	ap_buf_printf(out, " of %" PRIu64 " process%s", processes.sampled,
		      processes.sampled == 1 ? "" : "es");
	if (r->session.modes & AP_MODE_CPU)
		ap_buf_printf(out, ", %.2f CPU s", (double)value[AP_EVENT_CPU] / 1e9);
	if (r->session.modes & AP_MODE_OFFCPU)
		ap_buf_printf(out, ", %" PRIu64 " waits of %.2f s", count[AP_EVENT_OFFCPU],
			      (double)value[AP_EVENT_OFFCPU] / 1e9);
	if (r->session.modes & AP_MODE_LOCK)
		ap_buf_printf(out, ", %" PRIu64 " waits for locks of %.2f s", count[AP_EVENT_LOCK],
			      (double)value[AP_EVENT_LOCK] / 1e9);
	if (r->session.modes & AP_MODE_SYSCALL)
		ap_buf_printf(out, ", %" PRIu64 " system calls",
			      ap_ledger_get(ap_profiler_ledger(r->session.profiler),
					    AP_LEDGER_SYSCALL_OUT));
	if (ap_syscall_stacks_asked(&r->session.syscalls))
		ap_buf_printf(out, ", %" PRIu64 " of %.2f s with their stacks",
			      count[AP_EVENT_SYSCALL], (double)value[AP_EVENT_SYSCALL] / 1e9);
	ap_buf_byte(out, '\n');
	if (processes.evicted || processes.events_lost)
		ap_buf_printf(out,
			      "known only in part: %" PRIu64
			      " processes forgotten for want of room, "
			      "%" PRIu64 " events dropped by the kernel\n",
			      processes.evicted, processes.events_lost);
	if (r->session.end == AP_SESSION_END_MEMORY)
		ap_buf_printf(out, "ended early: the profile reached %" PRIu64 " MiB (--memory)\n",
			      r->session.set->memory >> 20);
}

/* Of the CPU time, or of slow and failing calls. */
static void hottest(const struct ap_recording *r, struct ap_buf *out)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL;
	bool cpu = r->session.modes & AP_MODE_CPU;
	const struct ap_profile_type *type = ap_profile_type_find(
		cpu ? AP_STR("cpu:nanoseconds") : AP_STR("syscall:nanoseconds"));

	if (!b || ap_tree_add_profile(b, r->session.profile, type, 0) < 0 ||
	    ap_top_build(b, AP_TOP_SELF, HOTTEST, &top) < 0) {
		ap_buf_puts(out, "no memory for the hottest functions\n");
		return;
	}
	if (!top->total[0])
		return;
	ap_buf_printf(out, "hottest functions (self, of the %s):\n",
		      cpu ? "CPU time sampled" : "time in these system calls");
	for (uint32_t i = 0; i < top->n && top->rows[i].self[0]; i++) {
		const struct ap_top_row *row = &top->rows[i];

		ap_buf_printf(out, "  %5.1f %%  %.*s", percent(row->self[0], top->total[0]),
			      AP_STR_ARG(row->name));
		if (row->module.n)
			ap_buf_printf(out, "  (%.*s)", AP_STR_ARG(row->module));
		ap_buf_byte(out, '\n');
	}
}

/* By place: the innermost functions are the same few of the kernel for all waits. */
static void waits(const struct ap_recording *r, struct ap_buf *out)
{
	_cleanup_(ap_wait_table_free) struct ap_wait_table t = {0};

	if (ap_wait_table_build(r->session.profile, NULL, &t) < 0) {
		ap_buf_puts(out, "no memory for the waits\n");
		return;
	}
	if (!t.sum.ns)
		return;
	ap_buf_puts(out, "waited longest (of the time off the CPU, and mostly why):\n");
	for (size_t i = 0; i < t.rows.n && i < HOTTEST; i++) {
		const struct ap_wait_row *row = &t.rows.p[i];

		ap_buf_printf(out, "  %5.1f %%  %-8s  ", percent(row->sum.ns, t.sum.ns),
			      ap_wait_cause_name(ap_wait_row_cause(row)));
		ap_wait_function(r->session.profile, row->frame, out);
		ap_buf_byte(out, '\n');
	}
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
	if (r->session.profile->samples.n == 0)
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

/* Those of programs that threads waited for longest, without waits for work. */
static void locks(const struct ap_recording *r, struct ap_buf *out)
{
	_cleanup_(ap_lock_table_free) struct ap_lock_table t = {0};
	uint32_t shown = 0;

	if (ap_lock_table_build(r->session.profile, NULL, &t) < 0) {
		ap_buf_puts(out, "no memory for the locks\n");
		return;
	}
	AP_VEC_FOREACH(&t.rows, row) {
		if (row->kernel || !row->contended || shown++ >= LOCKS_SHOWN)
			continue;
		if (shown == 1)
			ap_buf_puts(
				out,
				"locks of programs (without waits for work):\n"
				"     TIME      WAITS  TIMED OUT   SIGNALS  KIND        WAITS IN ← LET GO BY\n");
		ap_buf_printf(out, "  %5.1f %% %10" PRIu64 " %10" PRIu64 " %9" PRIu64 "  %-10.*s  ",
			      percent(row->sum.ns, t.contended.ns + t.others.ns + t.short_waits.ns),
			      row->sum.count, row->timeouts, row->signals, AP_STR_ARG(row->kind));
		ap_lock_text(r->session.profile, row, out);
		ap_buf_byte(out, '\n');
	}
	if (shown > LOCKS_SHOWN)
		ap_buf_printf(out, "  and %" PRIu32 " more\n", shown - LOCKS_SHOWN);
}

static void syscalls(const struct ap_recording *r, struct ap_buf *out)
{
	_cleanup_(ap_syscall_table_free) struct ap_syscall_table t = {0};

	if (ap_syscall_table_build(r->session.profile, NULL, &t) < 0)
		ap_buf_puts(out, "no memory for the system calls\n");
	else
		ap_syscall_table_text(&t, out);
}

static void limited(const struct ap_ledger *l, struct ap_buf *out)
{
	uint64_t n = ap_ledger_get(l, AP_LEDGER_SYSCALL_STACK_LIMITED);

	if (n)
		ap_buf_printf(out,
			      "without their stacks: %" PRIu64
			      " slow or failing system call%s over --syscall-stack-rate\n",
			      n, n == 1 ? "" : "s");
}

static void no_samples(const struct ap_recording *r, struct ap_buf *out)
{
	uint32_t modes = r->session.modes & ~(uint32_t)AP_MODE_SYSCALL;

	ap_buf_puts(out, modes == 0 ? "no stacks: no system call took as long or failed so\n"
			 : modes == AP_MODE_LOCK ? "no samples: no thread waited for a lock\n"
			 : r->session.target == AP_TARGET_MACHINE
				 ? "no samples: the machine was idle\n"
				 : "no samples: what was profiled used no CPU meanwhile, or too "
				   "little for this rate (-F) and time (-d)\n");
}

void ap_record_summary(const struct ap_recording *r, struct ap_buf *out)
{
	const struct ap_ledger *l = ap_profiler_ledger(r->session.profiler);

	headline(r, out);
	if (r->session.modes & AP_MODE_LOCK && ap_record_locks_text(r, out) < 0)
		ap_buf_puts(out, "no memory for the locks of the kernel\n");
	if (r->session.modes & AP_MODE_SYSCALL && !ap_record_counts_only(r))
		syscalls(r, out);
	if (ap_record_counts_only(r)) {
		ap_session_lost_calls_text(l, out);
		next_step(r, out);
		return;
	}
	if (r->session.profile->samples.n) {
		if (r->session.modes & (AP_MODE_CPU | AP_MODE_SYSCALL))
			hottest(r, out);
		if (r->session.modes & AP_MODE_OFFCPU)
			waits(r, out);
		if (r->session.modes & AP_MODE_LOCK)
			locks(r, out);
		ap_session_complete_text(l, out);
	} else {
		no_samples(r, out);
	}
	ap_session_lost_text(l, out);
	limited(l, out);
	ap_session_lost_calls_text(l, out);
	if (r->session.refused)
		ap_buf_printf(out, "note: %s\n", r->session.refused);
	if (r->session.kernel_names.code)
		ap_buf_printf(out, "note: %s\n", r->session.kernel_names.msg);
	next_step(r, out);
}

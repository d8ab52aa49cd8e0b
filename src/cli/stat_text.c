/* SPDX-License-Identifier: Apache-2.0 */
/* The page of `aperture stat` for people, for a terminal of 80 columns. */
#include <inttypes.h>

#include "base/clock.h"
#include "base/text.h"
#include "cli/cell.h"
#include "cli/lock_table.h"
#include "cli/stat.h"
#include "cli/syscall_table.h"
#include "cli/view.h"
#include "profile/value.h"

#define SLOW_START_NS (200 * AP_NSEC_PER_MSEC) /* from here on the page says where it went */
#define PROCESS_ROWS  5

static void label(const struct ap_stat *s, const char *text, struct ap_buf *out)
{
	ap_report_colour(out, &s->style, AP_REPORT_BOLD);
	ap_buf_printf(out, "%-10s", text);
	ap_report_colour(out, &s->style, AP_REPORT_PLAIN);
}

static void ns_text(struct ap_buf *out, uint64_t ns)
{
	ap_value_text(out, ns, "nanoseconds");
}

/* Sentences of any length: broken where they meet the edge of a terminal. */
static void wrap(const struct ap_stat *s, const struct ap_buf *text, struct ap_buf *out)
{
	struct ap_str rest = ap_buf_view(text);

	while (rest.n)
		ap_text_wrap(out, ap_str_cut(&rest, '\n'), 0, 2, s->style.width ?: SIZE_MAX);
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void headline(const struct ap_stat *s, struct ap_buf *out)
{
	const struct ap_session *n = &s->session;
	uint64_t elapsed = ap_stat_elapsed(s);
	struct ap_profiler_processes processes;

	ap_profiler_processes(n->profiler, &processes);
	label(s, "elapsed", out);
	ns_text(out, elapsed);
	ap_buf_printf(out, " with %" PRIu64 " process%s\n", processes.sampled,
		      processes.sampled == 1 ? "" : "es");
	if (n->end == AP_SESSION_END_MEMORY)
		ap_buf_printf(out, "ended early: the profile reached %" PRIu64 " MiB (--memory)\n",
			      n->set->memory >> 20);
	if (!s->is_exact && !(n->modes & AP_MODE_CPU))
		return;
	label(s, "CPU", out);
	ns_text(out, s->user_ns + s->system_ns);
	ap_buf_puts(out, ": user ");
	ns_text(out, s->user_ns);
	ap_buf_puts(out, ", system ");
	ns_text(out, s->system_ns);
	ap_buf_printf(out, "; %.2f cores%s\n",
		      elapsed ? (double)(s->user_ns + s->system_ns) / (double)elapsed : 0,
		      s->is_exact ? "" : " (from samples)");
}

static void causes(const struct ap_stat *s, const struct ap_wait_table *t, struct ap_buf *out)
{
	static const char *const texts[AP_WAIT_CAUSES] = {
		[AP_WAIT_CAUSE_RUNNABLE] = "ready, another thread had the CPU",
		[AP_WAIT_CAUSE_BLOCKED] = "mostly for a disk",
		[AP_WAIT_CAUSE_LOCK] = "for another thread, in futex()",
		[AP_WAIT_CAUSE_SLEEPING] = "for a timer, input or a process",
		[AP_WAIT_CAUSE_OTHER] = "stopped, or not known why",
	};
	uint64_t whole = t->sum.ns + s->user_ns + s->system_ns;

	label(s, "off CPU", out);
	ns_text(out, t->sum.ns);
	ap_buf_puts(out, ", ");
	ap_value_percent(out, t->sum.ns, whole);
	ap_buf_puts(out, " of the threads' time\n");
	for (uint32_t i = 0; i < AP_WAIT_CAUSES; i++) {
		const struct ap_wait_sum *c = &t->causes[i];
		_cleanup_buf_ struct ap_buf share = {0};

		if (!c->ns)
			continue;
		ap_buf_printf(out, "  %-8s", ap_wait_cause_name(i));
		ap_value_percent(&share, c->ns, whole);
		ap_cell_right(out, ap_buf_view(&share), 8);
		ap_cell_value(out, c->ns, "nanoseconds", 10);
		ap_cell_value(out, c->count, "count", 10);
		ap_buf_printf(out, " wait%-2s %s\n", plural(c->count), texts[i]);
	}
}

static void waits(const struct ap_stat *s, struct ap_buf *out, int *r)
{
	_cleanup_(ap_wait_table_free) struct ap_wait_table t = {0};

	if (*r < 0 || !(s->session.modes & AP_MODE_OFFCPU))
		return;
	*r = ap_wait_table_build(s->session.profile, NULL, &t);
	if (*r == 0)
		causes(s, &t, out);
}

/* One of the tables, under `title`. */
static void table(const struct ap_stat *s, enum ap_view view, const char *title, uint64_t rows,
		  struct ap_buf *out, int *r)
{
	_cleanup_(ap_grid_free) struct ap_grid g = {0};
	const struct ap_view_info *info = ap_view_info(view);
	const struct ap_view_of of = {.profile = s->session.profile,
				      .time_ns = ap_stat_elapsed(s),
				      .modes = s->session.modes};
	size_t n;

	if (*r < 0 || !(of.modes & info->modes))
		return;
	*r = ap_view_build(view, &of, &g);
	if (*r < 0)
		return;
	ap_grid_sort(&g, info->sort, false);
	/* Of functions most only called others, of processes most only waited. */
	n = view == AP_VIEW_SYSCALLS ? g.order.n : ap_grid_above_zero(&g, info->sort);
	ap_buf_byte(out, '\n');
	ap_report_colour(out, &s->style, AP_REPORT_BOLD);
	ap_buf_puts(out, title);
	ap_report_colour(out, &s->style, AP_REPORT_PLAIN);
	ap_buf_puts(out, n ? "\n" : ": none\n");
	if (!n)
		return;
	ap_grid_head(&g, info->n_columns, &s->style, out);
	for (size_t i = 0; i < AP_MIN(n, rows); i++)
		ap_grid_row(&g, i, &s->style, out);
	if (n > rows)
		ap_buf_printf(out, "  and %zu more: --rows %zu\n", n - (size_t)rows, n);
}

static void sum_text(struct ap_buf *out, const struct ap_wait_sum *sum)
{
	ap_value_text(out, sum->count, "count");
	ap_buf_printf(out, " wait%s of ", plural(sum->count));
	ns_text(out, sum->ns);
}

/* What the table of locks leaves out. */
static void other_locks(const struct ap_stat *s, struct ap_buf *out, int *r)
{
	_cleanup_(ap_lock_table_free) struct ap_lock_table t = {0};

	if (*r < 0 || !(s->session.modes & AP_MODE_LOCK))
		return;
	*r = ap_lock_table_build(s->session.profile, NULL, &t);
	if (*r < 0)
		return;
	if (t.others.ns) {
		ap_buf_puts(out, "  beside these ");
		sum_text(out, &t.others);
		ap_buf_puts(out, " for work or an end (conditions, joins)\n");
	}
	if (t.short_waits.count) {
		ap_buf_puts(out, "  beside these ");
		sum_text(out, &t.short_waits);
		ap_buf_puts(out, " under ");
		ns_text(out, s->session.set->wait_threshold);
		ap_buf_puts(out, " each\n");
	}
}

/* Calls that have not returned. */
static void in_flight(const struct ap_stat *s, struct ap_buf *page, int *r)
{
	_cleanup_(ap_syscall_table_free) struct ap_syscall_table t = {0};
	const char *separator = "in flight at the end: ";
	_cleanup_buf_ struct ap_buf text = {0};
	struct ap_buf *out = &text;

	if (*r < 0 || !(s->session.modes & AP_MODE_SYSCALL))
		return;
	*r = ap_syscall_table_build(s->session.profile, NULL, &t);
	if (*r < 0)
		return;
	AP_VEC_FOREACH(&t.rows, row) {
		if (!row->in_flight)
			continue;
		ap_buf_printf(out, "%s%" PRIu64 " ", separator, row->in_flight);
		ap_syscall_row_name(row, out);
		ap_buf_puts(out, " for ");
		ns_text(out, row->oldest_ns);
		separator = ", ";
	}
	wrap(s, &text, page);
}

static void cost(const struct ap_stat *s, struct ap_buf *out)
{
	const struct ap_session *n = &s->session;
	uint64_t start = n->open_ns + n->begin_ns;
	struct ap_profiler_cost c = {0};

	ap_profiler_cost(n->profiler, &c);
	label(s, "cost", out);
	ns_text(out, c.cpu_ns);
	ap_buf_puts(out, " of CPU here");
	if (c.bpf_ns) {
		ap_buf_puts(out, ", ");
		ns_text(out, c.bpf_ns);
		ap_buf_puts(out, " in what was watched");
	}
	ap_buf_printf(out, "; %" PRIu64 " MiB\n%10s", (c.peak_rss_bytes + c.map_bytes) >> 20, "");
	ns_text(out, start);
	ap_buf_puts(out, " to start");
	if (start > SLOW_START_NS) {
		ap_buf_puts(out, ": ");
		ns_text(out, n->open_ns);
		ap_buf_puts(out, " BPF programs, ");
		ns_text(out, n->begin_ns);
		ap_buf_puts(out, " unwind tables");
	}
	ap_buf_printf(out, "\n%10s", "");
	ns_text(out, s->finish_ns);
	ap_buf_puts(out, " to end\n");
}

/* How far the page can be believed, and what it has cost. */
static void trust(const struct ap_stat *s, struct ap_buf *page)
{
	const struct ap_session *n = &s->session;
	const struct ap_ledger *l = ap_profiler_ledger(n->profiler);
	_cleanup_buf_ struct ap_buf text = {0};
	struct ap_buf *out = &text;

	ap_buf_byte(page, '\n');
	if (n->profile->samples.n)
		ap_session_complete_text(l, out);
	if (ap_ledger_lost(l))
		ap_session_lost_text(l, out);
	/* A command's first call, which holds it back until it is watched, is no news. */
	if (ap_ledger_get(l, AP_LEDGER_SYSCALL_NO_START) > (n->command ? 1 : 0) ||
	    ap_ledger_get(l, AP_LEDGER_SYSCALL_TABLE_FULL) ||
	    ap_ledger_get(l, AP_LEDGER_SYSCALL_NO_MEMORY))
		ap_session_lost_calls_text(l, out);
	if (n->refused)
		ap_buf_printf(out, "note: %s\n", n->refused);
	if (n->kernel_names.code)
		ap_buf_printf(out, "note: %s\n", n->kernel_names.msg);
	wrap(s, &text, page);
	cost(s, page);
	if (s->set->output)
		ap_buf_printf(page, "wrote %s (%s, %" PRIu64 " KiB)\n", s->set->output,
			      ap_format_info(s->output_format)->name,
			      (s->output.bytes + 1023) / 1024);
}

int ap_stat_text(const struct ap_stat *s, struct ap_buf *out)
{
	struct ap_profiler_processes processes;
	int r = 0;

	ap_profiler_processes(s->session.profiler, &processes);
	headline(s, out);
	waits(s, out, &r);
	if (processes.sampled > 1)
		table(s, AP_VIEW_PROCESSES, "Processes: threads on average that ran and waited",
		      PROCESS_ROWS, out, &r);
	table(s, AP_VIEW_FUNCTIONS, "Functions on the CPU, by samples", s->set->rows, out, &r);
	table(s, AP_VIEW_WAITS, "Functions off the CPU", s->set->rows, out, &r);
	table(s, AP_VIEW_LOCKS, "Locks that threads held from others", s->set->rows, out, &r);
	other_locks(s, out, &r);
	table(s, AP_VIEW_SYSCALLS, "System calls", s->set->rows, out, &r);
	in_flight(s, out, &r);
	trust(s, out);
	return r < 0 ? r : ap_buf_error(out);
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/view.h"

#include "agent/profiler.h"
#include "cli/lock_table.h"
#include "cli/syscall_table.h"
#include "cli/view_internal.h"

static const struct ap_grid_column function_columns[] = {
	{"SELF", AP_GRID_SHARE, 7}, {"TIME", AP_GRID_NS, 9},	   {"CORES", AP_GRID_MEAN, 6},
	{"ALL", AP_GRID_SHARE, 7},  {"FUNCTION", AP_GRID_TEXT, 0},
};
static const struct ap_grid_column process_columns[] = {
	{"CPU", AP_GRID_MEAN, 6},     {"SYSTEM", AP_GRID_MEAN, 6},  {"RUNNABLE", AP_GRID_MEAN, 8},
	{"BLOCKED", AP_GRID_MEAN, 7}, {"LOCK", AP_GRID_MEAN, 6},    {"SYSCALLS", AP_GRID_COUNT, 9},
	{"PID", AP_GRID_ID, 8},	      {"PROCESS", AP_GRID_TEXT, 0},
};
static const struct ap_grid_column thread_columns[] = {
	{"CPU", AP_GRID_MEAN, 6},     {"SYSTEM", AP_GRID_MEAN, 6},  {"RUNNABLE", AP_GRID_MEAN, 8},
	{"BLOCKED", AP_GRID_MEAN, 7}, {"LOCK", AP_GRID_MEAN, 6},    {"PID", AP_GRID_ID, 8},
	{"THREAD", AP_GRID_TEXT, 16}, {"PROCESS", AP_GRID_TEXT, 0},
};
static const struct ap_grid_column service_columns[] = {
	{"CPU", AP_GRID_MEAN, 6},     {"SYSTEM", AP_GRID_MEAN, 6}, {"RUNNABLE", AP_GRID_MEAN, 8},
	{"BLOCKED", AP_GRID_MEAN, 7}, {"LOCK", AP_GRID_MEAN, 6},   {"SYSCALLS", AP_GRID_COUNT, 9},
	{"SERVICE", AP_GRID_TEXT, 0},
};
static const struct ap_grid_column wait_columns[] = {
	{"TIME", AP_GRID_SHARE, 7}, {"TOTAL", AP_GRID_NS, 9},	 {"WAITS", AP_GRID_COUNT, 9},
	{"MEAN", AP_GRID_NS, 9},    {"MOSTLY", AP_GRID_TEXT, 8}, {"FUNCTION", AP_GRID_TEXT, 0},
};
static const struct ap_grid_column lock_columns[] = {
	{"TIME", AP_GRID_SHARE, 7},
	{"TOTAL", AP_GRID_NS, 8},
	{"WAITS", AP_GRID_COUNT, 7},
	{"MEAN", AP_GRID_NS, 8},
	{"MAX", AP_GRID_NS, 8},
	{"KIND", AP_GRID_TEXT, 9},
	{"WAITS IN ← LET GO BY", AP_GRID_TEXT, 0},
};
static const struct ap_grid_column syscall_columns[] = {
	{"TOTAL", AP_GRID_NS, 8},  {"CALLS", AP_GRID_COUNT, 9},	     {"ERRORS", AP_GRID_COUNT, 7},
	{"P50", AP_GRID_NS, 8},	   {"P99", AP_GRID_NS, 8},	     {"MAX", AP_GRID_NS, 8},
	{"NOW", AP_GRID_COUNT, 5}, {"SYSTEM CALL", AP_GRID_TEXT, 0},
};

#define COLUMNS(c) .columns = (c), .n_columns = AP_ARRAY_SIZE(c)
#define ANY_MODE   (AP_MODE_CPU | AP_MODE_OFFCPU | AP_MODE_SYSCALL)
static const struct ap_view_info views[AP_VIEWS] = {
	[AP_VIEW_FUNCTIONS] = {"functions", "CPU", AP_MODE_CPU, 0, COLUMNS(function_columns)},
	[AP_VIEW_PROCESSES] = {"processes", "processes", ANY_MODE, 0, COLUMNS(process_columns)},
	[AP_VIEW_THREADS] = {"threads", "threads", AP_MODE_CPU | AP_MODE_OFFCPU, 0,
			     COLUMNS(thread_columns)},
	[AP_VIEW_SERVICES] = {"services", "services", ANY_MODE, 0, COLUMNS(service_columns)},
	[AP_VIEW_WAITS] = {"waits", "off-CPU", AP_MODE_OFFCPU, 0, COLUMNS(wait_columns)},
	[AP_VIEW_LOCKS] = {"locks", "locks", AP_MODE_LOCK, 0, COLUMNS(lock_columns)},
	[AP_VIEW_SYSCALLS] = {"syscalls", "syscalls", AP_MODE_SYSCALL, 0, COLUMNS(syscall_columns)},
};

const struct ap_view_info *ap_view_info(enum ap_view view)
{
	return &views[view];
}

static uint64_t mean(uint64_t ns, uint64_t count)
{
	return count ? ns / count : 0;
}

/* Adds a row whose last text is in `text`. */
static int add(struct ap_grid *g, struct ap_grid_cell *cells, struct ap_buf *text)
{
	int r = ap_buf_error(text);

	if (r == 0)
		r = ap_grid_keep(g, ap_buf_view(text), &cells[g->n_columns - 1].text);
	ap_buf_clear(text);
	return r < 0 ? r : ap_grid_add(g, cells);
}

static int functions(const struct ap_view_of *of, struct ap_grid *g)
{
	_cleanup_(ap_cleanup_tree_builder) struct ap_tree_builder *b = ap_tree_builder_new();
	_cleanup_(ap_cleanup_top) struct ap_top *top = NULL;
	_cleanup_buf_ struct ap_buf text = {0};
	struct ap_tree_rows rows = {.type = ap_profile_type_find(AP_STR("cpu:nanoseconds")),
				    .wanted = of->wanted};
	int r = b ? ap_tree_add_rows(b, of->profile, &rows, 0) : -ENOMEM;

	if (r == 0)
		r = ap_top_build(b, AP_TOP_SELF, 0, &top);
	for (uint32_t i = 0; r == 0 && i < top->n; i++) {
		const struct ap_top_row *row = &top->rows[i];
		struct ap_grid_cell cells[] = {{row->self[0]},
					       {row->self[0]},
					       {row->self[0]},
					       {row->total[0]},
					       {.value = 0}};

		g->total = top->total[0];
		ap_buf_str(&text, row->name);
		if (row->module.n)
			ap_buf_printf(&text, "  %.*s", AP_STR_ARG(row->module));
		r = add(g, cells, &text);
	}
	return r;
}

static int waits(const struct ap_view_of *of, struct ap_grid *g)
{
	_cleanup_(ap_wait_table_free) struct ap_wait_table t = {0};
	_cleanup_buf_ struct ap_buf text = {0};
	int r = ap_wait_table_build(of->profile, of->wanted, &t);

	g->total = t.sum.ns;
	AP_VEC_FOREACH(&t.rows, row) {
		struct ap_grid_cell cells[] = {
			{row->sum.ns},
			{row->sum.ns},
			{row->sum.count},
			{.value = mean(row->sum.ns, row->sum.count), .none = !row->sum.count},
			{.text = ap_str_of(ap_wait_cause_name(ap_wait_row_cause(row)))},
			{.value = 0}};

		ap_wait_function(of->profile, row->frame, &text);
		r = r ?: add(g, cells, &text);
	}
	return r;
}

static int locks(const struct ap_view_of *of, struct ap_grid *g)
{
	_cleanup_(ap_lock_table_free) struct ap_lock_table t = {0};
	_cleanup_buf_ struct ap_buf text = {0};
	int r = ap_lock_table_build(of->profile, of->wanted, &t);

	g->total = t.contended.ns;
	AP_VEC_FOREACH(&t.rows, row) {
		struct ap_grid_cell cells[] = {
			{row->sum.ns},
			{row->sum.ns},
			{row->sum.count},
			{.value = mean(row->sum.ns, row->sum.count), .none = !row->sum.count},
			{.value = row->max_ns, .none = !row->max_ns},
			{.text = row->kind},
			{.value = 0}};

		if (!row->contended)
			continue;
		ap_lock_text(of->profile, row, &text);
		r = r ?: ap_grid_keep(g, row->kind, &cells[5].text);
		r = r ?: add(g, cells, &text);
	}
	return r;
}

static struct ap_grid_cell latency(double ns)
{
	return (struct ap_grid_cell){.value = ns < 0 ? 0 : (uint64_t)ns, .none = ns < 0};
}

static int syscalls(const struct ap_view_of *of, struct ap_grid *g)
{
	_cleanup_(ap_syscall_table_free) struct ap_syscall_table t = {0};
	_cleanup_buf_ struct ap_buf text = {0};
	int r = ap_syscall_table_build(of->profile, of->wanted, &t);

	AP_VEC_FOREACH(&t.rows, row) {
		const struct ap_syscall_stat *s = &row->stat;
		struct ap_grid_cell cells[] = {{s->sum_ns},
					       {s->count},
					       {ap_syscall_counts_sum(&s->errors)},
					       latency(ap_syscall_quantile(s, 0.5)),
					       latency(ap_syscall_quantile(s, 0.99)),
					       {.value = s->max_ns, .none = !s->buckets.v.n},
					       {row->in_flight},
					       {.value = 0}};

		ap_syscall_row_name(row, &text);
		if (s->errors.v.n) {
			ap_buf_puts(&text, "  ");
			ap_syscall_row_errors(row, true, &text);
		}
		r = r ?: add(g, cells, &text);
	}
	return r;
}

int ap_view_build(enum ap_view view, const struct ap_view_of *of, struct ap_grid *ret)
{
	ret->columns = views[view].columns;
	ret->n_columns = views[view].n_columns;
	ret->time_ns = of->time_ns;
	switch (view) {
	case AP_VIEW_FUNCTIONS:
		return functions(of, ret);
	case AP_VIEW_WAITS:
		return waits(of, ret);
	case AP_VIEW_LOCKS:
		return locks(of, ret);
	case AP_VIEW_SYSCALLS:
		return syscalls(of, ret);
	default:
		return ap_view_build_groups(view, of, ret);
	}
}

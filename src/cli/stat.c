/* SPDX-License-Identifier: Apache-2.0 */
/* aperture stat: a command or some seconds of what runs, and one page about it: the CPU time, the waits,
 * the locks and the system calls. */
#include "cli/stat.h"

#include <stdio.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/io.h"
#include "cli/view.h"
#include "profile/lock_kind.h"

#define TARGET	 "What to look at (default: the command, without one the whole machine)"
#define FIELD(f) .offset = offsetof(struct ap_stat_settings, f)

enum { FORMAT_TEXT, FORMAT_JSON };
static const char *const formats[] = {"text", "json", NULL};

static const struct ap_option options[] = {
	AP_SESSION_OPTION_PID(struct ap_stat_settings, TARGET),
	AP_SESSION_OPTION_ALL(struct ap_stat_settings, TARGET),
	AP_SESSION_OPTION_CGROUP(struct ap_stat_settings, TARGET),
	{.name = "mode",
	 .type = AP_OPT_LIST,
	 .metavar = "MODE",
	 .value = "cpu,offcpu,lock,syscall",
	 .group = "How",
	 .help = "cpu, offcpu: where threads wait, lock: waits for locks, syscall: system calls",
	 FIELD(session.modes)},
	AP_SESSION_OPTION_WAIT_THRESHOLD(struct ap_stat_settings, "How"),
	AP_SESSION_OPTION_SYSCALLS(struct ap_stat_settings, "How"),
	AP_SESSION_OPTIONS_SYSCALL_STACKS(struct ap_stat_settings, "How"),
	AP_SESSION_OPTION_FREQUENCY(struct ap_stat_settings, "How"),
	AP_SESSION_OPTION_DURATION(struct ap_stat_settings, "How"),
	AP_SESSION_OPTION_MAX_FRAMES(struct ap_stat_settings, "How"),
	AP_SESSION_OPTION_TABLE_BYTES(struct ap_stat_settings, "How"),
	AP_SESSION_OPTION_MEMORY(struct ap_stat_settings, "How"),
	{.name = "rows",
	 .short_name = 'n',
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "8",
	 .min = 1,
	 .max = 1000000,
	 .group = "Output",
	 .help = "rows of each table; JSON has them all",
	 FIELD(rows)},
	{.name = "format",
	 .type = AP_OPT_ENUM,
	 .metavar = "FORMAT",
	 .value = "text",
	 .choices = formats,
	 .group = "Output",
	 .help = "text, or json for programs",
	 FIELD(format)},
	{.name = "report",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "Output",
	 .help = "where the page goes; - is stdout (default: stderr with a command, whose output "
		 "stdout is then, else stdout)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 FIELD(report)},
	{.name = "output",
	 .short_name = 'o',
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "Output",
	 .help = "also keep the profile, in the form that the file's name says",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 FIELD(output)},
};

static const struct ap_program program = {
	.name = "aperture stat",
	.section = "cli.stat",
	.sections = ap_cli_sections,
	.summary =
		"Says on one page where the time of a command, of processes or of the machine went.",
	.operands = "[--] [COMMAND ARG…]",
	.notes = "Ctrl-C ends it and shows the page.\n"
		 "Exit status: the command's own; else 0, 1 error, 2 usage, 4 not permitted, "
		 "5 nothing happened.",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.max_operands = SIZE_MAX,
	.operands_end_options = true,
	.file_optional = true,
};

/* The profile's file: what needs the dashboard's files is for `record`. Stacks of system calls are in no table. */
static int choose_output(struct ap_stat *s, const struct ap_config *cfg, struct ap_error *err)
{
	const char *path = s->set->output;

	if (!path && (ap_config_origin(cfg, "syscall-slow") == AP_CONFIG_FLAG ||
		      ap_config_origin(cfg, "syscall-errors") == AP_CONFIG_FLAG))
		return ap_error_set(err, -EINVAL,
				    "stacks of system calls are kept in the profile: give it a "
				    "file with -o");
	if (!path)
		return 0;
	s->output_format = AP_FORMAT_PPROF;
	ap_format_guess(ap_str_of(path), &s->output_format);
	if (s->output_format == AP_FORMAT_HTML)
		return ap_error_set(err, -EINVAL,
				    "--output %s: an HTML page is made by aperture record; pprof, "
				    "json, svg, collapsed and speedscope are for here",
				    path);
	if (strcmp(path, "-") == 0)
		return ap_error_set(err, -EINVAL, "--output: the profile goes to a file");
	return 0;
}

static int open_outputs(struct ap_stat *s, struct ap_error *err)
{
	const char *report = s->set->report;
	int fd = s->session.command ? STDERR_FILENO : STDOUT_FILENO;
	int e = 0;

	if (s->set->output)
		e = ap_output_open(&s->output, s->set->output, NULL, err);
	if (e == 0 && report && strcmp(report, "-") != 0)
		return ap_output_open(&s->report, report, NULL, err);
	s->style.terminal = ap_terminal_of(report ? STDOUT_FILENO : fd);
	s->style.width = s->style.terminal.tty ? s->style.terminal.columns : 0;
	return e;
}

/* Of a command the kernel has counted it, with that of all its children that were waited for. */
static void cpu_time(struct ap_stat *s)
{
	const struct ap_session *n = &s->session;
	struct rusage used;

	if (n->command && n->target == AP_TARGET_PIDS && !n->set->pids.n && n->child.pid == 0 &&
	    getrusage(RUSAGE_CHILDREN, &used) == 0) {
		s->user_ns = (uint64_t)used.ru_utime.tv_sec * AP_NSEC_PER_SEC +
			     (uint64_t)used.ru_utime.tv_usec * 1000;
		s->system_ns = (uint64_t)used.ru_stime.tv_sec * AP_NSEC_PER_SEC +
			       (uint64_t)used.ru_stime.tv_usec * 1000;
		s->is_exact = true;
		return;
	}
	AP_VEC_FOREACH(&n->profile->samples, row) {
		if (row->event != AP_EVENT_CPU)
			continue;
		if (ap_view_in_kernel(n->profile, row->stack))
			s->system_ns += row->value;
		else
			s->user_ns += row->value;
	}
}

/* Whether the row tells of a wait in code of ours: of the command's process, before it was the command. */
static bool is_at_barrier(const struct ap_profile *p, const struct ap_sample *row)
{
	bool outside;
	uint32_t frame = ap_lock_waiter(p, row->stack, &outside);
	uint32_t mapping = ap_profile_get_frame(p, frame)->mapping;

	return ap_str_is(ap_profile_module(p, mapping), program_invocation_short_name);
}

static void leave_out_barrier(struct ap_stat *s)
{
	struct ap_profile *p = s->session.profile;
	char pid[16];
	size_t n = 0;

	snprintf(pid, sizeof(pid), "%d", s->command_pid);
	for (size_t i = 0; i < p->samples.n; i++) {
		const struct ap_sample *row = &p->samples.p[i];

		if (row->event == AP_EVENT_OFFCPU && row->time_ns <= s->command_ns &&
		    ap_str_is(ap_profile_label_value(p, row->labels, AP_STR("pid")), pid) &&
		    is_at_barrier(p, row)) {
			s->held_back.count += row->count;
			s->held_back.ns += row->value;
			continue;
		}
		p->samples.p[n++] = *row;
	}
	p->samples.n = n;
}

static int keep_profile(struct ap_stat *s, struct ap_error *err)
{
	uint64_t lost = ap_ledger_lost(ap_profiler_ledger(s->session.profiler));
	struct ap_format_options o = {.lost = &lost};
	struct ap_sink sink = {ap_output_write, &s->output};
	int e;

	if (!s->set->output)
		return 0;
	if (s->session.modes & AP_MODE_OFFCPU)
		o.type = ap_profile_type_find(AP_STR("wall:nanoseconds"));
	e = ap_format_write(s->output_format, s->session.profile, &o, sink, err);
	if (e < 0 && !err->msg[0])
		ap_error_set(err, e, "cannot write %s: %s", s->set->output, ap_strerror(e));
	return e < 0 ? e : ap_output_commit(&s->output, err);
}

static int put_report(struct ap_stat *s, struct ap_error *err)
{
	const char *path = s->set->report;
	bool is_file = path && strcmp(path, "-") != 0;
	int fd = !path && s->session.command ? STDERR_FILENO : STDOUT_FILENO;
	_cleanup_buf_ struct ap_buf page = {0};
	int e = s->set->format == FORMAT_JSON ? ap_stat_json(s, &page) : ap_stat_text(s, &page);

	if (e == 0)
		e = is_file ? ap_output_write(&s->report, page.p, page.n)
			    : ap_write_all(fd, page.p, page.n);
	if (e < 0 && e != -EPIPE)
		return ap_error_set(err, e, "the page cannot be written: %s", ap_strerror(e));
	return is_file ? ap_output_commit(&s->report, err) : 0;
}

static int finish(struct ap_stat *s, struct ap_error *err)
{
	struct ap_session *n = &s->session;
	int e;

	ap_session_end_command(n);
	if (n->end == AP_SESSION_END_ABORT)
		return 0;
	cpu_time(s);
	leave_out_barrier(s);
	e = keep_profile(s, err);
	s->finish_ns = ap_clock_mono_ns() - n->end_ns;
	if (e == 0)
		e = put_report(s, err);
	if (e == 0)
		ap_session_wait_command(n);
	return e;
}

static int run(struct ap_stat *s)
{
	struct ap_session *n = &s->session;
	struct ap_error err = {0};
	int e = ap_session_open(n, &err);

	if (e < 0)
		return ap_cli_fail(&program, &err);
	e = open_outputs(s, &err);
	if (e < 0) {
		ap_cli_say(&program, "%s", err.msg);
		return AP_EXIT_ERROR;
	}
	e = ap_session_start(n, &err);
	if (e < 0)
		return ap_session_start_failed(n, &err);
	s->command_pid = n->child.pid;
	s->command_ns = ap_clock_unix_ns();
	e = ap_session_run(n, &err);
	if (e == 0)
		e = finish(s, &err);
	return e < 0 ? ap_cli_fail(&program, &err) : ap_session_status(n);
}

static void stat_free(struct ap_stat *s)
{
	ap_session_close(&s->session);
	ap_output_close(&s->report);
	ap_output_close(&s->output);
}

int ap_cmd_stat(int argc, char **argv)
{
	struct ap_stat_settings set = {0};
	_cleanup_config_ struct ap_config cfg = {0};
	_cleanup_(stat_free) struct ap_stat s = {
		.set = &set,
		.session = {.program = &program,
			    .set = &set.session,
			    .exact_time = true,
			    AP_SESSION_INIT},
		.report = AP_OUTPUT_INIT,
		.output = AP_OUTPUT_INIT,
	};
	struct ap_error err = {0};
	int status;

	if (!ap_cli_parse(&cfg, &program, &set, argc, argv, &status))
		return status;
	s.session.command = cfg.n_operands ? cfg.operands : NULL;
	s.session.quiet = s.session.command; /* whose own words the terminal is for */
	if (ap_session_prepare(&s.session, &cfg, &err) < 0 || choose_output(&s, &cfg, &err) < 0) {
		status = ap_cli_fail(&program, &err);
		return err.code == -EINVAL ? AP_EXIT_USAGE : status;
	}
	return run(&s);
}

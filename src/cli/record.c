/* SPDX-License-Identifier: Apache-2.0 */
/* aperture record: the agent's library used in this process. Everything that can fail is tried
 * before sampling begins: options, output file, permissions, the command. */
#include "cli/record.h"

#include "base/io.h"
#include "base/json.h"
#include "cli/syscall_table.h"

static const char *const formats[] = {"pprof", "collapsed",  "svg", "html",
				      "json",  "speedscope", NULL};

#define TARGET	 "What to profile (default: the command, without one the whole machine)"
#define FIELD(f) .offset = offsetof(struct ap_record_settings, f)
static const struct ap_option options[] = {
	AP_SESSION_OPTION_PID(struct ap_record_settings, TARGET),
	AP_SESSION_OPTION_ALL(struct ap_record_settings, TARGET),
	AP_SESSION_OPTION_CGROUP(struct ap_record_settings, TARGET),
	{.name = "mode",
	 .type = AP_OPT_LIST,
	 .metavar = "MODE",
	 .group = "How",
	 .help = "cpu (the default), offcpu: where threads wait, lock: waits for locks, wall: cpu and "
		 "offcpu, syscall: a table of system calls; several may be given",
	 FIELD(session.modes)},
	AP_SESSION_OPTION_WAIT_THRESHOLD(struct ap_record_settings, "How"),
	AP_SESSION_OPTION_SYSCALLS(struct ap_record_settings, "How"),
	AP_SESSION_OPTIONS_SYSCALL_STACKS(struct ap_record_settings, "How"),
	{.name = "wakers",
	 .type = AP_OPT_BOOL,
	 .group = "How",
	 .help = "in mode offcpu also who ended each wait, with the stacks (types waker:*)",
	 FIELD(session.wakers)},
	AP_SESSION_OPTION_FREQUENCY(struct ap_record_settings, "How"),
	AP_SESSION_OPTION_DURATION(struct ap_record_settings, "How"),
	AP_SESSION_OPTION_MAX_FRAMES(struct ap_record_settings, "How"),
	AP_SESSION_OPTION_TABLE_BYTES(struct ap_record_settings, "How"),
	AP_SESSION_OPTION_MEMORY(struct ap_record_settings, "How"),
	{.name = "output",
	 .short_name = 'o',
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "Output",
	 .help = "where the profile goes; - is stdout (default: a new profile.pb.gz here)",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 FIELD(output)},
	{.name = "format",
	 .type = AP_OPT_ENUM,
	 .metavar = "FORMAT",
	 .value = "pprof",
	 .choices = formats,
	 .group = "Output",
	 .help = "form of the profile, else guessed from the file's name",
	 FIELD(format)},
	{.name = "ledger",
	 .type = AP_OPT_STRING,
	 .metavar = "FILE",
	 .group = "Output",
	 .help = "also write what was lost where, and what profiling cost, as JSON; - is stdout",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 FIELD(ledger)},
	{.name = "quiet",
	 .short_name = 'q',
	 .type = AP_OPT_BOOL,
	 .group = "Output",
	 .help = "neither progress nor summary",
	 FIELD(quiet)},
	{.name = "ui-dir",
	 .type = AP_OPT_STRING,
	 .metavar = "DIR",
	 .group = "Output",
	 .help = "the dashboard's files, for --format html (default: found beside this program)",
	 FIELD(ui_dir)},
	{.name = "service",
	 .type = AP_OPT_STRING,
	 .metavar = "NAME",
	 .group = "Labels",
	 .help = "service of all samples (default: found out for each process)",
	 FIELD(session.service)},
	{.name = "label",
	 .type = AP_OPT_LIST,
	 .metavar = "KEY=VALUE",
	 .group = "Labels",
	 .help = "a label of all samples; may be repeated",
	 FIELD(session.labels)},
};

static const struct ap_program program = {
	.name = "aperture record",
	.section = "cli.record",
	.sections = ap_cli_sections,
	.summary = "Profiles the whole machine, processes, a cgroup or a command, and writes the "
		   "profile.",
	.operands = "[--] [COMMAND ARG…]",
	.notes = "Ctrl-C ends the recording and writes it; another one while it is being written "
		 "discards it. With a command, -p, -a or --cgroup profile that while the command "
		 "runs.\n"
		 "Exit status: the command's own; else 0, 1 error, 2 usage, 4 not permitted, "
		 "5 no samples.",
	.options = options,
	.n_options = AP_ARRAY_SIZE(options),
	.max_operands = SIZE_MAX,
	.operands_end_options = true,
	.file_optional = true,
};

/* --format on the command line, else what the file's name says, else --format from elsewhere. */
static enum ap_format choose_format(const struct ap_config *cfg,
				    const struct ap_record_settings *set)
{
	enum ap_format f = AP_FORMAT_PPROF;

	ap_format_by_name(ap_str_of(formats[set->format]), &f);
	if (set->output && ap_config_origin(cfg, "format") != AP_CONFIG_FLAG)
		ap_format_guess(ap_str_of(set->output), &f);
	return f;
}

/* Where the profile or the table goes; NULL: to a new file. */
static const char *output_path(const struct ap_recording *r)
{
	return r->set->output ? r->set->output : ap_record_counts_only(r) ? "-" : NULL;
}

static int check_output(const struct ap_recording *r, struct ap_error *err)
{
	const char *path = output_path(r);
	bool is_stdout = path && strcmp(path, "-") == 0;

	if (r->set->ledger && strcmp(r->set->ledger, "-") == 0 && is_stdout)
		return ap_error_set(err, -EINVAL,
				    "the %s and --ledger cannot both be on stdout: give -o FILE",
				    ap_record_counts_only(r) ? "table" : "profile");
	if (ap_record_counts_only(r) && r->format != AP_FORMAT_PPROF && r->format != AP_FORMAT_JSON)
		return ap_error_set(err, -EINVAL,
				    "system calls are written as text, or with --format json");
	if (r->format == AP_FORMAT_PPROF && is_stdout && !ap_record_counts_only(r) &&
	    isatty(STDOUT_FILENO))
		return ap_error_set(err, -EINVAL,
				    "pprof is not for a terminal: redirect it, or "
				    "choose another --format such as collapsed");
	return 0;
}

const struct ap_profile_type *ap_record_type(const struct ap_recording *r)
{
	uint32_t modes = r->session.modes & ~(uint32_t)AP_MODE_SYSCALL;
	const char *name = modes == AP_MODE_CPU	     ? "cpu:nanoseconds"
			   : modes == AP_MODE_OFFCPU ? "offcpu:nanoseconds"
			   : modes == AP_MODE_LOCK   ? "lock:nanoseconds"
			   : modes == 0		     ? "syscall:nanoseconds"
						     : "wall:nanoseconds";

	return ap_profile_type_find(ap_str_of(name));
}

static void syscalls_json(const struct ap_recording *r, const struct ap_syscall_table *t,
			  struct ap_buf *out)
{
	ap_buf_byte(out, '{');
	ap_json_key(out, "version");
	ap_json_string(out, AP_STR(APERTURE_VERSION));
	ap_json_key(out, "duration_ns");
	ap_json_u64(out, r->session.stop_ns - r->session.start_ns);
	ap_json_key(out, "count");
	ap_json_u64(out, t->count);
	ap_json_key(out, "sum_ns");
	ap_json_u64(out, t->sum_ns);
	ap_json_key(out, "syscalls");
	ap_syscall_table_json(t, out);
	ap_buf_puts(out, "}\n");
}

/* JSON where that was asked for or the file's name says so; else text. */
static int write_syscalls(struct ap_recording *r, struct ap_error *err)
{
	_cleanup_(ap_syscall_table_free) struct ap_syscall_table t = {0};
	_cleanup_buf_ struct ap_buf b = {0};
	int e = ap_syscall_table_build(r->session.profile, NULL, &t);

	if (r->format == AP_FORMAT_JSON)
		syscalls_json(r, &t, &b);
	else
		ap_syscall_table_text(&t, &b);
	if (e == 0)
		e = ap_buf_error(&b);
	if (e == 0)
		e = ap_output_write(&r->out, b.p, b.n);
	if (e < 0)
		return ap_error_set(err, e, "cannot write %s: %s", r->out.path, ap_strerror(e));
	return ap_output_commit(&r->out, err);
}

static int write_profile(struct ap_recording *r, struct ap_error *err)
{
	uint64_t lost = ap_ledger_lost(ap_profiler_ledger(r->session.profiler));
	struct ap_format_options o = {.lost = &lost, .html_template = r->html_template};
	struct ap_sink sink = {ap_output_write, &r->out};
	int e;

	if (ap_record_counts_only(r))
		return write_syscalls(r, err);
	if (r->session.modes & ~(uint32_t)AP_MODE_CPU)
		o.type = ap_record_type(r);
	e = ap_format_write(r->format, r->session.profile, &o, sink, err);

	if (e == -ECANCELED)
		return ap_error_set(err, e, "interrupted: nothing was written");
	if (e < 0 && !(err->code == e && err->msg[0]))
		return ap_error_set(err, e, "cannot write %s: %s", r->out.path, ap_strerror(e));
	return e < 0 ? e : ap_output_commit(&r->out, err);
}

static int write_ledger(struct ap_recording *r, struct ap_error *err)
{
	_cleanup_output_ struct ap_output out = AP_OUTPUT_INIT;
	_cleanup_buf_ struct ap_buf json = {0};
	int e;

	if (!r->set->ledger)
		return 0;
	ap_session_ledger_json(&r->session, &json);
	ap_buf_byte(&json, '\n');
	e = ap_buf_error(&json);
	if (e == 0)
		e = ap_output_open(&out, r->set->ledger, NULL, err);
	if (e == 0)
		e = ap_output_write(&out, json.p, json.n);
	if (e < 0)
		return ap_error_set(err, e, "cannot write %s: %s", r->set->ledger, ap_strerror(e));
	return ap_output_commit(&out, err);
}

static int finish(struct ap_recording *r, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0};
	struct ap_session *s = &r->session;
	int e = 0;

	ap_session_end_command(s);
	if (s->end != AP_SESSION_END_ABORT)
		e = write_profile(r, err);
	if (e == 0)
		e = write_ledger(r, err);
	if (e == -ECANCELED)
		s->end = AP_SESSION_END_ABORT;
	if (e < 0)
		return e;
	if (!r->set->quiet && s->end != AP_SESSION_END_ABORT) {
		ap_record_summary(r, &text);
		ap_write_all(STDERR_FILENO, text.p, text.n);
	} else if (s->profile->samples.n == 0 && s->profile->syscalls.n == 0) {
		ap_cli_say(&program, "no samples");
	}
	ap_session_wait_command(s);
	return 0;
}

/* What is prepared before anything runs. A usage error has the code -EINVAL. */
static int prepare(struct ap_recording *r, const struct ap_config *cfg, struct ap_error *err)
{
	int e = ap_session_prepare(&r->session, cfg, err);

	if (e == 0)
		e = check_output(r, err);
	if (e == 0 && r->format == AP_FORMAT_HTML)
		e = ap_cli_ui_file(r->set->ui_dir, "standalone.html", &r->html_template, err);
	return e;
}

static int run(struct ap_recording *r)
{
	struct ap_session *s = &r->session;
	struct ap_error err = {0};
	int e = ap_session_open(s, &err);

	if (e < 0)
		return ap_cli_fail(&program, &err);
	e = ap_output_open(&r->out, output_path(r), ap_format_info(r->format)->extension, &err);
	if (e < 0) {
		ap_cli_say(&program, "%s", err.msg);
		return AP_EXIT_ERROR;
	}
	e = ap_session_start(s, &err);
	if (e < 0)
		return ap_session_start_failed(s, &err);
	e = ap_session_run(s, &err);
	if (e == 0)
		e = finish(r, &err);
	if (e < 0 && s->end == AP_SESSION_END_ABORT) {
		ap_cli_say(&program, "%s", err.msg);
		return 128 + SIGINT;
	}
	return e < 0 ? ap_cli_fail(&program, &err) : ap_session_status(s);
}

static void recording_free(struct ap_recording *r)
{
	ap_session_close(&r->session);
	ap_output_close(&r->out);
	free(r->html_template);
}

int ap_cmd_record(int argc, char **argv)
{
	struct ap_record_settings set = {0};
	_cleanup_config_ struct ap_config cfg = {0};
	_cleanup_(recording_free) struct ap_recording r = {
		.set = &set,
		.session = {.program = &program,
			    .set = &set.session,
			    .exact_time = true,
			    AP_SESSION_INIT},
		.out = {.fd = -1, .cancelled = ap_session_aborted, .ctx = &r.session}};
	struct ap_error err = {0};
	int status;

	if (!ap_cli_parse(&cfg, &program, &set, argc, argv, &status))
		return status;
	r.session.command = cfg.n_operands ? cfg.operands : NULL;
	r.session.quiet = set.quiet;
	r.format = choose_format(&cfg, &set);
	if (prepare(&r, &cfg, &err) < 0) {
		status = ap_cli_fail(&program, &err);
		return err.code == -EINVAL ? AP_EXIT_USAGE : status;
	}
	return run(&r);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* aperture record: the agent's library used in this process. Everything that can fail is tried
 * before sampling begins: options, output file, permissions, the command. */
#include "cli/record.h"

#include <signal.h>
#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/io.h"

static const char *const formats[] = {"pprof", "collapsed",  "svg", "html",
				      "json",  "speedscope", NULL};

#define FIELD(f) .offset = offsetof(struct ap_record_settings, f)
static const struct ap_option options[] = {
	{.name = "pid",
	 .short_name = 'p',
	 .type = AP_OPT_LIST,
	 .metavar = "PID[,PID…]",
	 .group = "What to profile (default: the command, without one the whole machine)",
	 .help = "these processes and the children they start from now on",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 FIELD(pids)},
	{.name = "all",
	 .short_name = 'a',
	 .type = AP_OPT_BOOL,
	 .group = "What to profile (default: the command, without one the whole machine)",
	 .help = "the whole machine",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 FIELD(all)},
	{.name = "cgroup",
	 .type = AP_OPT_STRING,
	 .metavar = "PATH",
	 .group = "What to profile (default: the command, without one the whole machine)",
	 .help = "a cgroup v2 and those below it, such as /system.slice/nginx.service",
	 .flags = AP_OPT_F_FLAG_ONLY,
	 FIELD(cgroup)},
	{.name = "mode",
	 .type = AP_OPT_LIST,
	 .metavar = "MODE",
	 .group = "How",
	 .help = "cpu (the default), offcpu: where threads wait, lock: waits for locks, wall: cpu and "
		 "offcpu, syscall: a table of system calls; several may be given",
	 FIELD(modes)},
	{.name = "wait-threshold",
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .value = "1ms",
	 .group = "How",
	 .help = "shorter waits are counted without their stacks",
	 FIELD(wait_threshold)},
	{.name = "frequency",
	 .short_name = 'F',
	 .type = AP_OPT_UINT,
	 .metavar = "HZ",
	 .value = "99",
	 .min = 1,
	 .max = AP_FREQUENCY_MAX,
	 .group = "How",
	 .help = "samples per second and CPU",
	 FIELD(frequency)},
	{.name = "duration",
	 .short_name = 'd',
	 .type = AP_OPT_DURATION,
	 .metavar = "TIME",
	 .group = "How",
	 .help = "stop after so many seconds (or 500ms, 2m); a command that still runs is ended",
	 FIELD(duration)},
	{.name = "max-frames",
	 .type = AP_OPT_UINT,
	 .metavar = "N",
	 .value = "512",
	 .min = 16,
	 .max = AP_USER_FRAMES_MAX,
	 .group = "How",
	 .help = "frames of a user stack before it is cut and marked as truncated",
	 FIELD(max_frames)},
	{.name = "table-bytes",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .min = 1 << 20,
	 .max = 1 << 30,
	 .group = "How",
	 .help = "memory for unwind tables (default: 64MiB, taken as needed; before Linux 6.9 "
		 "8MiB, taken at once)",
	 FIELD(table_bytes)},
	{.name = "memory",
	 .type = AP_OPT_BYTES,
	 .metavar = "SIZE",
	 .value = "1GiB",
	 .min = 1 << 20,
	 .group = "How",
	 .help = "end the recording when the profile holds so much",
	 FIELD(memory)},
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
	 FIELD(service)},
	{.name = "label",
	 .type = AP_OPT_LIST,
	 .metavar = "KEY=VALUE",
	 .group = "Labels",
	 .help = "a label of all samples; may be repeated",
	 FIELD(labels)},
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

static int parse_labels(const struct ap_strings *list, struct ap_user_label **ret,
			struct ap_error *err)
{
	_cleanup_free_ struct ap_user_label *labels = calloc(list->n + 1, sizeof(*labels));
	int r;

	if (!labels)
		return ap_error_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < list->n; i++) {
		r = ap_user_label_parse(ap_str_of(list->p[i]), &labels[i], err);
		if (r < 0)
			return ap_error_prefix(err, "--label");
	}
	*ret = AP_TAKE_PTR(labels);
	return 0;
}

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

static int choose_target(struct ap_recording *r, struct ap_error *err)
{
	const struct ap_record_settings *set = r->set;

	if (!!set->pids.n + set->all + !!set->cgroup > 1)
		return ap_error_set(err, -EINVAL, "give only one of --pid, --all and --cgroup");
	if (set->cgroup)
		r->target = AP_TARGET_CGROUP;
	else if (set->pids.n || (r->command && !set->all))
		r->target = AP_TARGET_PIDS;
	else
		r->target = AP_TARGET_MACHINE;
	return check_output(r, err);
}

/* Signals arrive at the loop's descriptor from here on; `ret_mask` is what was there before. */
static int take_signals(struct ap_recording *r, sigset_t *ret_mask, struct ap_error *err)
{
	static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2};
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < AP_ARRAY_SIZE(caught); i++)
		sigaddset(&mask, caught[i]);
	sigprocmask(SIG_BLOCK, &mask, ret_mask);
	signal(SIGPIPE, SIG_IGN);
	r->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->signals < 0)
		return ap_error_set(err, -errno, "cannot take signals: %s", ap_strerror(errno));
	return 0;
}

static int open_profiler(struct ap_recording *r, const int32_t *pids, struct ap_error *err)
{
	struct ap_profiler_options o = {
		.modes = r->modes,
		.wait_threshold_ns = r->set->wait_threshold,
		.frequency_hz = (uint32_t)r->set->frequency,
		.target = r->target,
		.pids = pids,
		.n_pids = r->set->pids.n,
		.cgroup = r->set->cgroup,
		.exact_time = true,
		.max_user_frames = (uint32_t)r->set->max_frames,
		.table_bytes = r->set->table_bytes,
	};

	int e = ap_profiler_open(&o, err, &r->profiler);

	if (e == 0)
		r->refused = ap_profiler_refused(r->profiler, &r->modes);
	return e;
}

static int open_batcher(struct ap_recording *r, const struct ap_user_label *labels,
			struct ap_error *err)
{
	struct ap_batcher_opts o = {
		.service = ap_str_of(r->set->service),
		.labels = labels,
		.n_labels = r->set->labels.n,
	};

	if (gethostname(r->host, sizeof(r->host) - 1) < 0)
		strcpy(r->host, "localhost");
	r->symbolizer = ap_symbolizer_new(NULL);
	r->kube = ap_kube_names_new(NULL);
	r->profile = ap_profile_new();
	if (!r->symbolizer || !r->kube || !r->profile)
		return ap_error_set(err, -ENOMEM, "out of memory");
	ap_symbolizer_kernel_status(r->symbolizer, &r->kernel_names);
	o.host = ap_str_of(r->host);
	o.symbolizer = r->symbolizer;
	o.kube = r->kube;
	o.ledger = ap_profiler_ledger(r->profiler);
	r->batcher = ap_batcher_new(&o);
	return r->batcher ? 0 : ap_error_set(err, -ENOMEM, "out of memory");
}

/* The command's program, and the first of its arguments that is one: `sudo` and its like run it. */
static void expect_programs(struct ap_recording *r)
{
	unsigned int n = 0;

	for (char *const *arg = r->command; arg && *arg && n < 2; arg++) {
		_cleanup_free_ char *path = **arg == '-' ? NULL : ap_child_find(*arg);

		if (path) {
			ap_profiler_expect(r->profiler, path);
			n++;
		}
	}
}

/* Starts the command's process, and sampling; then lets the command run. */
static int start(struct ap_recording *r, const sigset_t *mask, struct ap_error *err)
{
	int e = 0;

	expect_programs(r);
	if (r->command)
		e = ap_child_spawn(&r->child, r->command, mask, err);
	if (e == 0 && r->command && r->target == AP_TARGET_PIDS && !r->set->pids.n)
		e = ap_profiler_add_target(r->profiler, r->child.pid, err);
	if (e == 0)
		e = ap_profiler_start(r->profiler, err);
	r->start_ns = ap_clock_mono_ns();
	if (e == 0 && r->command)
		e = ap_child_release(&r->child, r->command[0], err);
	return e;
}

const struct ap_profile_type *ap_record_type(const struct ap_recording *r)
{
	const char *name = r->modes == AP_MODE_CPU	? "cpu:nanoseconds"
			   : r->modes == AP_MODE_OFFCPU ? "offcpu:nanoseconds"
			   : r->modes == AP_MODE_LOCK	? "lock:nanoseconds"
							: "wall:nanoseconds";

	return ap_profile_type_find(ap_str_of(name));
}

/* JSON where that was asked for or the file's name says so; else text. */
static int write_syscalls(struct ap_recording *r, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf b = {0};
	int e = r->format == AP_FORMAT_JSON ? ap_record_syscalls_json(r, &b)
					    : ap_record_syscalls_text(r, &b);

	if (e == 0)
		e = ap_output_write(&r->out, b.p, b.n);
	if (e < 0)
		return ap_error_set(err, e, "cannot write %s: %s", r->out.path, ap_strerror(e));
	return ap_output_commit(&r->out, err);
}

static int write_profile(struct ap_recording *r, struct ap_error *err)
{
	uint64_t lost = ap_ledger_lost(ap_profiler_ledger(r->profiler));
	struct ap_format_options o = {.lost = &lost, .html_template = r->html_template};
	struct ap_sink sink = {ap_output_write, &r->out};
	int e;

	if (ap_record_counts_only(r))
		return write_syscalls(r, err);
	if (r->modes & ~(uint32_t)AP_MODE_CPU)
		o.type = ap_record_type(r);
	e = ap_format_write(r->format, r->profile, &o, sink, err);

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
	ap_record_ledger_json(r, &json);
	e = ap_buf_error(&json);
	if (e == 0)
		e = ap_output_open(&out, r->set->ledger, NULL, err);
	if (e == 0)
		e = ap_output_write(&out, json.p, json.n);
	if (e < 0)
		return ap_error_set(err, e, "cannot write %s: %s", r->set->ledger, ap_strerror(e));
	return ap_output_commit(&out, err);
}

/* The exit status of a recording that went well. */
static int final_status(const struct ap_recording *r)
{
	if (r->end == AP_RECORD_END_ABORT)
		return 128 + SIGINT;
	if (r->command && r->end != AP_RECORD_END_DURATION)
		return ap_child_exit_status(&r->child);
	return r->profile->samples.n || r->profile->syscalls.n ? AP_EXIT_OK : AP_EXIT_NO_SAMPLES;
}

static int finish(struct ap_recording *r, struct ap_error *err)
{
	_cleanup_buf_ struct ap_buf text = {0};
	int e = 0;

	if (r->end != AP_RECORD_END_MEMORY)
		ap_child_end(&r->child, 5 * AP_NSEC_PER_SEC);
	if (r->end != AP_RECORD_END_ABORT)
		e = write_profile(r, err);
	if (e == 0)
		e = write_ledger(r, err);
	if (e == -ECANCELED)
		r->end = AP_RECORD_END_ABORT;
	if (e < 0)
		return e;
	if (!r->set->quiet && r->end != AP_RECORD_END_ABORT) {
		ap_record_summary(r, &text);
		ap_write_all(STDERR_FILENO, text.p, text.n);
	} else if (r->profile->samples.n == 0 && r->profile->syscalls.n == 0) {
		ap_cli_say(&program, "no samples");
	}
	ap_record_wait_command(r);
	return 0;
}

/* What is prepared before anything runs. A usage error has the code -EINVAL. */
static int prepare(struct ap_recording *r, int32_t **pids, struct ap_user_label **labels,
		   struct ap_error *err)
{
	int e = ap_modes_parse(&r->set->modes, &r->modes, err);

	if (e == 0)
		e = choose_target(r, err);
	if (e == 0)
		e = ap_pids_parse(&r->set->pids, pids, err);
	if (e == 0)
		e = parse_labels(&r->set->labels, labels, err);
	if (e == 0 && r->format == AP_FORMAT_HTML)
		e = ap_cli_ui_file(r->set->ui_dir, "standalone.html", &r->html_template, err);
	return e;
}

static int run(struct ap_recording *r, const int32_t *pids, const struct ap_user_label *labels)
{
	struct ap_error err = {0};
	sigset_t mask;
	int e = take_signals(r, &mask, &err);

	if (e == 0)
		e = open_profiler(r, pids, &err);
	if (e == 0)
		e = open_batcher(r, labels, &err);
	if (e < 0)
		return ap_cli_fail(&program, &err);
	e = ap_output_open(&r->out, output_path(r), ap_format_info(r->format)->extension, &err);
	if (e < 0) {
		ap_cli_say(&program, "%s", err.msg);
		return AP_EXIT_ERROR;
	}
	e = start(r, &mask, &err);
	if (e < 0 && r->command && !r->child.ran) {
		ap_cli_say(&program, "%s", err.msg);
		return e == -ENOENT ? 127 : 126;
	}
	if (e == 0)
		e = ap_record_sample(r, &err);
	if (e == 0)
		e = finish(r, &err);
	if (e < 0 && r->end == AP_RECORD_END_ABORT) {
		ap_cli_say(&program, "%s", err.msg);
		return 128 + SIGINT;
	}
	return e < 0 ? ap_cli_fail(&program, &err) : final_status(r);
}

static void recording_free(struct ap_recording *r)
{
	ap_child_end(&r->child, AP_NSEC_PER_SEC);
	ap_batcher_free(r->batcher);
	ap_profiler_free(r->profiler);
	ap_symbolizer_free(r->symbolizer);
	ap_kube_names_free(r->kube);
	ap_profile_free(r->profile);
	ap_output_close(&r->out);
	free(r->html_template);
	if (r->signals >= 0)
		close(r->signals);
}

int ap_cmd_record(int argc, char **argv)
{
	struct ap_record_settings set = {0};
	_cleanup_config_ struct ap_config cfg = {0};
	_cleanup_free_ int32_t *pids = NULL;
	_cleanup_free_ struct ap_user_label *labels = NULL;
	_cleanup_(recording_free) struct ap_recording r = {
		.program = &program,
		.set = &set,
		.child = AP_CHILD_INIT,
		.signals = -1,
		.out = {.fd = -1, .cancelled = ap_record_aborted, .ctx = &r}};
	struct ap_error err = {0};
	int status;

	if (!ap_cli_parse(&cfg, &program, &set, argc, argv, &status))
		return status;
	r.command = cfg.n_operands ? cfg.operands : NULL;
	r.format = choose_format(&cfg, &set);
	if (prepare(&r, &pids, &labels, &err) < 0) {
		status = ap_cli_fail(&program, &err);
		return err.code == -EINVAL ? AP_EXIT_USAGE : status;
	}
	return run(&r, pids, labels);
}

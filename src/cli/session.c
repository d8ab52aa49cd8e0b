/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/session.h"

#include <sys/signalfd.h>

#include "base/clock.h"

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

static int choose_target(struct ap_session *s, struct ap_error *err)
{
	const struct ap_session_settings *set = s->set;

	if (!!set->pids.n + set->all + !!set->cgroup > 1)
		return ap_error_set(err, -EINVAL, "give only one of --pid, --all and --cgroup");
	if (set->cgroup)
		s->target = AP_TARGET_CGROUP;
	else if (set->pids.n || (s->command && !set->all))
		s->target = AP_TARGET_PIDS;
	else
		s->target = AP_TARGET_MACHINE;
	return 0;
}

/* Options of a mode that is not given are a mistake where they were typed. */
static int check_mode(const struct ap_session *s, const struct ap_config *cfg, struct ap_error *err)
{
	static const char *const of_syscalls[] = {"syscalls", "syscall-slow", "syscall-errors"};

	for (size_t i = 0; i < AP_ARRAY_SIZE(of_syscalls); i++)
		if (!(s->modes & AP_MODE_SYSCALL) &&
		    ap_config_origin(cfg, of_syscalls[i]) == AP_CONFIG_FLAG)
			return ap_error_set(err, -EINVAL,
					    "--%s is of --mode syscall: give that too",
					    of_syscalls[i]);
	return 0;
}

int ap_session_prepare(struct ap_session *s, const struct ap_config *cfg, struct ap_error *err)
{
	int e = ap_modes_parse(&s->set->modes, &s->modes, err);

	if (e == 0)
		e = check_mode(s, cfg, err);
	if (e == 0)
		e = ap_syscall_options_parse(&s->set->syscalls, &s->set->syscall_errors,
					     s->set->syscall_slow, s->set->syscall_stack_rate,
					     &s->syscalls, err);
	if (e == 0)
		e = choose_target(s, err);
	if (e == 0)
		e = ap_pids_parse(&s->set->pids, &s->pids, err);
	return e < 0 ? e : parse_labels(&s->set->labels, &s->labels, err);
}

/* Signals arrive at a descriptor from here on. */
static int take_signals(struct ap_session *s, struct ap_error *err)
{
	static const int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGUSR1, SIGUSR2};
	sigset_t mask;

	sigemptyset(&mask);
	for (size_t i = 0; i < AP_ARRAY_SIZE(caught); i++)
		sigaddset(&mask, caught[i]);
	sigprocmask(SIG_BLOCK, &mask, &s->mask);
	signal(SIGPIPE, SIG_IGN);
	s->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signals < 0)
		return ap_error_set(err, -errno, "cannot take signals: %s", ap_strerror(errno));
	return 0;
}

static int open_profiler(struct ap_session *s, struct ap_error *err)
{
	struct ap_profiler_options o = {
		.modes = s->modes,
		.syscalls = &s->syscalls,
		.wait_threshold_ns = s->set->wait_threshold,
		.wakers = s->set->wakers,
		.frequency_hz = (uint32_t)s->set->frequency,
		.target = s->target,
		.pids = s->pids,
		.n_pids = s->set->pids.n,
		.cgroup = s->set->cgroup,
		.exact_time = s->exact_time,
		.max_user_frames = (uint32_t)s->set->max_frames,
		.table_bytes = s->set->table_bytes,
	};
	int e = ap_profiler_open(&o, err, &s->profiler);

	if (e == 0)
		s->refused = ap_profiler_refused(s->profiler, &s->modes);
	return e;
}

static int open_batcher(struct ap_session *s, struct ap_error *err)
{
	struct ap_batcher_opts o = {
		.service = ap_str_of(s->set->service),
		.labels = s->labels,
		.n_labels = s->set->labels.n,
	};

	if (gethostname(s->host, sizeof(s->host) - 1) < 0)
		strcpy(s->host, "localhost");
	s->symbolizer = ap_symbolizer_new(NULL);
	s->kube = ap_kube_names_new(NULL);
	s->profile = ap_profile_new();
	if (!s->symbolizer || !s->kube || !s->profile)
		return ap_error_set(err, -ENOMEM, "out of memory");
	ap_symbolizer_kernel_status(s->symbolizer, &s->kernel_names);
	o.host = ap_str_of(s->host);
	o.symbolizer = s->symbolizer;
	o.kube = s->kube;
	o.ledger = ap_profiler_ledger(s->profiler);
	s->batcher = ap_batcher_new(&o);
	return s->batcher ? 0 : ap_error_set(err, -ENOMEM, "out of memory");
}

int ap_session_open(struct ap_session *s, struct ap_error *err)
{
	uint64_t began = ap_clock_mono_ns();
	int e = take_signals(s, err);

	if (e == 0)
		e = open_profiler(s, err);
	if (e == 0)
		e = open_batcher(s, err);
	s->open_ns = ap_clock_mono_ns() - began;
	return e;
}

/* The command's program, and the first of its arguments that is one: `sudo` and its like run it. */
static void expect_programs(struct ap_session *s)
{
	unsigned int n = 0;

	for (char *const *arg = s->command; arg && *arg && n < 2; arg++) {
		_cleanup_free_ char *path = **arg == '-' ? NULL : ap_child_find(*arg);

		if (path) {
			ap_profiler_expect(s->profiler, path);
			n++;
		}
	}
}

int ap_session_start(struct ap_session *s, struct ap_error *err)
{
	uint64_t began = ap_clock_mono_ns();
	int e = 0;

	expect_programs(s);
	if (s->command)
		e = ap_child_spawn(&s->child, s->command, &s->mask, err);
	if (e == 0 && s->command && s->target == AP_TARGET_PIDS && !s->set->pids.n)
		e = ap_profiler_add_target(s->profiler, s->child.pid, err);
	if (e == 0)
		e = ap_profiler_start(s->profiler, err);
	s->start_ns = ap_clock_mono_ns();
	s->begin_ns = s->start_ns - began;
	if (e == 0 && s->command)
		e = ap_child_release(&s->child, s->command[0], err);
	return e;
}

int ap_session_start_failed(const struct ap_session *s, const struct ap_error *err)
{
	if (!s->command || s->child.ran)
		return ap_cli_fail(s->program, err);
	ap_cli_say(s->program, "%s", err->msg);
	return err->code == -ENOENT ? 127 : 126;
}

void ap_session_end_command(struct ap_session *s)
{
	if (s->end != AP_SESSION_END_MEMORY)
		ap_child_end(&s->child, 5 * AP_NSEC_PER_SEC);
}

int ap_session_status(const struct ap_session *s)
{
	if (s->end == AP_SESSION_END_ABORT)
		return 128 + SIGINT;
	if (s->command && s->end != AP_SESSION_END_DURATION)
		return ap_child_exit_status(&s->child);
	return s->profile->samples.n || s->profile->syscalls.n ? AP_EXIT_OK : AP_EXIT_NO_SAMPLES;
}

void ap_session_close(struct ap_session *s)
{
	ap_child_end(&s->child, AP_NSEC_PER_SEC);
	ap_batcher_free(s->batcher);
	ap_profiler_free(s->profiler);
	ap_symbolizer_free(s->symbolizer);
	ap_kube_names_free(s->kube);
	ap_profile_free(s->profile);
	free(s->pids);
	free(s->labels);
	if (s->signals >= 0)
		close(s->signals);
}
